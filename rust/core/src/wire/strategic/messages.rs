//! Messages in upstream's words, which print values as Go's `%v` does.

use super::Object;
use serde_json::Value;

pub(super) fn unknown_directive(directive: &Value, map: &Object) -> String {
    format!(
        "unknown patch type: {} in map: {}",
        go_print(directive),
        go_map(map)
    )
}

pub(super) fn no_merge_key(map: &Object, key: &str) -> String {
    format!(
        "map: {} does not contain declared merge key: {key}",
        go_map(map)
    )
}

pub(super) fn bad_type(expected: &str, actual: &Value) -> String {
    let actual = match actual {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    format!("expected a {expected}, but received a {actual}")
}

/// Go's `%v`.
pub(super) fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => go_list(items),
        Value::Object(map) => go_map(map),
        other => other.to_string(),
    }
}

pub(super) fn go_map(map: &Object) -> String {
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by_key(|(key, _)| *key);
    let shown: Vec<String> = members
        .iter()
        .map(|(k, v)| format!("{k}:{}", go_print(v)))
        .collect();
    format!("map[{}]", shown.join(" "))
}

pub(super) fn go_list(items: &[Value]) -> String {
    let shown: Vec<String> = items.iter().map(go_print).collect();
    format!("[{}]", shown.join(" "))
}
