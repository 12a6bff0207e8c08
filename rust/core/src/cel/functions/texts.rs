//! Functions of text: regular expressions, places, `format` and the named formats.

use super::Out;
use super::run::shown;
use crate::cel::value::Value;

pub(super) fn regex(text: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|e| e.to_string().lines().last().unwrap_or_default().to_owned())
}

pub(super) fn index_of<'v>(name: &str, a: &str, b: &str, rest: &[Value<'v>]) -> Out<'v> {
    let (text, part): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let last = text.len().saturating_sub(part.len());
    let found = |i: &usize| text[*i..].starts_with(&part);
    if part.len() > text.len() {
        return Ok(Value::Int(-1));
    }
    let place = match rest {
        [Value::Int(offset)] => {
            let Ok(offset) = usize::try_from(*offset) else {
                return Err(format!("index out of range: {offset}"));
            };
            if offset >= text.len().max(1) {
                return Ok(Value::Int(-1));
            }
            if name == "indexOf" {
                (offset..=last).find(found)
            } else {
                (0..=last.min(offset)).rev().find(found)
            }
        }
        _ if name == "indexOf" => (0..=last).find(found),
        _ => (0..=last).rev().find(found),
    };
    Ok(Value::Int(place.map_or(-1, |i| i as i64)))
}

pub(super) fn formatted(text: &str, args: &[Value<'_>]) -> Result<String, String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut precision = None;
        if chars.peek() == Some(&'.') {
            chars.next();
            let mut digits = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            precision = digits.parse::<usize>().ok();
        }
        let verb = chars.next().ok_or("could not parse formatting clause")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let arg = args.next().ok_or("index out of range")?;
        match (verb, arg) {
            ('s', any @ Value::Text(_)) => out += &shown(any),
            ('s', any) => out += &nested(any),
            ('d', Value::Int(_) | Value::Uint(_)) => out += &shown(arg),
            ('f', Value::Double(v)) => out += &format!("{v:.*}", precision.unwrap_or(6)),
            ('f', Value::Int(v)) => out += &format!("{:.*}", precision.unwrap_or(6), *v as f64),
            ('e', Value::Double(v)) => out += &scientific(*v, precision.unwrap_or(6)),
            ('b', Value::Int(v)) => out += &format!("{v:b}"),
            ('b', Value::Bool(v)) => out += &u8::from(*v).to_string(),
            ('o', Value::Int(v)) => out += &format!("{v:o}"),
            ('x', Value::Int(v)) => out += &format!("{v:x}"),
            ('X', Value::Int(v)) => out += &format!("{v:X}"),
            ('x', Value::Text(v)) => v.bytes().for_each(|b| out += &format!("{b:02x}")),
            ('X', Value::Text(v)) => v.bytes().for_each(|b| out += &format!("{b:02X}")),
            ('x', Value::Bytes(v)) => v.iter().for_each(|b| out += &format!("{b:02x}")),
            ('X', Value::Bytes(v)) => v.iter().for_each(|b| out += &format!("{b:02X}")),
            _ => {
                return Err(format!(
                    "error during formatting: unrecognized formatting clause \"{verb}\""
                ));
            }
        }
    }
    Ok(out)
}

/// A value within a text: texts within lists and maps in quotes, keys in order.
fn nested(value: &Value<'_>) -> String {
    let quoted = |of: &Value<'_>| match of {
        Value::Text(text) => format!("{text:?}"),
        other => nested(other),
    };
    if let Some(items) = value.items() {
        let texts: Vec<String> = items.iter().map(quoted).collect();
        return format!("[{}]", texts.join(", "));
    }
    if let Some(entries) = value.entries() {
        let mut texts: Vec<String> = entries
            .iter()
            .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
            .collect();
        texts.sort();
        return format!("{{{}}}", texts.join(", "));
    }
    shown(value)
}

/// `1.234500×10⁰³`: how cel-go's `%e` comes out.
fn scientific(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ("⁻", digits),
        None => ("", exponent),
    };
    let raised: String = format!("{digits:0>2}")
        .chars()
        .filter_map(|c| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(c.to_digit(10)? as usize))
        .collect();
    format!("{mantissa}×10{sign}{raised}")
}

pub(super) fn format_errors(format: &str, text: &str) -> Vec<String> {
    let lower = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |text: &str, first: fn(u8) -> bool, prefix: bool| {
        let bytes = text.as_bytes();
        !bytes.is_empty()
            && bytes.len() <= 63
            && first(bytes[0])
            && bytes.iter().all(|c| lower(*c) || *c == b'-')
            && (prefix || bytes.last().is_some_and(|c| lower(*c)))
    };
    let any = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let letter = |c: u8| c.is_ascii_lowercase();
    let word = |text: &str| {
        let bytes = text.as_bytes();
        let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
    };
    let domain =
        |text: &str| text.len() <= 253 && text.split('.').all(|part| label(part, any, false));
    let fits = match format {
        "dns1123Label" => label(text, any, false),
        "dns1123LabelPrefix" => label(text, any, true),
        "dns1035Label" => label(text, letter, false),
        "dns1035LabelPrefix" => label(text, letter, true),
        "dns1123Subdomain" => domain(text),
        "dns1123SubdomainPrefix" => domain(text.trim_end_matches('-')),
        "labelValue" => text.is_empty() || word(text),
        "qualifiedName" => match text.split_once('/') {
            Some((prefix, name)) => domain(prefix) && word(name),
            None => word(text),
        },
        other => crate::schema::valid_format(other, text),
    };
    if fits {
        Vec::new()
    } else {
        vec![format!("{text:?} is no valid {format}")]
    }
}
