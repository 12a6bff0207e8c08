//! JSON merge patch (RFC 7386).

use super::error::{Result, fail};
use serde_json::{Map, Value};

/// The document after the patch.
pub fn json_merge(current: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    let Ok(mut target) = serde_json::from_slice::<Value>(current) else {
        return fail("Invalid JSON Document");
    };
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else {
        return fail("Invalid JSON Patch");
    };
    merge(&mut target, patch);
    write(&target)
}

/// Writes a value; it came from JSON, so this cannot fail.
pub(super) fn write(value: &Value) -> Result<Vec<u8>> {
    match serde_json::to_vec(value) {
        Ok(out) => Ok(out),
        Err(e) => fail(e.to_string()),
    }
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
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
    }
}
