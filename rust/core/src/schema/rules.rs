//! `x-kubernetes-validations`: rules checked as a definition is written and run as objects are.

use super::model::{ListType, Rule, Schema, Type};
use super::paths;
use super::problem::{Cause, Problem, quoted};
use super::validate::{OldItems, old_field};
use crate::cel::{self, Failure, Meter, Program, Value};
use crate::wire::apply::tree::Node;

/// Bytes of a message that an expression makes.
const MESSAGE_MAX: usize = 5 * 1024;
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";
/// Why rules did not run.
const SKIPPED: &str = "some validation rules were not checked because the object was invalid; correct the existing \
                       errors to complete validation";

/// A rule that can run.
#[derive(Debug)]
pub(crate) struct Ready {
    rule: Program,
    message: Option<Program>,
    old_self: bool,
}

fn names<'s>(
    schema: &'s Schema,
    root: bool,
    optional: bool,
) -> Option<Vec<(String, cel::Type<'s>)>> {
    let own = cel::Type::of(schema, root)?;
    let old = if optional {
        cel::Type::Optional(Box::new(own.clone()))
    } else {
        own.clone()
    };
    Some(vec![("self".into(), own), ("oldSelf".into(), old)])
}

fn prepare(schema: &Schema, rule: &Rule, root: bool) -> Result<Ready, String> {
    let text = rule.rule.trim();
    let program = Program::parse(text)?;
    let known = names(schema, root, rule.optional_old_self == Some(true)).ok_or("no type")?;
    let checked = cel::check(&program, text, known)?;
    let message = match rule.message_expression.trim() {
        "" => None,
        text => Program::parse(text).ok(),
    };
    Ok(Ready {
        rule: program,
        message,
        old_self: checked.old_self,
    })
}

/// Whether any rule stands in the schema.
pub(super) fn any(schema: &Schema) -> bool {
    !schema.rules.is_empty()
        || schema.properties.iter().any(|(_, of)| any(of))
        || schema.items.as_deref().is_some_and(any)
        || schema.additional_schema().is_some_and(any)
}

/// Runs the rules of an object, unless what is wrong with it already would mislead them.
pub(super) fn run<'n>(
    schema: &'n Schema,
    new: &'n Node<'n>,
    old: Option<&'n Node<'n>>,
    out: &mut Vec<Problem>,
) {
    if !any(schema) {
        return;
    }
    let blocks = |p: &Problem| {
        matches!(
            p.cause,
            Cause::NotSupported
                | Cause::Required
                | Cause::TooLong
                | Cause::TooMany
                | Cause::TypeInvalid
        )
    };
    if out.iter().any(blocks) {
        out.push(Problem::invalid("<nil>", *b"null", SKIPPED));
        return;
    }
    let mut walk = Walk {
        left: cel::OBJECT_LIMIT,
        ended: false,
        out,
    };
    let nearest = (new, old);
    walk.value(schema, new, old, nearest, "", true);
}

/// The nearest part that can be told from one revision to another, which may be the one looked at: as it is and as it
/// was. Items of an atomic list cannot be told, the list itself can.
type Nearest<'n> = (&'n Node<'n>, Option<&'n Node<'n>>);

struct Walk<'o> {
    left: u64,
    ended: bool,
    out: &'o mut Vec<Problem>,
}

impl Walk<'_> {
    fn value<'n>(
        &mut self,
        schema: &'n Schema,
        new: &'n Node<'n>,
        old: Option<&'n Node<'n>>,
        nearest: Nearest<'n>,
        path: &str,
        root: bool,
    ) {
        if *new == Node::Null || self.ended || !any(schema) {
            return;
        }
        let nearest = if old.is_some() { (new, old) } else { nearest };
        let old = old.filter(|o| **o != Node::Null);
        for rule in &schema.rules {
            self.rule(schema, rule, new, old, nearest, path, root);
            if self.ended {
                return;
            }
        }
        match new {
            Node::List(items) => {
                let Some(of) = schema.items.as_deref() else {
                    return;
                };
                let before = old.and_then(|o| OldItems::between(schema, o));
                for (i, item) in items.iter().enumerate() {
                    let old = before.as_ref().and_then(|b| b.find(item));
                    self.value(of, item, old, nearest, &paths::index(path, i), false);
                }
            }
            Node::Map(entries) => {
                for (name, value) in entries {
                    let property = schema.property(name);
                    let Some(of) = property.or_else(|| schema.additional_schema()) else {
                        continue;
                    };
                    if !any(of) {
                        continue;
                    }
                    let text = String::from_utf8_lossy(name);
                    let old = old.and_then(|o| old_field(schema, o, name));
                    let here = if property.is_some() {
                        paths::child(path, &text)
                    } else {
                        paths::key(path, &text)
                    };
                    self.value(of, value, old, nearest, &here, false);
                }
            }
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments)] // what is known of one rule at one place
    fn rule<'n>(
        &mut self,
        schema: &'n Schema,
        rule: &'n Rule,
        new: &'n Node<'n>,
        old: Option<&'n Node<'n>>,
        nearest: Nearest<'n>,
        path: &str,
        root: bool,
    ) {
        let place = if path.is_empty() { "<nil>" } else { path };
        let kind = || quoted(schema.kind.name());
        let ready = match rule.ready.get_or_init(|| prepare(schema, rule, root)) {
            Ok(ready) => ready,
            Err(error) => {
                let detail = format!("rule compile error: compilation failed: {error}");
                self.out.push(Problem::invalid(place, kind(), detail));
                return;
            }
        };
        let optional = rule.optional_old_self == Some(true);
        if ready.old_self && old.is_none() && !optional {
            return;
        }
        let variables = || {
            let mut out = vec![("self".to_owned(), Value::of(new, Some(schema)))];
            let before = old.map(|o| Value::of(o, Some(schema)));
            if optional {
                out.push((
                    "oldSelf".to_owned(),
                    Value::Optional(before.map(Into::into)),
                ));
            } else if let Some(before) = before {
                out.push(("oldSelf".to_owned(), before));
            }
            out
        };
        let mut meter = Meter::default();
        let result = cel::evaluate(&ready.rule, variables(), &mut meter);
        let shown = || {
            let text = rule.message.trim();
            if text.is_empty() {
                rule.rule.trim()
            } else {
                text
            }
            .to_owned()
        };
        if result != Err(Failure::TooCostly) && !self.pay(meter.spent) {
            self.ended = true;
            self.out
                .push(Problem::invalid(place, kind(), OUT_OF_BUDGET));
            return;
        }
        match result {
            Ok(true) => {}
            Ok(false) => self.failed(schema, rule, ready, new, nearest, path, variables()),
            Err(Failure::TooCostly) => {
                self.ended = true;
                let why = "operation cancelled: actual cost limit exceeded";
                let detail = format!(
                    "'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                    shown()
                );
                self.out.push(Problem::invalid(place, kind(), detail));
            }
            Err(Failure::Error(why)) if why.starts_with("no such overload") => {
                let detail = format!(
                    "'{why}': call arguments did not match a supported operator, function or macro signature for \
                     rule: {}",
                    shown()
                );
                self.out.push(Problem::invalid(place, kind(), detail));
            }
            // A rule has no authorizer to ask.
            Err(Failure::Error(why) | Failure::Asks(why)) => {
                let detail = format!("{why} evaluating rule: {}", shown());
                self.out.push(Problem::invalid(place, kind(), detail));
            }
        }
    }

    fn pay(&mut self, cost: u64) -> bool {
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    #[allow(clippy::too_many_arguments)] // what is known of one rule at one place
    fn failed<'n>(
        &mut self,
        schema: &Schema,
        rule: &Rule,
        ready: &Ready,
        new: &Node<'n>,
        nearest: Nearest<'n>,
        path: &str,
        variables: Vec<(String, Value<'n>)>,
    ) {
        // What did not change may stay as it is, unless the rule is about change.
        if !ready.old_self && nearest.1 == Some(nearest.0) {
            return;
        }
        let mut detail = match rule.message.trim() {
            "" => format!("failed rule: {}", rule.rule.trim()),
            message => message.to_owned(),
        };
        if let Some(program) = &ready.message {
            let mut meter = Meter::default();
            let made = cel::text(program, variables, &mut meter);
            self.left = self.left.saturating_sub(meter.spent);
            if let Ok(text) = made {
                let text = text.trim();
                if !text.is_empty() && text.len() <= MESSAGE_MAX && !text.contains(['\n', '\r']) {
                    text.clone_into(&mut detail);
                }
            }
        }
        let place = match normal(&rule.field_path) {
            below if below.is_empty() => path.to_owned(),
            below => paths::child(path, &below),
        };
        let place = if place.is_empty() {
            "<nil>".to_owned()
        } else {
            place
        };
        let mut value = Vec::new();
        if !matches!(schema.kind, Type::Object | Type::Array) {
            new.write(&mut value);
        }
        self.out.push(match rule.reason.as_deref() {
            Some("FieldValueForbidden") => Problem::forbidden(place, detail),
            Some("FieldValueRequired") => Problem::required(place, detail),
            Some("FieldValueDuplicate") => Problem::new(Cause::Duplicate, place, value, ""),
            _ => Problem::invalid(place, value, detail),
        });
    }
}

/// `.spec['a-b'].c` as paths are told: `spec[a-b].c`.
fn normal(path: &str) -> String {
    path.trim()
        .trim_start_matches('.')
        .replace("['", "[")
        .replace("']", "]")
}

/// What is wrong with the rules of a schema, and the costs that they add to its total.
pub(super) struct Costs {
    total: u64,
    most: Vec<(u64, String)>,
}

/// How many of the most expensive expressions a refusal names.
const NAMED: usize = 4;
/// Which part of the limit an expression must cost to be named.
const NAMED_FROM: u64 = 100;

impl Costs {
    pub fn new() -> Self {
        Costs {
            total: 0,
            most: Vec::new(),
        }
    }

    fn add(&mut self, cost: u64, path: String) {
        self.total = self.total.saturating_add(cost);
        if cost < cel::SCHEMA_LIMIT / NAMED_FROM {
            return;
        }
        self.most.push((cost, path));
        self.most.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        self.most.truncate(NAMED);
    }

    /// Refuses a schema whose rules cost too much together.
    pub fn finish(self, path: &str, out: &mut Vec<Problem>) {
        if self.total <= cel::SCHEMA_LIMIT {
            return;
        }
        for (_, place) in &self.most {
            out.push(Problem::forbidden(
                place,
                "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
            ));
        }
        let words =
            "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        out.push(Problem::forbidden(
            path,
            over(words, self.total, cel::SCHEMA_LIMIT),
        ));
    }
}

fn over(what: &str, cost: u64, limit: u64) -> String {
    let times = cost as f64 / limit as f64;
    let factor = if times > 100.0 {
        "more than 100x".to_owned()
    } else if times < 1.5 {
        format!("{times:.6}x")
    } else {
        format!("{times:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}

/// Checks the rules of one schema. `count` is how often it may occur in an object, where that is bounded; `moving` the
/// path of the part whose items cannot be told apart from one revision to another.
pub(super) fn check(
    schema: &Schema,
    path: &str,
    root: bool,
    count: Option<u64>,
    moving: Option<&str>,
    costs: &mut Costs,
    out: &mut Vec<Problem>,
) {
    let list = paths::child(path, "x-kubernetes-validations");
    let times = count.unwrap_or_else(|| cel::REQUEST_MAX / (cel::least(schema) + 1));
    for (i, rule) in schema.rules.iter().enumerate() {
        let at = |name: &str| paths::child(&paths::index(&list, i), name);
        let text = &*rule.rule;
        if text.trim().is_empty() {
            continue;
        }
        let optional = rule.optional_old_self == Some(true);
        let shown = || rule_json(rule);
        let Some(known) = names(schema, root, optional) else {
            out.push(Problem::invalid(
                at("rule"),
                shown(),
                "rules are not supported for schemas without a type that rules can speak of",
            ));
            continue;
        };
        let compiled = Program::parse(text).and_then(|program| {
            let checked = cel::check(&program, text, known.clone())?;
            let cost = checked.cost(&program, Some((schema, root)));
            Ok((checked, cost))
        });
        match compiled {
            Err(error) => {
                out.push(Problem::invalid(
                    at("rule"),
                    shown(),
                    format!("compilation failed: {error}"),
                ));
                continue;
            }
            Ok((checked, cost)) => {
                if !matches!(checked.kind, cel::Type::Bool) {
                    out.push(Problem::invalid(
                        at("rule"),
                        shown(),
                        "cel expression must evaluate to a bool",
                    ));
                    continue;
                }
                if let Some(why) = checked.fails {
                    out.push(Problem::invalid(
                        at("rule"),
                        shown(),
                        format!("program instantiation failed: {why}"),
                    ));
                    continue;
                }
                let cost = cost.saturating_mul(times);
                if cost > cel::EXPRESSION_LIMIT {
                    out.push(Problem::forbidden(
                        at("rule"),
                        over("estimated rule cost", cost, cel::EXPRESSION_LIMIT),
                    ));
                }
                costs.add(cost, at("rule"));
                if checked.old_self {
                    if let Some(moving) = moving {
                        out.push(Problem::invalid(
                            at("rule"),
                            quoted(&rule.rule),
                            format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {moving}"),
                        ));
                    }
                } else if let Some(given) = rule.optional_old_self {
                    out.push(Problem::invalid(
                        at("optionalOldSelf"),
                        given.to_string(),
                        "may not be set if oldSelf is not used in rule",
                    ));
                }
            }
        }
        let text = rule.message_expression.trim();
        if text.is_empty() {
            continue;
        }
        let compiled = Program::parse(text).and_then(|program| {
            let checked = cel::check(&program, text, known)?;
            let cost = checked.cost(&program, Some((schema, root)));
            Ok((checked, cost))
        });
        match compiled {
            Err(error) => out.push(Problem::invalid(
                at("messageExpression"),
                shown(),
                format!("messageExpression compilation failed: {error}"),
            )),
            Ok((checked, _)) if !matches!(checked.kind, cel::Type::Text(_) | cel::Type::Dyn) => {
                out.push(Problem::invalid(
                    at("messageExpression"),
                    shown(),
                    "messageExpression must evaluate to a string",
                ));
            }
            Ok((_, cost)) => {
                if cost > cel::EXPRESSION_LIMIT {
                    out.push(Problem::forbidden(
                        at("messageExpression"),
                        over(
                            "estimated messageExpression cost",
                            cost,
                            cel::EXPRESSION_LIMIT,
                        ),
                    ));
                }
                costs.add(cost, at("messageExpression"));
            }
        }
    }
    let below = |most: Option<i64>| {
        let most = u64::try_from(most?).ok()?;
        count?.checked_mul(most)
    };
    for (name, of) in &schema.properties {
        let here = paths::key(&paths::child(path, "properties"), name);
        let lost = if schema.atomic_map() {
            Some(moving.unwrap_or(path))
        } else {
            moving
        };
        check(of, &here, false, count, lost, costs, out);
    }
    if let Some(of) = schema.additional_schema() {
        let here = paths::child(path, "additionalProperties");
        check(
            of,
            &here,
            false,
            below(schema.checks.max_properties),
            moving,
            costs,
            out,
        );
    }
    if let Some(of) = schema.items.as_deref() {
        let here = paths::child(path, "items");
        let lost = if schema.list_type == ListType::Map {
            moving
        } else {
            Some(moving.unwrap_or(path))
        };
        check(
            of,
            &here,
            false,
            below(schema.checks.max_items),
            lost,
            costs,
            out,
        );
    }
}

/// A rule as upstream's own struct shows it.
fn rule_json(rule: &Rule) -> Vec<u8> {
    let text = |value: &str| String::from_utf8_lossy(&quoted(value)).into_owned();
    let reason = rule.reason.as_deref().map_or("null".into(), text);
    let optional = rule
        .optional_old_self
        .map_or("null".into(), |given| given.to_string());
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{reason},\"FieldPath\":{},\
         \"OptionalOldSelf\":{optional}}}",
        text(&rule.rule),
        text(&rule.message),
        text(&rule.message_expression),
        text(&rule.field_path),
    )
    .into_bytes()
}
