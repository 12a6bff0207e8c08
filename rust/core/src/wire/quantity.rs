//! `resource.Quantity`: text to its canonical text, as apimachinery's pkg/api/resource does it, quirks included.

const FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMERIC: &str = "unable to parse numeric part of quantity";
const SUFFIX: &str = "unable to parse quantity's suffix";

/// The most decimal digits that surely fit an int64.
const MAX_INT64_DIGITS: i32 = 18;
/// Nothing smaller than 10^-9 is kept.
const NANO: i32 = -9;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    DecimalExponent,
    BinarySI,
    DecimalSI,
}

/// The canonical form of a quantity, or why it is none. `None`: the text itself is kept.
pub(crate) fn canonical(text: &str) -> Result<Option<String>, &'static str> {
    if text.is_empty() {
        return Err(FORMAT);
    }
    if text == "0" {
        return Ok(None);
    }
    let parts = split(text)?;
    let (base, exponent, format) = interpret(parts.suffix)?;
    if let Some(found) = fast(&parts, exponent, format)? {
        return Ok(found);
    }
    slow(&parts, base, exponent, format).map(Some)
}

struct Parts<'a> {
    positive: bool,
    num: &'a str,
    denom: &'a str,
    suffix: &'a str,
    /// There is a digit at all: without one upstream reads 0 where it takes the fast way.
    digits: bool,
}

fn split(text: &str) -> Result<Parts<'_>, &'static str> {
    let positive = !text.starts_with('-');
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let signless = rest;
    let rest = rest.trim_start_matches('0');
    let zeros = rest.len() < signless.len();
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let (num, rest) = rest.split_at(digits(rest));
    let whole = zeros || !num.is_empty();
    let num = if num.is_empty() { "0" } else { num };
    let (denom, suffix) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(digits(after)),
        None => ("", rest),
    };
    let letters = suffix
        .bytes()
        .take_while(|c| b"eEinumkKMGTP".contains(c))
        .count();
    let tail = &suffix[letters..];
    let tail = tail.strip_prefix(['+', '-']).unwrap_or(tail);
    if digits(tail) != tail.len() {
        return Err(FORMAT);
    }
    Ok(Parts {
        positive,
        num,
        denom,
        suffix,
        digits: whole || !denom.is_empty(),
    })
}

fn interpret(suffix: &str) -> Result<(u32, i32, Format), &'static str> {
    const DECIMAL: &[(&str, i32)] = &[
        ("", 0),
        ("m", -3),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
        ("u", -6),
        ("n", -9),
    ];
    const BINARY: &[(&str, i32)] = &[
        ("Ki", 10),
        ("Mi", 20),
        ("Gi", 30),
        ("Ti", 40),
        ("Pi", 50),
        ("Ei", 60),
    ];
    if let Some((_, exponent)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Ok((10, *exponent, Format::DecimalSI));
    }
    if let Some((_, exponent)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        return Ok((2, *exponent, Format::BinarySI));
    }
    if suffix.len() > 1 && suffix.starts_with(['e', 'E']) {
        let parsed: i64 = suffix[1..].parse().map_err(|_| SUFFIX)?;
        // Go keeps the low 32 bits.
        return Ok((10, parsed as i32, Format::DecimalExponent));
    }
    Err(SUFFIX)
}

/// Numbers that fit an int64; `None` where the slow way must be taken.
#[allow(clippy::type_complexity)]
fn fast(
    parts: &Parts<'_>,
    exponent: i32,
    format: Format,
) -> Result<Option<Option<String>>, &'static str> {
    let length = |s: &str| i32::try_from(s.len()).unwrap_or(i32::MAX / 4);
    let (mut scale, mut mantissa) = (0_i32, 1_i64);
    let precision = match format {
        Format::BinarySI if parts.denom.is_empty() => {
            mantissa <<= exponent;
            15 - length(parts.num) - (exponent * 3 / 10) - 1
        }
        Format::BinarySI => -1,
        _ => {
            scale = exponent;
            MAX_INT64_DIGITS - length(parts.num) - length(parts.denom)
        }
    };
    if precision < 0 {
        return Ok(None);
    }
    scale = scale.wrapping_sub(length(parts.denom));
    if scale < NANO {
        return Ok(None);
    }
    let shifted = format!("{}{}", parts.num, parts.denom);
    let value: i64 = shifted.parse().map_err(|_| NUMERIC)?;
    let Some(result) = value.checked_mul(mantissa) else {
        return Ok(None);
    };
    let kept = match format {
        Format::BinarySI => exponent % 10 == 0 && value & 7 != 0,
        _ => scale % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0'),
    };
    if kept {
        return Ok(Some(None));
    }
    let result = if parts.positive { result } else { -result };
    Ok(Some(Some(render_int(result, scale, format))))
}

fn render_int(value: i64, scale: i32, format: Format) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    if format == Format::BinarySI && (value >= 1024 || value <= -1024) {
        return binary(value);
    }
    let format = if format == Format::BinarySI {
        Format::DecimalSI
    } else {
        format
    };
    let (mut amount, mut exponent) = (i128::from(value), scale);
    while amount % 10 == 0 {
        amount /= 10;
        exponent += 1;
    }
    while exponent % 3 != 0 {
        amount *= 10;
        exponent -= 1;
    }
    format!("{amount}{}", decimal_suffix(exponent, format))
}

fn binary(mut value: i64) -> String {
    let mut thousands = 0_usize;
    while value % 1024 == 0 {
        value /= 1024;
        thousands += 1;
    }
    let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
        .get(thousands)
        .unwrap_or(&"");
    format!("{value}{suffix}")
}

/// Beyond what SI has a letter for, upstream writes none.
fn decimal_suffix(exponent: i32, format: Format) -> String {
    if format == Format::DecimalExponent {
        return if exponent == 0 {
            String::new()
        } else {
            format!("e{exponent}")
        };
    }
    let letter = match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    };
    letter.to_owned()
}

/// Any length of digits: a decimal number as digits and how many of them stand behind the point.
fn slow(
    parts: &Parts<'_>,
    base: u32,
    exponent: i32,
    mut format: Format,
) -> Result<String, &'static str> {
    if !parts.digits {
        return Err(NUMERIC);
    }
    let mut digits: Vec<u8> = parts
        .num
        .bytes()
        .chain(parts.denom.bytes())
        .map(|c| c - b'0')
        .collect();
    let mut scale = i64::try_from(parts.denom.len()).map_err(|_| NUMERIC)?;
    if base == 10 {
        scale -= i64::from(exponent);
    } else {
        for _ in 0..exponent / 10 {
            times_1024(&mut digits);
        }
    }
    round_up(&mut digits, &mut scale);
    trim(&mut digits, &mut scale);
    if digits.is_empty() {
        return Ok("0".to_owned());
    }
    if format == Format::BinarySI {
        if above_int64(&digits, scale) {
            digits = i64::MAX.to_string().bytes().map(|c| c - b'0').collect();
            scale = 0;
        }
        let whole = digits.len() as i64 - scale;
        if scale <= 0 {
            let text: String = digits.iter().map(|d| char::from(d + b'0')).collect();
            let value = text.parse::<i64>().map_err(|_| NUMERIC)? * 10_i64.pow((-scale) as u32);
            let value = if parts.positive { value } else { -value };
            return Ok(render_int(value, 0, Format::BinarySI));
        }
        debug_assert!(whole <= 19);
        format = Format::DecimalSI;
    }
    let mut exponent = -scale;
    while exponent % 3 != 0 {
        digits.push(0);
        exponent -= 1;
    }
    let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
    let sign = if parts.positive { "" } else { "-" };
    let text: String = digits.iter().map(|d| char::from(d + b'0')).collect();
    Ok(format!("{sign}{text}{}", decimal_suffix(exponent, format)))
}

fn times_1024(digits: &mut Vec<u8>) {
    let mut carry = 0_u32;
    for d in digits.iter_mut().rev() {
        let product = u32::from(*d) * 1024 + carry;
        *d = (product % 10) as u8;
        carry = product / 10;
    }
    while carry > 0 {
        digits.insert(0, (carry % 10) as u8);
        carry /= 10;
    }
}

/// Away from zero, to whole nanos.
fn round_up(digits: &mut Vec<u8>, scale: &mut i64) {
    let extra = *scale + i64::from(NANO);
    if extra <= 0 {
        return;
    }
    let keep = digits
        .len()
        .saturating_sub(usize::try_from(extra).unwrap_or(usize::MAX));
    let lost = digits[keep..].iter().any(|d| *d != 0);
    digits.truncate(keep);
    *scale = -i64::from(NANO);
    if lost {
        for d in digits.iter_mut().rev() {
            if *d < 9 {
                *d += 1;
                return;
            }
            *d = 0;
        }
        digits.insert(0, 1);
    }
}

/// Takes away leading zeros and moves trailing ones into the scale.
fn trim(digits: &mut Vec<u8>, scale: &mut i64) {
    let leading = digits.iter().take_while(|d| **d == 0).count();
    digits.drain(..leading);
    while digits.last() == Some(&0) {
        digits.pop();
        *scale -= 1;
    }
}

fn above_int64(digits: &[u8], scale: i64) -> bool {
    let whole = digits.len() as i64 - scale;
    if whole != 19 {
        return whole > 19;
    }
    let limit = i64::MAX.to_string();
    let limit = limit.bytes().map(|c| c - b'0');
    let padded = digits.iter().copied().chain(std::iter::repeat(0));
    for (mine, most) in padded.zip(limit) {
        if mine != most {
            return mine > most;
        }
    }
    scale > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(text: &str) -> String {
        match canonical(text) {
            Ok(None) => text.to_owned(),
            Ok(Some(s)) => s,
            Err(e) => e.to_owned(),
        }
    }

    #[test]
    fn the_canonical_forms_of_upstream() {
        for (text, expected) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100Ki", "100Ki"),
            ("1e3", "1e3"),
            ("1e4", "10e3"),
            ("1000", "1k"),
            ("1100", "1100"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("+5", "+5"),
            ("1.200", "1.200"),
            ("0.000", "0"),
            ("512", "512"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("0.5Mi", "512Ki"),
            ("1.1Mi", "1153433600m"),
            ("99999999999999999999Ei", "9223372036854775807"),
            ("9223372036854775807", "9223372036854775807"),
            ("10000000000000000000000", "10"), // upstream has no letter beyond E
            ("", FORMAT),
            ("abc", FORMAT),
            ("1.5.5", FORMAT),
            ("1mm", SUFFIX),
            ("12 Mi", FORMAT),
        ] {
            assert_eq!(c(text), expected, "{text}");
        }
    }
}
