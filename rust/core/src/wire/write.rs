//! Writing JSON scalars as Go does (but without escaping `<`, `>` and `&`, which JSON does not ask for).

use std::io::Write as _;

/// Writes a string with its quotes.
pub(crate) fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    escape_into(out, value);
    out.push(b'"');
}

/// Writes a string's inside.
pub(crate) fn escape_into(out: &mut Vec<u8>, value: &[u8]) {
    let mut from = 0;
    for (i, &c) in value.iter().enumerate() {
        if c >= 0x20 && c != b'"' && c != b'\\' {
            continue;
        }
        out.extend_from_slice(&value[from..i]);
        from = i + 1;
        match c {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            _ => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "\\u{c:04x}");
            }
        }
    }
    out.extend_from_slice(&value[from..]);
}

/// Writes an integer.
pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a finite number: shortest form, an exponent below 1e-6 and from 1e21 on.
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let text = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        if size >= 1e21 {
            text.replace('e', "e+")
        } else {
            text
        }
    } else {
        format!("{value}")
    };
    out.extend_from_slice(text.as_bytes());
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes standard base64 with padding.
pub(crate) fn base64(out: &mut Vec<u8>, data: &[u8]) {
    out.reserve(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |w, (i, &b)| w | u32::from(b) << (16 - 8 * i));
        for i in 0..4 {
            out.push(if i <= chunk.len() {
                ALPHABET[(word >> (18 - 6 * i)) as usize & 63]
            } else {
                b'='
            });
        }
    }
}

/// Reads base64 as Go's `StdEncoding`: line breaks are passed over, padding must be right, spare bits are not looked at.
/// The error is where the first wrong byte stands.
pub(crate) fn base64_decode(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut have, mut i) = (0_u32, 0_usize, 0_usize);
    while i < text.len() {
        let c = text[i];
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\r' | b'\n' => {
                i += 1;
                continue;
            }
            b'=' => return padding(text, i, have, word, out),
            _ => return Err(i),
        };
        word = word << 6 | u32::from(value);
        have += 1;
        if have == 4 {
            out.extend_from_slice(&word.to_be_bytes()[1..]);
            (word, have) = (0, 0);
        }
        i += 1;
    }
    if have == 0 {
        Ok(out)
    } else {
        Err(text.len() - have)
    }
}

fn padding(
    text: &[u8],
    at: usize,
    have: usize,
    word: u32,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, usize> {
    let breaks = |from: usize| {
        text[from..]
            .iter()
            .take_while(|c| matches!(c, b'\r' | b'\n'))
            .count()
    };
    let mut end = at + 1;
    match have {
        2 => {
            end += breaks(end);
            if text.get(end) != Some(&b'=') {
                return Err(end.min(text.len()));
            }
            end += 1;
            out.push((word >> 4) as u8);
        }
        3 => out.extend_from_slice(&[(word >> 10) as u8, (word >> 2) as u8]),
        _ => return Err(at),
    }
    end += breaks(end);
    if end < text.len() { Err(end) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn floats_look_as_go_writes_them() {
        for (value, expected) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e20, "100000000000000000000"),
            (1e-7, "1e-7"),
            (0.000_001, "0.000001"),
            (-2.5, "-2.5"),
            (0.0, "0"),
        ] {
            let mut out = Vec::new();
            float(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn base64_there_and_back() {
        for n in 0..40_u8 {
            let data: Vec<u8> = (0..n).map(|i| i.wrapping_mul(37)).collect();
            let mut text = Vec::new();
            base64(&mut text, &data);
            assert_eq!(base64_decode(&text).unwrap(), data);
        }
        assert_eq!(base64_decode(b"aGk=\n"), Ok(b"hi".to_vec()));
        assert_eq!(base64_decode(b"a*b="), Err(1));
        assert_eq!(base64_decode(b"aGk"), Err(0));
        assert_eq!(base64_decode(b"aGk=x"), Err(4));
    }

    #[test]
    fn integers() {
        for value in [0, 7, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            int(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
