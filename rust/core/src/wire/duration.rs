//! Durations in Go's text form.

use std::fmt::Write as _;

const UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Go's `time.ParseDuration`: nanoseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (int, after) = rest.split_at(whole);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(f) => f.split_at(f.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", after),
        };
        if int.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        let value: i128 =
            if int.is_empty() { Ok(0) } else { int.parse() }.map_err(|_| invalid())?;
        total += value.checked_mul(i128::from(*size)).ok_or_else(invalid)?;
        let places = fraction.len().min(18);
        if places > 0 {
            let f: i128 = fraction[..places].parse().map_err(|_| invalid())?;
            total += f * i128::from(*size) / 10_i128.pow(places as u32);
        }
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return Err(invalid());
        }
        rest = next;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).map_err(|_| invalid())
}

/// Go's `Duration.String()`: `1h2m3.5s`, `1.5ms`, `0s`.
pub(crate) fn format(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let size = nanos.unsigned_abs();
    let mut out = String::new();
    if nanos < 0 {
        out.push('-');
    }
    let fraction = |out: &mut String, value: u64, unit: u64, name: &str| {
        let width = unit.ilog10() as usize;
        let part = format!("{:0width$}", value % unit);
        let part = if unit == 1 {
            ""
        } else {
            part.trim_end_matches('0')
        };
        let dot = if part.is_empty() { "" } else { "." };
        // Writing to a String cannot fail.
        let _ = write!(out, "{}{dot}{part}{name}", value / unit);
    };
    if size < 1_000 {
        fraction(&mut out, size, 1, "ns");
    } else if size < 1_000_000 {
        fraction(&mut out, size, 1_000, "µs");
    } else if size < 1_000_000_000 {
        fraction(&mut out, size, 1_000_000, "ms");
    } else {
        let (hours, minutes) = (size / 3_600_000_000_000, size / 60_000_000_000 % 60);
        if hours > 0 {
            let _ = write!(out, "{hours}h");
        }
        if hours > 0 || minutes > 0 {
            let _ = write!(out, "{minutes}m");
        }
        fraction(&mut out, size % 60_000_000_000, 1_000_000_000, "s");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("0", "0s"),
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("-2m", "-2m0s"),
            ("1500us", "1.5ms"),
            ("1h0.25s", "1h0m0.25s"),
            ("7ns", "7ns"),
        ] {
            assert_eq!(format(parse(text).unwrap()), expected, "{text}");
        }
        assert_eq!(
            parse("5").unwrap_err(),
            "time: missing unit in duration \"5\""
        );
    }
}
