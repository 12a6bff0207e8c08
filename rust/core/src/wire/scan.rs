//! A scanner of JSON text that accepts what Go's encoding/json accepts and refuses the rest in its words.

use super::error::{Result, fail};
use super::text::Text;
use crate::ends::{container_end, string_end, text_end};

/// How deep objects and lists may nest. Go stops at 10,000; nothing in the API comes near this, and the recursion of
/// every later reader stays within a thread's stack.
pub const MAX_DEPTH: usize = 512;

/// A position in JSON text that is known to be UTF-8.
pub(crate) struct Scanner<'a> {
    pub data: &'a [u8],
    pub at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Scanner { data, at: 0 }
    }

    /// The next byte that is not white space, not consumed; 0 at the end.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        while let Some(&c) = self.data.get(self.at) {
            if c > b' ' || !matches!(c, b' ' | b'\t' | b'\n' | b'\r') {
                return c;
            }
            self.at += 1;
        }
        0
    }

    /// An error about the byte at the current position: `invalid character 'x' CONTEXT`.
    #[cold]
    pub fn wrong<T>(&self, context: &str) -> Result<T> {
        match self.data.get(self.at) {
            None => fail("unexpected end of JSON input"),
            Some(_) => {
                let rest = String::from_utf8_lossy(
                    &self.data[self.at..(self.at + 4).min(self.data.len())],
                );
                // Go looks at one byte at a time.
                let first = self.data[self.at];
                let shown = match first {
                    b'\'' => "'\\''".to_owned(),
                    b'"' => "'\"'".to_owned(),
                    0x80.. => format!("'{}'", char::from(first)),
                    _ => format!("'{}'", go_quote_char(rest.chars().next().unwrap_or('\0'))),
                };
                fail(format!("invalid character {shown} {context}"))
            }
        }
    }

    /// A string; the scanner stands at its opening quote.
    #[inline]
    pub fn string(&mut self) -> Result<Text<'a>> {
        let start = self.at + 1;
        let mut i = start;
        let mut plain = true;
        loop {
            i = text_end(self.data, i);
            match self.data.get(i) {
                Some(b'"') => {
                    self.at = i + 1;
                    return Ok(Text {
                        raw: &self.data[start..i],
                        plain,
                    });
                }
                Some(b'\\') => {
                    plain = false;
                    i = self.escape(i)?;
                }
                _ => {
                    self.at = i;
                    return self.wrong("in string literal");
                }
            }
        }
    }

    /// Checks the escape at `i`, returns what follows it.
    fn escape(&mut self, i: usize) -> Result<usize> {
        match self.data.get(i + 1) {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => Ok(i + 2),
            Some(b'u') => {
                for k in i + 2..i + 6 {
                    if !self.data.get(k).is_some_and(u8::is_ascii_hexdigit) {
                        self.at = k;
                        return self.wrong("in \\u hexadecimal character escape");
                    }
                }
                Ok(i + 6)
            }
            _ => {
                self.at = i + 1;
                self.wrong("in string escape code")
            }
        }
    }

    /// A number; the scanner stands at its first byte (`-` or a digit).
    pub fn number(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        let digit = |s: &Self| s.data.get(s.at).is_some_and(u8::is_ascii_digit);
        if self.data[self.at] == b'-' {
            self.at += 1;
        }
        if !digit(self) {
            return self.wrong("in numeric literal");
        }
        if self.data[self.at] == b'0' {
            self.at += 1;
        } else {
            while digit(self) {
                self.at += 1;
            }
        }
        if self.data.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !digit(self) {
                return self.wrong("after decimal point in numeric literal");
            }
            while digit(self) {
                self.at += 1;
            }
        }
        if matches!(self.data.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.data.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !digit(self) {
                return self.wrong("in exponent of numeric literal");
            }
            while digit(self) {
                self.at += 1;
            }
        }
        Ok(&self.data[start..self.at])
    }

    /// `true`, `false` or `null`; the scanner stands at its first letter.
    pub fn literal(&mut self, word: &'static str) -> Result<()> {
        for (k, expected) in word.bytes().enumerate() {
            if self.data.get(self.at) != Some(&expected) {
                let expecting = char::from(expected);
                debug_assert!(k > 0);
                return self.wrong(&format!("in literal {word} (expecting '{expecting}')"));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// After a key: the colon.
    #[inline]
    pub fn colon(&mut self) -> Result<()> {
        if self.peek() != b':' {
            return self.wrong("after object key");
        }
        self.at += 1;
        Ok(())
    }

    /// The first key of an object whose brace is consumed, or none. The scanner then stands at the value.
    #[inline]
    pub fn first_key(&mut self) -> Result<Option<Text<'a>>> {
        match self.peek() {
            b'}' => {
                self.at += 1;
                Ok(None)
            }
            b'"' => self.key().map(Some),
            _ => self.wrong("looking for beginning of object key string"),
        }
    }

    /// The next key, or none at the closing brace.
    #[inline]
    pub fn next_key(&mut self) -> Result<Option<Text<'a>>> {
        match self.peek() {
            b'}' => {
                self.at += 1;
                Ok(None)
            }
            b',' => {
                self.at += 1;
                if self.peek() != b'"' {
                    return self.wrong("looking for beginning of object key string");
                }
                self.key().map(Some)
            }
            _ => self.wrong("after object key:value pair"),
        }
    }

    #[inline]
    fn key(&mut self) -> Result<Text<'a>> {
        let key = self.string()?;
        self.colon()?;
        Ok(key)
    }

    /// Whether a list whose bracket is consumed has a first element.
    #[inline]
    pub fn first_item(&mut self) -> bool {
        if self.peek() == b']' {
            self.at += 1;
            return false;
        }
        true
    }

    /// Whether another element follows.
    #[inline]
    pub fn next_item(&mut self) -> Result<bool> {
        match self.peek() {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b',' => {
                self.at += 1;
                Ok(true)
            }
            _ => self.wrong("after array element"),
        }
    }

    /// Only white space may follow.
    pub fn end(&mut self) -> Result<()> {
        if self.peek() != 0 || self.at < self.data.len() {
            return self.wrong("after top-level value");
        }
        Ok(())
    }

    /// Steps over a value of a document that has been checked before: only its end is looked for.
    pub fn jump(&mut self) {
        let end = match self.peek() {
            b'{' | b'[' => container_end(self.data, self.at),
            b'"' => string_end(self.data, self.at + 1),
            _ => {
                let rest = &self.data[self.at..];
                let end = rest.iter().position(|c| matches!(c, b',' | b'}' | b']'));
                end.map(|end| self.at + end)
            }
        };
        self.at = end.unwrap_or(self.data.len());
    }

    /// Steps over a value, checking it. `depth` is how deep it stands.
    pub fn skip(&mut self, depth: usize) -> Result<()> {
        self.copy(depth, None)
    }

    /// Steps over a value, checking it, and writes it without white space, otherwise as it stands.
    pub fn compact(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        self.copy(depth, Some(out))
    }

    fn copy(&mut self, depth: usize, mut out: Option<&mut Vec<u8>>) -> Result<()> {
        fn put(out: &mut Option<&mut Vec<u8>>, bytes: &[u8]) {
            if let Some(out) = out {
                out.extend_from_slice(bytes);
            }
        }
        // One entry an open container: is it an object?
        let mut open: Vec<bool> = Vec::new();
        loop {
            let c = self.peek();
            let start = self.at;
            match c {
                b'{' | b'[' => {
                    if depth + open.len() >= MAX_DEPTH {
                        return fail("exceeded max depth");
                    }
                    self.at += 1;
                    put(&mut out, &[c]);
                    if c == b'{' {
                        if let Some(key) = self.first_key()? {
                            put_key(&mut out, key);
                            open.push(true);
                            continue;
                        }
                        put(&mut out, b"}");
                    } else {
                        if self.first_item() {
                            open.push(false);
                            continue;
                        }
                        put(&mut out, b"]");
                    }
                }
                b'"' => {
                    self.string()?;
                    put(&mut out, &self.data[start..self.at]);
                }
                b't' | b'f' | b'n' => {
                    self.literal(match c {
                        b't' => "true",
                        b'f' => "false",
                        _ => "null",
                    })?;
                    put(&mut out, &self.data[start..self.at]);
                }
                b'-' | b'0'..=b'9' => {
                    let number = self.number()?;
                    put(&mut out, number);
                }
                _ => return self.wrong("looking for beginning of value"),
            }
            // A value has ended: close what ends with it.
            loop {
                match open.last() {
                    None => return Ok(()),
                    Some(true) => {
                        if let Some(key) = self.next_key()? {
                            put(&mut out, b",");
                            put_key(&mut out, key);
                            break;
                        }
                        put(&mut out, b"}");
                    }
                    Some(false) => {
                        if self.next_item()? {
                            put(&mut out, b",");
                            break;
                        }
                        put(&mut out, b"]");
                    }
                }
                open.pop();
            }
        }

        fn put_key(out: &mut Option<&mut Vec<u8>>, key: Text<'_>) {
            put(out, b"\"");
            put(out, key.raw);
            put(out, b"\":");
        }
    }
}

/// A character as Go's `%q` of a single byte shows it, without the quotes.
fn go_quote_char(c: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => format!("\\x{:02x}", c as u32),
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(text: &str) -> String {
        let mut out = Vec::new();
        let mut s = Scanner::new(text.as_bytes());
        match s.compact(0, &mut out).and_then(|()| s.end()) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(e) => e.0,
        }
    }

    #[test]
    fn white_space_goes_and_nothing_else() {
        assert_eq!(
            check(" { \"a\" : [ 1 , -2.5e3 , {} , [] ] , \"b\\n\" : null } "),
            r#"{"a":[1,-2.5e3,{},[]],"b\n":null}"#
        );
    }

    #[test]
    fn a_jump_ends_where_a_checked_step_ends() {
        for text in [
            r#"{"a":[1,{"b":"}\\\"]"}],"c":null}"#,
            "[]",
            "{}",
            r#""x\"y""#,
            "12",
            "true",
            "-1.5e3",
        ] {
            for after in ["", ",1", "}", "]"] {
                let whole = format!("{text}{after}");
                let mut s = Scanner::new(whole.as_bytes());
                s.jump();
                assert_eq!(s.at, text.len(), "{whole}");
            }
        }
    }

    #[test]
    fn errors_are_worded_as_go_words_them() {
        for (text, expected) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            (
                "{a",
                "invalid character 'a' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            (
                "tru3",
                "invalid character '3' in literal true (expecting 'e')",
            ),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            (
                "\"\\u12g4\"",
                "invalid character 'g' in \\u hexadecimal character escape",
            ),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            ("-", "unexpected end of JSON input"),
            ("01", "invalid character '1' after top-level value"),
            (
                "[,]",
                "invalid character ',' looking for beginning of value",
            ),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
        ] {
            assert_eq!(check(text), expected, "{text}");
        }
        assert_eq!(check(&"[".repeat(100_000)), "exceeded max depth");
    }
}
