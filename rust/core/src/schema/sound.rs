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
