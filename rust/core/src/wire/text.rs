//! JSON strings: what stands between the quotes, and what it means.

use std::borrow::Cow;

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub raw: &'a [u8],
    /// No escapes: `raw` is the string itself.
    pub plain: bool,
}

impl<'a> Text<'a> {
    /// The string's bytes (UTF-8).
    pub fn value(&self) -> Cow<'a, [u8]> {
        if self.plain {
            Cow::Borrowed(self.raw)
        } else {
            Cow::Owned(unescape(self.raw))
        }
    }

    /// The string for a message or a comparison.
    pub fn string(&self) -> Cow<'a, str> {
        match self.value() {
            Cow::Borrowed(b) => String::from_utf8_lossy(b),
            Cow::Owned(b) => Cow::Owned(String::from_utf8_lossy(&b).into_owned()),
        }
    }
}

/// Invalid UTF-8 becomes U+FFFD, a byte at a time, as Go's decoder does.
pub(crate) fn utf8(data: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(data).is_ok() {
        return Cow::Borrowed(data);
    }
    let mut out = Vec::with_capacity(data.len() + 16);
    let mut rest = data;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => {
                out.extend_from_slice(rest);
                return Cow::Owned(out);
            }
            Err(e) => {
                out.extend_from_slice(&rest[..e.valid_up_to()]);
                out.extend_from_slice("\u{fffd}".as_bytes());
                rest = &rest[e.valid_up_to() + 1..];
            }
        }
    }
}

/// The bytes of an escaped string that `Scanner::string` has checked.
pub(crate) fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let c = raw[i];
        if c != b'\\' {
            out.push(c);
            i += 1;
            continue;
        }
        let e = raw.get(i + 1).copied().unwrap_or(b'\\');
        i += 2;
        match e {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let high = hex4(raw, i);
                i += 4;
                let c = match high {
                    0xD800..=0xDBFF
                        if raw.get(i) == Some(&b'\\') && raw.get(i + 1) == Some(&b'u') =>
                    {
                        match hex4(raw, i + 2) {
                            low @ 0xDC00..=0xDFFF => {
                                i += 6;
                                char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
                            }
                            _ => None,
                        }
                    }
                    other => char::from_u32(other),
                };
                let mut buffer = [0; 4];
                out.extend_from_slice(c.unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes());
            }
            other => out.push(other),
        }
    }
    out
}

fn hex4(raw: &[u8], at: usize) -> u32 {
    raw.get(at..at + 4)
        .and_then(|d| std::str::from_utf8(d).ok())
        .and_then(|d| u32::from_str_radix(d, 16).ok())
        .unwrap_or(0xFFFD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_surrogates() {
        assert_eq!(
            unescape(br#"a\u00e9\ud83d\ude00\ud800x\/\t"#),
            "aé😀\u{fffd}x/\t".as_bytes()
        );
    }
}
