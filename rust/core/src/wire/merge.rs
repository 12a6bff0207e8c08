//! JSON merge patch (RFC 7386). What the patch does not name is copied as it stands.

use super::error::{Result, fail};
use super::scan::Scanner;
use serde_json::{Map, Value};

/// The document after the patch.
pub fn json_merge(current: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else {
        return fail("Invalid JSON Patch");
    };
    let mut out = Vec::with_capacity(current.len() + 64);
    let mut scanner = Scanner::new(current);
    let merged = merge(Some(&mut scanner), patch, &mut out).and_then(|()| scanner.end());
    match merged {
        Ok(()) => Ok(out),
        Err(_) => fail("Invalid JSON Document"),
    }
}

/// Writes a value; it came from JSON, so this cannot fail.
pub(super) fn write(value: &Value) -> Result<Vec<u8>> {
    match serde_json::to_vec(value) {
        Ok(out) => Ok(out),
        Err(e) => fail(e.to_string()),
    }
}

/// Writes what becomes of the value that `target` stands at, and leaves it behind that value.
fn merge(target: Option<&mut Scanner<'_>>, patch: Value, out: &mut Vec<u8>) -> Result<()> {
    let Value::Object(mut patch) = patch else {
        if let Some(target) = target {
            target.skip(0)?;
        }
        out.extend_from_slice(&write(&patch)?);
        return Ok(());
    };
    out.push(b'{');
    let start = out.len();
    if let Some(target) = target {
        if target.peek() == b'{' {
            members(target, &mut patch, start, out)?;
        } else {
            target.skip(0)?;
        }
    }
    for (key, value) in patch {
        if !value.is_null() {
            separate(start, out);
            out.extend_from_slice(&write(&Value::String(key))?);
            out.push(b':');
            merge(None, value, out)?;
        }
    }
    out.push(b'}');
    Ok(())
}

/// Writes an object's members as the patch leaves them; what is left in `patch` is new.
fn members(
    target: &mut Scanner<'_>,
    patch: &mut Map<String, Value>,
    start: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    target.at += 1;
    let mut key = target.first_key()?;
    while let Some(name) = key {
        let change = patch.remove(name.string().as_ref());
        if matches!(change, Some(Value::Null)) {
            target.skip(0)?;
        } else {
            separate(start, out);
            out.push(b'"');
            out.extend_from_slice(name.raw);
            out.extend_from_slice(b"\":");
            match change {
                Some(change) => merge(Some(target), change, out)?,
                None => {
                    target.peek();
                    let from = target.at;
                    target.skip(0)?;
                    out.extend_from_slice(&target.data[from..target.at]);
                }
            }
        }
        key = target.next_key()?;
    }
    Ok(())
}

fn separate(start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (
                r#"{}"#,
                r#"{"a":{"bb":{"ccc":null}}}"#,
                r#"{"a":{"bb":{}}}"#,
            ),
        ] {
            let got = json_merge(target.as_bytes(), patch.as_bytes()).unwrap();
            assert_eq!(
                String::from_utf8(got).unwrap(),
                expected,
                "{target} {patch}"
            );
        }
        assert_eq!(json_merge(b"{}", b"{").unwrap_err().0, "Invalid JSON Patch");
        for broken in [&b"{"[..], b"", b"{}{}", br#"{"a":tru}"#] {
            assert_eq!(
                json_merge(broken, br#"{"b":1}"#).unwrap_err().0,
                "Invalid JSON Document"
            );
        }
    }

    #[test]
    fn what_is_not_named_stays_as_it_is_written() {
        let got = json_merge(
            br#"{"a" : 1.50, "b":{"\u0041": 12345678901234567890123}}"#,
            b"{\"c\":1}",
        );
        assert_eq!(
            got.unwrap(),
            br#"{"a":1.50,"b":{"\u0041": 12345678901234567890123},"c":1}"#
        );
    }
}
