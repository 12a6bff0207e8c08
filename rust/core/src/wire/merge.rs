//! JSON merge patch (RFC 7386). What the patch does not name is copied as it stands.

use super::error::{Result, fail};
use super::scan::Scanner;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::ops::Range;

/// The document after the patch.
pub fn json_merge(current: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else {
        return fail("Invalid JSON Patch");
    };
    let mut out = Vec::with_capacity(current.len() + 64);
    let mut scanner = Scanner::new(current);
    let merged = merge(Some(&mut scanner), patch, &mut out).and_then(|_| scanner.end());
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

/// Writes what becomes of the value that `target` stands at, and leaves it behind that value. Whether anything is new
/// in it: then its members stand in the order of their names, as Go writes maps, and findings come in that order.
fn merge(target: Option<&mut Scanner<'_>>, patch: Value, out: &mut Vec<u8>) -> Result<bool> {
    let Value::Object(mut patch) = patch else {
        if let Some(target) = target {
            target.skip(0)?;
        }
        out.extend_from_slice(&write(&patch)?);
        return Ok(true);
    };
    out.push(b'{');
    let start = out.len();
    let mut places = Vec::new();
    let mut news = false;
    if let Some(target) = target {
        if target.peek() == b'{' {
            news = members(target, &mut patch, &mut places, out)?;
        } else {
            target.skip(0)?;
        }
    }
    for (key, value) in patch {
        if !value.is_null() {
            let from = out.len();
            out.extend_from_slice(&write(&Value::String(key.clone()))?);
            out.push(b':');
            merge(None, value, out)?;
            out.push(b',');
            places.push((Cow::Owned(key), from..out.len()));
            news = true;
        }
    }
    if news && !places.is_sorted_by(|a, b| a.0 <= b.0) {
        places.sort_by(|a, b| a.0.cmp(&b.0));
        let written = out.split_off(start);
        for (_, place) in &places {
            out.extend_from_slice(&written[place.start - start..place.end - start]);
        }
    }
    if !places.is_empty() {
        out.pop();
    }
    out.push(b'}');
    Ok(news)
}

/// A member's name, and where it stands with the comma behind it.
type Place<'a> = (Cow<'a, str>, Range<usize>);

/// Writes an object's members as the patch leaves them; what is left in `patch` is new. Whether anything in them is.
fn members<'a>(
    target: &mut Scanner<'a>,
    patch: &mut Map<String, Value>,
    places: &mut Vec<Place<'a>>,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let mut news = false;
    target.at += 1;
    let mut key = target.first_key()?;
    while let Some(name) = key {
        let text = name.string();
        let change = patch.remove(text.as_ref());
        if matches!(change, Some(Value::Null)) {
            target.skip(0)?;
        } else {
            let start = out.len();
            out.push(b'"');
            out.extend_from_slice(name.raw);
            out.extend_from_slice(b"\":");
            match change {
                Some(change @ (Value::Object(_) | Value::Array(_))) => {
                    news |= merge(Some(target), change, out)?
                }
                Some(change) => {
                    merge(Some(target), change, out)?;
                }
                None => {
                    target.peek();
                    let from = target.at;
                    target.skip(0)?;
                    out.extend_from_slice(&target.data[from..target.at]);
                }
            }
            out.push(b',');
            places.push((text, start..out.len()));
        }
        key = target.next_key()?;
    }
    Ok(news)
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
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
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
    fn what_is_new_stands_in_the_order_of_names() {
        for (target, patch, expected) in [
            (
                r#"{"kind":"A","data":{"z":1}}"#,
                r#"{"foo":1,"data":{"b":2}}"#,
                r#"{"data":{"b":2,"z":1},"foo":1,"kind":"A"}"#,
            ),
            // Nothing is new: nothing moves.
            (r#"{"z":1,"a":2}"#, r#"{"a":3}"#, r#"{"z":1,"a":3}"#),
            (
                r#"{"z":{"y":1},"a":2}"#,
                r#"{"z":{"b":1}}"#,
                r#"{"a":2,"z":{"b":1,"y":1}}"#,
            ),
        ] {
            let got = json_merge(target.as_bytes(), patch.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), expected);
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
