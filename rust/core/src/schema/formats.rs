//! Formats of strings and numbers, as k8s.io/kube-openapi's pkg/validation/strfmt knows them. An unknown format
//! constrains nothing.

use super::model::{Schema, Type};
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

/// What strings may be asked to look like, without the dashes.
const KNOWN: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// The schema's format, where it is one that its type knows; else nothing.
pub(super) fn of(schema: &Schema) -> &str {
    let format = &*schema.checks.format;
    if format.is_empty() || schema.int_or_string {
        return "";
    }
    let known = match schema.kind {
        Type::Unset | Type::Text => KNOWN.contains(&&*format.replace('-', "")),
        Type::Integer => matches!(format, "int32" | "int64"),
        Type::Number => matches!(format, "float" | "double"),
        _ => false,
    };
    if known { format } else { "" }
}

/// A format that means nothing to its type: told as a warning when a definition is written.
pub(super) fn unrecognized(schema: &Schema) -> Option<&str> {
    let format = &*schema.checks.format;
    (!format.is_empty() && of(schema).is_empty()).then_some(format)
}

/// Patterns that are compiled once.
struct Patterns {
    hostname: Option<Regex>,
    uuid: [Option<Regex>; 4],
    card: Option<Regex>,
    ssn: Option<Regex>,
    color: Option<Regex>,
    rgb: Option<Regex>,
    base64: Option<Regex>,
    time: Option<Regex>,
    units: Option<Regex>,
}

fn patterns() -> &'static Patterns {
    static PATTERNS: OnceLock<Patterns> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        let uuid = |third: &str, fourth: &str| {
            Regex::new(&format!(
                "(?i)^[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{third}-?{fourth}-?[0-9a-f]{{12}}$"
            ))
            .ok()
        };
        let rgb = r"(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])";
        Patterns {
            hostname: Regex::new(r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$").ok(),
            uuid: [
                uuid("[0-9a-f]{4}", "[0-9a-f]{4}"),
                uuid("3[0-9a-f]{3}", "[0-9a-f]{4}"),
                uuid("4[0-9a-f]{3}", "[89ab][0-9a-f]{3}"),
                uuid("5[0-9a-f]{3}", "[89ab][0-9a-f]{3}"),
            ],
            card: Regex::new(r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$").ok(),
            ssn: Regex::new(r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$").ok(),
            color: Regex::new(r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$").ok(),
            rgb: Regex::new(&format!(r"^rgb\(\s*{rgb}\s*,\s*{rgb}\s*,\s*{rgb}\s*\)$")).ok(),
            base64: Regex::new(r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$").ok(),
            time: Regex::new(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$").ok(),
            units: Regex::new(r"([0-9]+)\s*([A-Za-zµ]+)").ok(),
        }
    })
}

fn fits(pattern: &Option<Regex>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// Whether a text has a format.
pub(crate) fn valid(format: &str, text: &str) -> bool {
    let p = patterns();
    match &*format.replace('-', "") {
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|c| c.is_ascii_hexdigit()),
        "uri" => uri(text),
        "email" => email(text),
        "hostname" => {
            fits(&p.hostname, text)
                && text.len() <= 255
                && text.split('.').all(|label| label.len() <= 63)
        }
        "ipv4" => ipv4(text).is_some(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "mac" => mac(text),
        "uuid" => fits(&p.uuid[0], text),
        "uuid3" => fits(&p.uuid[1], text),
        "uuid4" => fits(&p.uuid[2], text),
        "uuid5" => fits(&p.uuid[3], text),
        "isbn" => isbn10(text) || isbn13(text),
        "isbn10" => isbn10(text),
        "isbn13" => isbn13(text),
        "creditcard" => card(text),
        "ssn" => text.len() == 11 && fits(&p.ssn, text),
        "hexcolor" => fits(&p.color, text),
        "rgbcolor" => fits(&p.rgb, text),
        "byte" => fits(&p.base64, text),
        "date" => date(text),
        "datetime" => date_time(text),
        "duration" => duration(text),
        "k8sshortname" => text.len() <= 63 && label(text),
        "k8slongname" => text.len() <= 253 && text.split('.').all(label),
        _ => true,
    }
}

fn label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Go's url.ParseRequestURI: an absolute path, or something with a scheme.
fn uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|c| c < 0x20 || c == 0x7f) {
        return false;
    }
    if !escapes(text) {
        return false;
    }
    if text.starts_with('/') || text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let letters = scheme.bytes().enumerate().all(|(i, c)| {
        c.is_ascii_alphabetic() || (i > 0 && (c.is_ascii_digit() || b"+-.".contains(&c)))
    });
    if scheme.is_empty() || !letters {
        return false;
    }
    // Something opaque is no request's.
    let Some(rest) = rest.strip_prefix('/') else {
        return false;
    };
    let Some(authority) = rest.strip_prefix('/') else {
        return true;
    };
    let host = authority.split(['/', '?']).next().unwrap_or("");
    let host = host.rsplit('@').next().unwrap_or("");
    !host.contains([' ', '<', '>', '"'])
        && host
            .rsplit_once(':')
            .is_none_or(|(_, port)| port.ends_with(']') || port.bytes().all(|c| c.is_ascii_digit()))
}

fn escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let path = text.split('?').next().unwrap_or("").len();
    bytes[..path].iter().enumerate().all(|(i, &c)| {
        c != b'%'
            || bytes
                .get(i + 1..i + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

/// What net/mail.ParseAddress takes: an address, alone or in angle brackets behind a name.
fn email(text: &str) -> bool {
    let text = text.trim();
    let address = match (text.find('<'), text.strip_suffix('>')) {
        (Some(at), Some(inner)) => &inner[at + 1..],
        (None, None) => text,
        _ => return false,
    };
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let atom = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| {
                c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
            })
    };
    let literal = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (literal || local.split('.').all(atom)) && domain.split('.').all(atom)
}

/// An address whose numbers may begin with zeros.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut out = [0_u8; 4];
    let mut parts = text.split('.');
    for byte in &mut out {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        *byte = part
            .trim_start_matches('0')
            .parse()
            .or_else(|_| {
                if part.bytes().all(|c| c == b'0') {
                    Ok(0)
                } else {
                    Err(())
                }
            })
            .ok()?;
    }
    parts.next().is_none().then(|| out.into())
}

fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = if ipv4(address).is_some() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    !bits.is_empty()
        && bits.bytes().all(|c| c.is_ascii_digit())
        && bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

fn mac(text: &str) -> bool {
    let hex =
        |part: &str, size: usize| part.len() == size && part.bytes().all(|c| c.is_ascii_hexdigit());
    let parted = |by: char, size: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(by).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| hex(part, size))
    };
    parted(':', 2, &[6, 8, 20]) || parted('-', 2, &[6, 8, 20]) || parted('.', 4, &[3, 4, 10])
}

fn digits(text: &str) -> Vec<u8> {
    text.bytes()
        .filter(|c| !c.is_ascii_whitespace() && *c != b'-')
        .collect()
}

fn isbn10(text: &str) -> bool {
    let text = digits(text);
    if text.len() != 10 || !text[..9].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let last = match text[9] {
        b'X' => 10,
        c if c.is_ascii_digit() => u32::from(c - b'0'),
        _ => return false,
    };
    let sum: u32 = (1..)
        .zip(&text[..9])
        .map(|(i, c)| i * u32::from(c - b'0'))
        .sum();
    (sum + 10 * last).is_multiple_of(11)
}

fn isbn13(text: &str) -> bool {
    let text = digits(text);
    if text.len() != 13 || !text.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = text
        .iter()
        .enumerate()
        .map(|(i, c)| u32::from(c - b'0') * if i % 2 == 0 { 1 } else { 3 })
        .sum();
    sum.is_multiple_of(10)
}

fn card(text: &str) -> bool {
    let text: String = text.chars().filter(char::is_ascii_digit).collect();
    if !fits(&patterns().card, &text) {
        return false;
    }
    let sum: u32 = text
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, c)| {
            let value = u32::from(c - b'0') * if i % 2 == 1 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

fn date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let number = |range: std::ops::Range<usize>| {
        let part = text.get(range)?;
        part.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| part.parse::<u32>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(day), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    if !date(day) {
        return false;
    }
    let Some(found) = patterns().time.as_ref().and_then(|p| p.captures(time)) else {
        return false;
    };
    &found[1] <= "23" && &found[2] <= "59" && &found[3] <= "59"
}

/// Go's durations, and Scala's: `1h30m`, `22 ns`, `3 days`.
fn duration(text: &str) -> bool {
    if super::formats::go_duration(text).is_some() {
        return true;
    }
    let Some(units) = patterns().units.as_ref() else {
        return false;
    };
    const WORDS: &[(&[&str], &str)] = &[
        (&["ns"], "nano"),
        (&["us", "µs"], "micro"),
        (&["ms"], "milli"),
        (&["s"], "sec"),
        (&["m"], "min"),
        (&["h", "hr"], "hour"),
        (&["d"], "day"),
        (&["w", "wk"], "week"),
    ];
    units.captures_iter(text).any(|found| {
        let unit = found[2].to_lowercase();
        WORDS
            .iter()
            .any(|(short, long)| short.contains(&&*unit) || unit.starts_with(long))
    })
}

/// Nanoseconds of a duration as Go's time.ParseDuration reads it.
pub(crate) fn go_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = &rest[..end];
        if number.is_empty() || number == "." || number.matches('.').count() > 1 {
            return None;
        }
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        rest = &rest[end..];
        total += number.parse::<f64>().ok()? * unit;
    }
    (total <= i64::MAX as f64).then_some(sign * total.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_have_a_format_and_texts_that_have_not() {
        for (format, right, wrong) in [
            ("uri", "https://example.com/a?b", "example"),
            ("email", "a.b@example.com", "a b@example.com"),
            ("hostname", "example.com", "-example-.com"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "fe80::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "01:23:45:67:89:ab", "01:23:45:67:89"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("isbn", "978-0321751041", "978-0321751042"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("byte", "aGk=", "a*b="),
            ("date", "2024-02-29", "2023-02-29"),
            ("date-time", "2024-02-29T12:00:00Z", "2024-02-29 12:00:00"),
            ("duration", "1h30m", "soon"),
            ("duration", "22 ns", ""),
            ("k8s-short-name", "a-b", "a.b"),
        ] {
            assert!(valid(format, right), "{format} {right}");
            assert!(!valid(format, wrong), "{format} {wrong}");
        }
    }
}
