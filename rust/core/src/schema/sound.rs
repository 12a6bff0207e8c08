//! Whether a value is plainly as its schema has it. Nearly every object is, and then nothing has to be told, no path made
//! and nothing compared with what was before: a yes here is a yes of `validate`, a no means that `validate` is to look.

use super::model::{Additional, Checks, Schema, Type};
use super::numbers::Number;
use crate::wire::apply::tree::Node;

/// Whether `node` has no fault. False for what takes more to decide: formats, combinations, repeated items, floats with
/// limits.
pub(super) fn plainly(schema: &Schema, node: &Node<'_>) -> bool {
    let checks = &*schema.checks;
    if schema.int_or_string || !checks.format.is_empty() || combined(checks) {
        return false;
    }
    if !checks.allowed.is_empty() && !one_of(checks, node) {
        return false;
    }
    match (node, &schema.kind) {
        (Node::Text(text), Type::Text) => std::str::from_utf8(text).is_ok_and(|t| fits(checks, t)),
        (Node::Number(text), Type::Integer) => match Number::read(text) {
            Number::Int(value) => in_range(checks, value),
            Number::Float(_) => false,
        },
        (Node::Number(text), Type::Number) => {
            Number::read(text).float().is_finite()
                && checks.minimum.is_none()
                && checks.maximum.is_none()
                && checks.multiple_of.is_none()
        }
        (Node::Bool(_), Type::Boolean) => true,
        (Node::Map(entries), Type::Object) => object(schema, entries.len(), node),
        (Node::List(items), Type::Array) => {
            let size = items.len();
            !checks.unique_items
                && within(size, checks.min_items, checks.max_items)
                && schema
                    .items
                    .as_deref()
                    .is_none_or(|of| items.iter().all(|item| plainly(of, item)))
        }
        _ => false,
    }
}

fn combined(checks: &Checks) -> bool {
    !checks.any_of.is_empty()
        || !checks.one_of.is_empty()
        || !checks.all_of.is_empty()
        || checks.not.is_some()
}

fn one_of(checks: &Checks, node: &Node<'_>) -> bool {
    let mut value = Vec::with_capacity(32);
    node.write(&mut value);
    checks.allowed.iter().any(|one| **one == *value)
}

fn within(size: usize, least: Option<i64>, most: Option<i64>) -> bool {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most)
}

fn fits(checks: &Checks, text: &str) -> bool {
    // No text has more characters than bytes: most are short enough without being counted.
    let size = text.len();
    let short = checks.min_length.is_none()
        && checks
            .max_length
            .is_none_or(|most| i64::try_from(size).is_ok_and(|s| s <= most));
    (short || within(text.chars().count(), checks.min_length, checks.max_length))
        && checks.pattern.as_ref().is_none_or(|p| p.matches(text))
}

fn in_range(checks: &Checks, value: i64) -> bool {
    // Integers are compared as integers: the limit's fraction is cut off.
    checks.multiple_of.is_none()
        && checks
            .minimum
            .is_none_or(|m| value > m as i64 || (value == m as i64 && !checks.exclusive_minimum))
        && checks
            .maximum
            .is_none_or(|m| value < m as i64 || (value == m as i64 && !checks.exclusive_maximum))
}

fn object(schema: &Schema, size: usize, node: &Node<'_>) -> bool {
    let checks = &*schema.checks;
    if !within(size, checks.min_properties, checks.max_properties)
        || !checks
            .required
            .iter()
            .all(|name| node.get(name.as_bytes()).is_some())
    {
        return false;
    }
    node.entries().iter().all(|(name, value)| {
        if let Some(of) = schema.property(name) {
            return plainly(of, value);
        }
        match &schema.additional {
            Some(Additional::Schema(of)) => plainly(of, value),
            Some(Additional::Allowed(allowed)) => *allowed,
            None => true,
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::plainly;
    use crate::schema::Schema;
    use crate::wire::apply::tree::Node;

    fn sound(schema: &str, value: &str) -> bool {
        let schema = Schema::of_json(schema.as_bytes()).unwrap();
        plainly(&schema, &Node::parse(value.as_bytes()).unwrap())
    }

    #[test]
    fn values_at_their_limits() {
        for (schema, yes, no) in [
            (r#"{"type":"string","maxLength":2}"#, r#""äö""#, r#""äöü""#),
            (r#"{"type":"string","minLength":2}"#, r#""äö""#, r#""ä""#),
            (
                r#"{"type":"string","pattern":"^a+$"}"#,
                r#""aa""#,
                r#""ab""#,
            ),
            (r#"{"type":"string","enum":["a","b"]}"#, r#""b""#, r#""c""#),
            (r#"{"type":"integer","minimum":2}"#, "2", "1"),
            (
                r#"{"type":"integer","minimum":2,"exclusiveMinimum":true}"#,
                "3",
                "2",
            ),
            (r#"{"type":"integer","maximum":2}"#, "2", "3"),
            (
                r#"{"type":"integer","maximum":2,"exclusiveMaximum":true}"#,
                "1",
                "2",
            ),
            (r#"{"type":"integer","enum":[1,2]}"#, "2", "3"),
            (
                r#"{"type":"array","maxItems":1,"items":{"type":"integer"}}"#,
                "[1]",
                "[1,2]",
            ),
            (
                r#"{"type":"array","minItems":1,"items":{"type":"integer"}}"#,
                "[1]",
                "[]",
            ),
            (
                r#"{"type":"array","items":{"type":"integer"}}"#,
                "[1]",
                r#"["a"]"#,
            ),
            (
                r#"{"type":"object","required":["a"]}"#,
                r#"{"a":1}"#,
                r#"{"b":1}"#,
            ),
            (r#"{"type":"object","minProperties":1}"#, r#"{"a":1}"#, "{}"),
            (
                r#"{"type":"object","maxProperties":1}"#,
                r#"{"a":1}"#,
                r#"{"a":1,"b":1}"#,
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"boolean"}}}"#,
                r#"{"a":true,"unknown":1}"#,
                r#"{"a":"true"}"#,
            ),
            (
                r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
                r#"{"a":"x"}"#,
                r#"{"a":1}"#,
            ),
            (r#"{"type":"boolean"}"#, "false", "0"),
            (r#"{"type":"string"}"#, r#""""#, "null"),
        ] {
            assert!(sound(schema, yes), "{schema} {yes}");
            assert!(!sound(schema, no), "{schema} {no}");
        }
    }

    /// A no sends the value to `validate`: these may be right, but not at a glance.
    #[test]
    fn what_takes_more_to_decide_is_left_alone() {
        for (schema, value) in [
            (r#"{"type":"string","format":"date"}"#, r#""2024-01-01""#),
            (r#"{"x-kubernetes-int-or-string":true}"#, "1"),
            (r#"{"type":"number","minimum":0}"#, "1.5"),
            (r#"{"type":"integer","multipleOf":2}"#, "2"),
            (r#"{"type":"integer"}"#, "1.0"),
            (r#"{"type":"integer"}"#, "99999999999999999999"),
            (
                r#"{"type":"array","uniqueItems":true,"items":{"type":"integer"}}"#,
                "[1]",
            ),
            (r#"{"type":"string","anyOf":[{"minLength":1}]}"#, r#""a""#),
            (r#"{"type":"string","not":{"enum":["b"]}}"#, r#""a""#),
            (r#"{"type":"string","nullable":true}"#, "null"),
            (r#"{"x-kubernetes-preserve-unknown-fields":true}"#, "{}"),
        ] {
            assert!(!sound(schema, value), "{schema} {value}");
        }
    }
}
