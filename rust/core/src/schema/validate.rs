//! Values against a schema: the words, and the choice among the errors of alternatives, are those of
//! k8s.io/kube-openapi's pkg/validation/validate.

use super::formats;
use super::model::{Additional, Checks, ListType, Schema, Type};
use super::numbers::{Number, near_whole, shown};
use super::problem::{Cause, Problem, quoted};
use super::sound;
use crate::wire::apply::tree::Node;
use std::collections::HashSet;

/// What came of a check. `matches` counts what was right: of several alternatives the nearest one is told of.
#[derive(Default)]
struct Outcome {
    errors: Vec<Fault>,
    matches: u32,
}

/// An error before it is told: `said` is the whole message, by which repeated ones are known.
struct Fault {
    problem: Problem,
    said: String,
}

impl Outcome {
    fn add(&mut self, fault: Fault) {
        if self.errors.iter().all(|known| known.said != fault.said) {
            self.errors.push(fault);
        }
    }

    fn merge(&mut self, other: Outcome) {
        for fault in other.errors {
            self.add(fault);
        }
        self.matches += other.matches;
    }

    fn valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// An object's value and what it was before, where that can be told.
#[derive(Clone, Copy)]
struct Pair<'n, 'a> {
    new: &'n Node<'a>,
    old: Option<&'n Node<'a>>,
    /// The structural schema that tells how parts of the old value are found.
    shape: Option<&'n Schema>,
}

/// What is wrong with a value below `base`. With `old`, faults of what did not change are passed over.
pub(super) fn validate<'n, 'a>(
    schema: &'n Schema,
    new: &'n Node<'a>,
    old: Option<&'n Node<'a>>,
    base: &str,
) -> Vec<Problem> {
    if sound::plainly(schema, new) {
        return Vec::new();
    }
    let pair = Pair {
        new,
        old,
        shape: Some(schema),
    };
    let outcome = ratcheted(schema, pair, "");
    outcome
        .errors
        .into_iter()
        .map(|fault| {
            let mut problem = fault.problem;
            let name = problem.path.trim_start_matches('.');
            problem.path = match (base.is_empty(), name.is_empty()) {
                (_, true) if base.is_empty() => "<nil>".to_owned(),
                (_, true) => base.to_owned(),
                (true, false) => name.to_owned(),
                (false, false) => format!("{base}.{name}"),
            };
            problem
        })
        .collect()
}

/// A part that can be compared with what it was: unchanged, its faults do not count.
fn ratcheted(schema: &Schema, pair: Pair<'_, '_>, path: &str) -> Outcome {
    let outcome = all(schema, pair, path);
    if !outcome.valid() && pair.old == Some(pair.new) {
        return Outcome {
            errors: Vec::new(),
            matches: outcome.matches,
        };
    }
    outcome
}

fn json(node: &Node<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    node.write(&mut out);
    out
}

fn fault(cause: Cause, path: &str, value: Vec<u8>, detail: String) -> Fault {
    Fault {
        said: format!("{path}\u{0}{detail}"),
        problem: Problem::new(cause, path, value, detail),
    }
}

/// A fault of a combination of schemas: upstream names no field.
fn unnamed(detail: String) -> Fault {
    fault(Cause::Invalid, "", quoted(""), detail)
}

fn type_name(schema: &Schema) -> String {
    if schema.int_or_string {
        "integer,string".to_owned()
    } else {
        schema.kind.name().to_owned()
    }
}

fn takes(schema: &Schema, name: &str) -> bool {
    if schema.int_or_string {
        return name == "integer" || name == "string";
    }
    schema.kind.name() == name
}

fn wrong_type(path: &str, wanted: &str, found: &str) -> Outcome {
    let mut out = Outcome::default();
    out.add(fault(
        Cause::TypeInvalid,
        path,
        quoted(found),
        format!("{path} in body must be of type {wanted}: {found:?}"),
    ));
    out
}

fn all(schema: &Schema, pair: Pair<'_, '_>, path: &str) -> Outcome {
    let mut out = Outcome::default();
    let node = pair.new;
    if *node == Node::Null {
        out.merge(types(schema, node, path));
        if let Some(found) = allowed(&schema.checks, node, path) {
            out.merge(found);
        }
        return out;
    }
    let format = formats::of(schema);
    if schema.kind != Type::Unset || schema.int_or_string || !format.is_empty() {
        out.merge(types(schema, node, path));
        out.matches += 1;
    }
    out.merge(combined(schema, pair, path));
    out.matches += 1;
    match node {
        Node::Text(text) => {
            let text = String::from_utf8_lossy(text);
            if let Some(found) = texts(&schema.checks, &text, path) {
                out.merge(found);
            }
            out.matches += 1;
            if !format.is_empty() {
                if !formats::valid(format, &text) {
                    out.add(fault(
                        Cause::TypeInvalid,
                        path,
                        json(node),
                        format!("{path} in body must be of type {format}: {text:?}"),
                    ));
                }
                out.matches += 1;
            }
        }
        Node::Number(text) => {
            out.merge(numbers(schema, Number::read(text), node, path));
            out.matches += 1;
        }
        Node::List(items) => {
            out.merge(list(schema, items, pair, path));
            out.matches += 1;
        }
        _ => {}
    }
    if let Some(found) = allowed(&schema.checks, node, path) {
        out.merge(found);
    }
    out.matches += 1;
    if let Node::Map(_) = node {
        out.merge(object(schema, pair, path));
        out.matches += 1;
    }
    out.matches += 1;
    out
}

fn types(schema: &Schema, node: &Node<'_>, path: &str) -> Outcome {
    let ok = Outcome {
        errors: Vec::new(),
        matches: 1,
    };
    let unset = schema.kind == Type::Unset && !schema.int_or_string;
    let found = match node {
        Node::Null => {
            if !unset && !schema.nullable {
                return wrong_type(path, &type_name(schema), "null");
            }
            return ok;
        }
        Node::Bool(_) => "boolean",
        Node::Number(text) => match Number::read(text) {
            Number::Int(_) => "integer",
            Number::Float(_) => "number",
        },
        Node::Text(_) => "string",
        Node::List(_) => "array",
        Node::Map(_) | Node::Raw(_) | Node::Owned(_) => "object",
    };
    let whole_float = match node {
        Node::Number(text) => {
            let number = Number::read(text);
            matches!(number, Number::Float(_)) && number.whole() && takes(schema, "integer")
        }
        _ => false,
    };
    let int_as_float = found == "integer" && takes(schema, "number");
    let format = formats::of(schema);
    let fits = takes(schema, found) || whole_float || int_as_float;
    let textual = matches!(node, Node::Text(_) | Node::List(_));
    if !textual && !format.is_empty() && !fits {
        let own = match found {
            "integer" => "int64",
            "number" => "float64",
            _ => "",
        };
        if own != format {
            return wrong_type(path, format, own);
        }
    }
    let numeric = takes(schema, "number") || takes(schema, "integer");
    if !numeric && !format.is_empty() && textual {
        return ok;
    }
    if unset && format.is_empty() {
        return ok;
    }
    if !fits {
        return wrong_type(path, &type_name(schema), found);
    }
    ok
}

fn combined(schema: &Schema, pair: Pair<'_, '_>, path: &str) -> Outcome {
    let checks = &schema.checks;
    let mut out = Outcome::default();
    if !checks.any_of.is_empty() {
        let mut best: Option<Outcome> = None;
        let mut right = None;
        for one in &checks.any_of {
            let outcome = all(one, pair, path);
            if outcome.valid() {
                right = Some(outcome);
                break;
            }
            if best.as_ref().is_none_or(|b| outcome.matches > b.matches) {
                best = Some(outcome);
            }
        }
        match right {
            Some(right) => out.merge(right),
            None => {
                out.add(unnamed(format!(
                    "{path:?} must validate at least one schema (anyOf)"
                )));
                if let Some(best) = best {
                    out.merge(best);
                }
            }
        }
    }
    if !checks.one_of.is_empty() {
        let mut best: Option<Outcome> = None;
        let mut first = None;
        let mut right = 0;
        for one in &checks.one_of {
            let outcome = all(one, pair, path);
            if outcome.valid() {
                right += 1;
                best = None;
                first = first.or(Some(outcome));
            } else if right == 0 && best.as_ref().is_none_or(|b| outcome.matches > b.matches) {
                best = Some(outcome);
            }
        }
        if right == 1 {
            if let Some(first) = first {
                out.merge(first);
            }
        } else {
            let more = if right == 0 {
                "Found none valid".to_owned()
            } else {
                format!("Found {right} valid alternatives")
            };
            out.add(unnamed(format!(
                "{path:?} must validate one and only one schema (oneOf). {more}"
            )));
            if let Some(best) = best {
                out.merge(best);
            }
        }
    }
    if !checks.all_of.is_empty() {
        let mut right = 0;
        for one in &checks.all_of {
            let outcome = all(one, pair, path);
            right += usize::from(outcome.valid());
            out.merge(outcome);
        }
        if right != checks.all_of.len() {
            let more = if right == 0 { ". None validated" } else { "" };
            out.add(unnamed(format!(
                "{path:?} must validate all the schemas (allOf){more}"
            )));
        }
    }
    if let Some(not) = &checks.not
        && all(not, pair, path).valid()
    {
        out.add(unnamed(format!(
            "{path:?} must not validate the schema (not)"
        )));
    }
    out.matches += 1;
    out
}

fn texts(checks: &Checks, text: &str, path: &str) -> Option<Outcome> {
    let mut out = Outcome::default();
    let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let value = || quoted(text);
    if let Some(most) = checks.max_length.filter(|most| length() > *most) {
        // What is told is the limit alone: the text may be long.
        let detail = format!("may not be more than {most} bytes");
        out.add(fault(Cause::TooLong, path, Vec::new(), detail));
        return Some(out);
    }
    if let Some(least) = checks.min_length.filter(|least| length() < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        out.add(fault(Cause::Invalid, path, value(), detail));
        return Some(out);
    }
    let pattern = checks.pattern.as_ref()?;
    if pattern.matches(text) {
        return None;
    }
    let detail = format!("{path} in body should match '{}'", pattern.text);
    out.add(fault(Cause::Invalid, path, value(), detail));
    Some(out)
}

fn numbers(schema: &Schema, number: Number, node: &Node<'_>, path: &str) -> Outcome {
    let checks = &schema.checks;
    let mut out = Outcome::default();
    let format = &*checks.format;
    let single = !schema.int_or_string;
    if single
        && let Some(detail) = out_of_range(&schema.kind, format, number)
        && !path.is_empty()
    {
        out.add(unnamed(format!(
            "Checked value must be of type {detail} in {path}"
        )));
    }
    let mut told =
        |value: Vec<u8>, detail: String| out.add(fault(Cause::Invalid, path, value, detail));
    if let Some(factor) = checks.multiple_of {
        let mut wrong = |detail: String| told(json(node), detail);
        match number {
            Number::Int(value) if factor as i64 > 0 => {
                if value % (factor as i64) != 0 {
                    wrong(format!(
                        "{path} in body should be a multiple of {}",
                        factor as i64
                    ));
                }
            }
            // Beside an integer the factor is one, too: what is left of it is told of.
            _ if factor <= 0.0 || matches!(number, Number::Int(_)) => {
                let factor = match number {
                    Number::Int(_) => (factor as i64).to_string(),
                    Number::Float(_) => shown(factor),
                };
                told(
                    factor.clone().into_bytes(),
                    format!("factor MultipleOf declared for {path} must be positive: {factor}"),
                );
            }
            _ => {
                let times = if factor < 1.0 {
                    1.0 / factor * number.float()
                } else {
                    number.float() / factor
                };
                if !near_whole(times) {
                    wrong(format!(
                        "{path} in body should be a multiple of {}",
                        shown(factor)
                    ));
                }
            }
        }
    }
    let mut wrong = |detail: String| told(json(node), detail);
    // Integers are compared as integers: the limit's fraction is cut off.
    let limit = |limit: f64| match number {
        Number::Int(_) => (limit as i64).to_string(),
        Number::Float(_) => shown(limit),
    };
    let order = |limit: f64| match number {
        Number::Int(value) => value.partial_cmp(&(limit as i64)),
        Number::Float(value) => value.partial_cmp(&limit),
    };
    if let Some(most) = checks.maximum {
        use std::cmp::Ordering::{Equal, Greater};
        let over = match order(most) {
            Some(Greater) => true,
            Some(Equal) => checks.exclusive_maximum,
            _ => false,
        };
        if over {
            let words = if checks.exclusive_maximum {
                "less than"
            } else {
                "less than or equal to"
            };
            wrong(format!("{path} in body should be {words} {}", limit(most)));
        }
    }
    if let Some(least) = checks.minimum {
        use std::cmp::Ordering::{Equal, Less};
        let under = match order(least) {
            Some(Less) => true,
            Some(Equal) => checks.exclusive_minimum,
            _ => false,
        };
        if under {
            let words = if checks.exclusive_minimum {
                "greater than"
            } else {
                "greater than or equal to"
            };
            wrong(format!("{path} in body should be {words} {}", limit(least)));
        }
    }
    out.matches += 1;
    out
}

/// What a number should have been that its type's format has no room for.
fn out_of_range(kind: &Type, format: &str, number: Number) -> Option<String> {
    let (fits, name) = match (kind, format) {
        (Type::Integer, "int32") => (
            matches!(number, Number::Int(v) if i32::try_from(v).is_ok())
                || matches!(number, Number::Float(v) if v.fract() == 0.0 && v.abs() < 2_147_483_648.0),
            "integer",
        ),
        (Type::Integer, _) => match number {
            Number::Int(_) => (true, "integer"),
            Number::Float(v) => (v.fract() == 0.0 && v.abs() < 1e18, "integer"),
        },
        (Type::Number, "float") => (number.float().abs() <= f64::from(f32::MAX), "number"),
        _ => (true, ""),
    };
    if fits {
        return None;
    }
    if format == "int32" || format == "int64" || format == "float" || format == "double" {
        Some(format!("{name} with format {format}"))
    } else {
        Some(format!("{name} (default format)"))
    }
}

fn allowed(checks: &Checks, node: &Node<'_>, path: &str) -> Option<Outcome> {
    if checks.allowed.is_empty() {
        return None;
    }
    let value = json(node);
    let number = match node {
        Node::Number(text) => Some(Number::read(text)),
        _ => None,
    };
    let found = checks.allowed.iter().any(|one| {
        **one == *value
            || number.is_some_and(|n| {
                matches!(one.first(), Some(b'-' | b'0'..=b'9')) && as_one(n, Number::read(one))
            })
    });
    if found && *node != Node::Null {
        return None;
    }
    let names: Vec<String> = checks
        .allowed
        .iter()
        .map(|one| match Node::parse(one) {
            Ok(Node::Text(text)) => String::from_utf8_lossy(&text).into_owned(),
            _ => String::from_utf8_lossy(one).into_owned(),
        })
        .collect();
    let shown: Vec<&str> = names.iter().map(String::as_str).collect();
    let problem = Problem::not_supported(path, value, &shown);
    let mut out = Outcome::default();
    out.add(Fault {
        said: format!("{path}\u{0}enum {}", problem.detail),
        problem,
    });
    Some(out)
}

/// Whether a number is one that is allowed, as Go compares them: made into the allowed one's type, which for an integer
/// cuts off the fraction.
fn as_one(number: Number, allowed: Number) -> bool {
    match (number, allowed) {
        (Number::Float(value), Number::Int(allowed)) => value.trunc() as i64 == allowed,
        _ => number.float() == allowed.float(),
    }
}

fn too_many(path: &str, count: usize, most: i64, what: &str) -> Fault {
    Fault {
        said: format!("{path} in body should have at most {most} {what}"),
        problem: Problem::new(
            Cause::TooMany,
            path,
            count.to_string(),
            if most == 1 {
                "must have at most 1 item".to_owned()
            } else {
                format!("must have at most {most} items")
            },
        ),
    }
}

fn list(schema: &Schema, items: &[Node<'_>], pair: Pair<'_, '_>, path: &str) -> Outcome {
    let mut out = Outcome::default();
    if let Some(of) = schema.items.as_deref() {
        let before = OldItems::of(pair);
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let next = Pair {
                new: item,
                old: before.as_ref().and_then(|b| b.find(item)),
                shape: pair.shape.and_then(|s| s.items.as_deref()),
            };
            out.merge(part(of, next, &path));
        }
    }
    let checks = &schema.checks;
    let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if let Some(least) = checks.min_items.filter(|least| size < *least) {
        out.add(fault(
            Cause::Invalid,
            path,
            items.len().to_string().into_bytes(),
            format!("{path} in body should have at least {least} items"),
        ));
    }
    if let Some(most) = checks.max_items.filter(|most| size > *most) {
        out.add(too_many(path, items.len(), most, "items"));
    }
    if checks.unique_items {
        let mut seen = HashSet::new();
        if !items.iter().all(|item| seen.insert(json(item))) {
            out.add(fault(
                Cause::Invalid,
                path,
                quoted(""),
                format!("{path} in body shouldn't contain duplicates"),
            ));
        }
    }
    out.matches += 1;
    out
}

/// A part of a value: compared with what it was where that is known.
fn part(schema: &Schema, pair: Pair<'_, '_>, path: &str) -> Outcome {
    if pair.old.is_some() {
        ratcheted(schema, pair, path)
    } else {
        all(schema, pair, path)
    }
}

/// The items of the old list by their keys: only of lists of type map it can be told which became which.
pub(super) struct OldItems<'n, 'a> {
    keys: &'n [Box<str>],
    items: &'n [Node<'a>],
}

impl<'n, 'a> OldItems<'n, 'a> {
    fn of(pair: Pair<'n, 'a>) -> Option<Self> {
        Self::between(pair.shape?, pair.old?)
    }

    pub fn between(shape: &'n Schema, old: &'n Node<'a>) -> Option<Self> {
        if shape.list_type != ListType::Map || shape.list_keys.is_empty() {
            return None;
        }
        Some(OldItems {
            keys: &shape.list_keys,
            items: old.items(),
        })
    }

    pub fn find(&self, item: &Node<'_>) -> Option<&'n Node<'a>> {
        // An item that lacks one of its keys is told from none.
        let keys: Option<Vec<_>> = self
            .keys
            .iter()
            .map(|key| Some((key.as_bytes(), item.get(key.as_bytes())?)))
            .collect();
        let keys = keys?;
        self.items
            .iter()
            .find(|old| keys.iter().all(|(key, value)| old.get(key) == Some(value)))
    }
}

/// The old value of a field, where it can be told.
pub(super) fn old_field<'n, 'a>(
    shape: &Schema,
    old: &'n Node<'a>,
    name: &[u8],
) -> Option<&'n Node<'a>> {
    if shape.atomic_map() {
        return None;
    }
    old.get(name)
}

fn object(schema: &Schema, pair: Pair<'_, '_>, path: &str) -> Outcome {
    let mut out = Outcome::default();
    let entries = pair.new.entries();
    let checks = &schema.checks;
    let size = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    if let Some(least) = checks.min_properties.filter(|least| size < *least) {
        out.add(fault(
            Cause::Invalid,
            path,
            entries.len().to_string().into_bytes(),
            format!("{path} in body should have at least {least} properties"),
        ));
    }
    if let Some(most) = checks.max_properties.filter(|most| size > *most) {
        out.add(too_many(path, entries.len(), most, "properties"));
    }
    let below = |name: &[u8], value| {
        let shape = pair.shape;
        let of = shape.and_then(|s| s.property(name).or_else(|| s.additional_schema()));
        let meta = path.is_empty() && (name == b"apiVersion" || name == b"kind");
        let old = match (shape, pair.old) {
            (Some(shape), Some(old)) if !meta => old_field(shape, old, name),
            _ => None,
        };
        Pair {
            new: value,
            old,
            shape: of,
        }
    };
    match &schema.additional {
        Some(Additional::Allowed(false)) => {
            for (name, _) in entries {
                if schema.property(name).is_none() {
                    let name = String::from_utf8_lossy(name);
                    out.add(fault(
                        Cause::Invalid,
                        path,
                        quoted(&name),
                        format!("{path}.{name} in body is a forbidden property"),
                    ));
                }
            }
        }
        Some(Additional::Schema(of)) => {
            for (name, value) in entries {
                if schema.property(name).is_none() {
                    let path = format!("{path}.{}", String::from_utf8_lossy(name));
                    out.merge(part(of, below(name, value), &path));
                }
            }
        }
        _ => {}
    }
    for (name, of) in &schema.properties {
        if let Some(value) = pair.new.get(name.as_bytes()) {
            let path = if path.is_empty() {
                name.to_string()
            } else {
                format!("{path}.{name}")
            };
            out.merge(part(of, below(name.as_bytes(), value), &path));
        }
    }
    for name in &checks.required {
        if pair.new.get(name.as_bytes()).is_none() {
            let path = format!("{path}.{name}");
            out.add(Fault {
                said: format!("{path} in body is required"),
                problem: Problem::required(path, ""),
            });
        }
    }
    out
}
