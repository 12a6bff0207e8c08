//! How Go reads numbers, quotes text and writes zero values.

use super::table::{self, Shape, TypeId};

/// Go's `strconv.Quote`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\u{7}' => out += "\\a",
            '\u{8}' => out += "\\b",
            '\u{b}' => out += "\\v",
            '\u{c}' => out += "\\f",
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out += &format!("\\x{:02x}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A type's zero value as it stands in a list or map.
pub(super) fn zero(id: TypeId) -> &'static str {
    match table::get(id).shape {
        Shape::Struct(s) => s.zero,
        Shape::Bool | Shape::PropsOrBool => "false",
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => "0",
        Shape::Str | Shape::Bytes => "\"\"",
        Shape::Quantity => "\"0\"",
        Shape::Duration => "\"0s\"",
        Shape::List(_) => "[]",
        Shape::Map(_) => "{}",
        _ => "null",
    }
}

/// Go's `ParseInt(…, 10, 64)`: no point, no exponent.
pub(super) fn parse_int(number: &[u8]) -> Option<i64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

pub(super) fn parse_float(number: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}
