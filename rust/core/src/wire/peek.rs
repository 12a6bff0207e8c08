//! apiVersion and kind of a body, without reading the rest where that can be helped.

use super::error::Result;
use super::scan::Scanner;
use super::text::utf8;

/// The `apiVersion` and `kind` of a JSON object; empty where they are not given.
pub fn peek_json(body: &[u8]) -> Result<(String, String)> {
    let body = utf8(body);
    let mut s = Scanner::new(&body);
    let (mut version, mut kind) = (None, None);
    if s.peek() != b'{' {
        s.skip(0)?;
        return Ok(Default::default());
    }
    s.at += 1;
    let mut key = s.first_key()?;
    while let Some(name) = key {
        let wanted = match name.raw {
            b"apiVersion" => Some(&mut version),
            b"kind" => Some(&mut kind),
            _ => None,
        };
        match wanted {
            Some(slot) if s.peek() == b'"' => *slot = Some(s.string()?.string().into_owned()),
            _ => s.skip(1)?,
        }
        if version.is_some() && kind.is_some() {
            break;
        }
        key = s.next_key()?;
    }
    Ok((version.unwrap_or_default(), kind.unwrap_or_default()))
}

/// The bytes of an object's `metadata` where they stand; `{}` where there is none.
pub fn metadata_of(value: &[u8]) -> Result<&[u8]> {
    let mut s = Scanner::new(value);
    if s.peek() != b'{' {
        return s.wrong("looking for an object");
    }
    s.at += 1;
    let mut key = s.first_key()?;
    while let Some(name) = key {
        let wanted = name.raw == b"metadata";
        s.peek();
        let start = s.at;
        s.skip(1)?;
        if wanted {
            return Ok(&value[start..s.at]);
        }
        key = s.next_key()?;
    }
    Ok(b"{}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn metadata_as_it_stands() {
        let body =
            br#"{"kind":"Pod", "metadata": {"name":"a","labels":{"metadata":"x"}} ,"spec":{}}"#;
        assert_eq!(
            metadata_of(body).unwrap(),
            br#"{"name":"a","labels":{"metadata":"x"}}"#
        );
        assert_eq!(metadata_of(b"{}").unwrap(), b"{}");
        assert!(metadata_of(b"[]").is_err());
    }

    #[test]
    fn version_and_kind_wherever_they_stand() {
        let body = br#"{"metadata":{"kind":"no"},"kind":"Pod","apiVersion":"v1","spec":!!"#;
        assert_eq!(
            peek_json(body).unwrap(),
            ("v1".to_owned(), "Pod".to_owned())
        );
        assert_eq!(peek_json(b"{}").unwrap(), Default::default());
        assert!(peek_json(b"{").is_err());
    }
}
