//! JSON numbers as Go's decoder makes them: an int64 where it is one, else a float64.

use crate::wire::write;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// The greatest float that has every integer below it.
const EXACT: f64 = 9_007_199_254_740_991.0;

impl Number {
    pub fn read(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).unwrap_or("0");
        match text.parse() {
            Ok(value) => Number::Int(value),
            Err(_) => Number::Float(text.parse().unwrap_or(f64::NAN)),
        }
    }

    pub fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    /// Counts as an integer in JSON.
    pub fn whole(self) -> bool {
        match self {
            Number::Int(_) => true,
            Number::Float(value) => value.abs() <= EXACT && near_whole(value),
        }
    }
}

/// swag.IsFloat64AJSONInteger.
pub(super) fn near_whole(value: f64) -> bool {
    if !value.is_finite() || value.abs() > EXACT {
        return false;
    }
    let nearest = value.trunc();
    if value == nearest {
        return true;
    }
    let diff = (value - nearest).abs();
    if value == 0.0 || nearest == 0.0 || diff < f64::MIN_POSITIVE {
        return diff < 1e-9 * f64::MIN_POSITIVE;
    }
    diff / (value.abs() + nearest.abs()).min(f64::MAX) < 1e-9
}

/// A float as Go's `%v` prints it: `1`, `0.5`, `1e+21`.
pub(super) fn shown(value: f64) -> String {
    let mut out = Vec::new();
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    write::float(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}
