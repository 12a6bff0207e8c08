//! Quantities as upstream parses them: exact to 10⁻⁹, rounded up only when a whole number is asked for.
//!
//! The format is specified by apimachinery's `resource.Quantity`.

use std::ops::Add;

/// A quantity in billionths of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quantity(i128);

const NANO: i128 = 1_000_000_000;
/// Upstream caps a quantity at the largest signed 64-bit integer.
const MAX: i128 = i64::MAX as i128 * NANO;
/// Digits that fit an `i128` with room for the factor 10⁹ still to come.
const MAX_DIGITS: usize = 28;

const WRONG_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX: &str = "unable to parse quantity's suffix";
const WRONG_NUMBER: &str = "unable to parse numeric part of quantity";

impl Quantity {
    /// A quantity of thousandths.
    pub const fn from_milli(milli: i64) -> Self {
        Self(milli as i128 * (NANO / 1000))
    }

    /// A whole quantity.
    pub const fn from_value(value: i64) -> Self {
        Self(value as i128 * NANO)
    }

    /// Thousandths, rounded away from zero.
    pub fn milli(self) -> i64 {
        self.scaled(NANO / 1000)
    }

    /// Whole units, rounded away from zero.
    pub fn value(self) -> i64 {
        self.scaled(NANO)
    }

    fn scaled(self, unit: i128) -> i64 {
        let magnitude = (self.0.unsigned_abs() as i128 + unit - 1) / unit;
        i64::try_from(magnitude * self.0.signum()).unwrap_or(if self.0 < 0 {
            i64::MIN
        } else {
            i64::MAX
        })
    }

    /// Reads `500m`, `1.5Gi`, `2e3`. Numbers beyond 64 bits become the largest one; an error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (negative, rest) = match text.as_bytes().first() {
            None => return Err(WRONG_FORMAT),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let digits_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(digits_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(WRONG_FORMAT);
        }
        if fraction.contains('.') {
            return Err(WRONG_NUMBER);
        }
        let factor = Factor::parse(suffix)?;
        let magnitude = magnitude(whole.trim_start_matches('0'), fraction, factor).min(MAX);
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0).clamp(-MAX, MAX))
    }
}

/// What a suffix multiplies with: 10^ten × 2^two.
struct Factor {
    ten: i32,
    two: u32,
}

impl Factor {
    fn parse(suffix: &str) -> Result<Self, &'static str> {
        let decimal = |ten| Ok(Self { ten, two: 0 });
        let binary = |two| Ok(Self { ten: 0, two });
        match suffix {
            "" => decimal(0),
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(10),
            "Mi" => binary(20),
            "Gi" => binary(30),
            "Ti" => binary(40),
            "Pi" => binary(50),
            "Ei" => binary(60),
            _ => match suffix.strip_prefix(['e', 'E']) {
                // Beyond these bounds every quantity is zero's neighbour or the largest one.
                Some(exponent) => match exponent.parse::<i64>() {
                    Ok(ten) => decimal(ten.clamp(-100, 100) as i32),
                    Err(_) => Err(WRONG_SUFFIX),
                },
                None if suffix
                    .chars()
                    .all(|c| "eEinumkKMGTP+-0123456789".contains(c)) =>
                {
                    Err(WRONG_SUFFIX)
                }
                None => Err(WRONG_FORMAT),
            },
        }
    }
}

/// (whole + fraction) × factor in billionths, rounded up.
fn magnitude(whole: &str, fraction: &str, factor: Factor) -> i128 {
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() && fraction.is_empty() {
        return 0;
    }
    if whole.len() > MAX_DIGITS {
        return MAX;
    }
    let kept = fraction.len().min(MAX_DIGITS - whole.len());
    // Digits cut off still count as "a little more", which rounding up turns into one.
    let mut sticky = kept < fraction.len();
    let mut digits: i128 = 0;
    for byte in whole.bytes().chain(fraction[..kept].bytes()) {
        digits = digits * 10 + i128::from(byte - b'0');
    }
    let Some(mut value) = digits.checked_mul(1 << factor.two) else {
        return MAX;
    };
    let mut exponent = 9 - kept as i32 + factor.ten;
    while exponent > 0 {
        match value.checked_mul(10) {
            Some(next) if next <= MAX * 10 => value = next,
            _ => return MAX,
        }
        exponent -= 1;
    }
    while exponent < 0 && value > 0 {
        sticky |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    value + i128::from(sticky)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, milli, value) in [
            ("0", 0, 0),
            ("1", 1000, 1),
            ("500m", 500, 1),
            ("1.5", 1500, 2),
            (".5", 500, 1),
            ("2.", 2000, 2),
            ("0001k", 1_000_000, 1000),
            ("1Ki", 1_024_000, 1024),
            ("1.5Gi", 1_610_612_736_000, 1_610_612_736),
            ("2e3", 2_000_000, 2000),
            ("2E3", 2_000_000, 2000),
            ("5E-3", 5, 1),
            ("100u", 1, 1),
            ("1n", 1, 1),
            ("-1500m", -1500, -2),
            ("+3", 3000, 3),
        ] {
            let quantity = Quantity::parse(text).unwrap();
            assert_eq!(
                (quantity.milli(), quantity.value()),
                (milli, value),
                "{text}"
            );
        }
    }

    #[test]
    fn rounds_up_to_a_billionth_and_caps() {
        assert_eq!(Quantity::parse("0.1n").unwrap(), Quantity(1));
        assert_eq!(Quantity::parse("1e-50").unwrap(), Quantity(1));
        assert_eq!(Quantity::parse("1e90").unwrap().value(), i64::MAX);
        assert_eq!(
            Quantity::parse("99999999999999999999999999999999999999999999")
                .unwrap()
                .value(),
            i64::MAX
        );
        assert_eq!(Quantity::parse("9000Ei").unwrap().value(), i64::MAX);
        let long = format!("0.{}", "3".repeat(60));
        assert_eq!(Quantity::parse(&long).unwrap(), Quantity(333_333_334));
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for (text, error) in [
            ("", WRONG_FORMAT),
            ("-", WRONG_FORMAT),
            ("abc", WRONG_FORMAT),
            ("1x", WRONG_FORMAT),
            ("1 Gi", WRONG_FORMAT),
            ("1ki", WRONG_SUFFIX),
            ("1KiB", WRONG_FORMAT),
            ("1e", WRONG_SUFFIX),
            ("1.2.3", WRONG_NUMBER),
        ] {
            assert_eq!(Quantity::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn adds_before_rounding() {
        let sum = Quantity::parse("0.5m").unwrap() + Quantity::parse("0.5m").unwrap();
        assert_eq!(sum.milli(), 1);
    }
}
