//! Running expressions, with a meter for what it costs.

use super::ast::{Each, Expr, Node};
use super::authorizer::{CHECK_COST, Decision};
use super::functions::{price, run, shown};
use super::types::unescape;
use super::value::Value;
use super::{CALL_LIMIT, Program};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// It cost more than one call may.
    TooCostly,
    /// In cel-go's words.
    Error(String),
    /// It goes on when this question to the authorizer has been answered.
    Asks(String),
}

impl Failure {
    /// Whether nothing else can make up for it.
    fn ends(&self) -> bool {
        !matches!(self, Failure::Error(_))
    }
}

/// What an evaluation has cost.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub spent: u64,
}

impl Meter {
    fn pay(&mut self, cost: u64) -> Result<(), Failure> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > CALL_LIMIT {
            return Err(Failure::TooCostly);
        }
        Ok(())
    }
}

type Out<'v> = Result<Value<'v>, Failure>;

/// The value of an expression with these variables.
pub(crate) fn evaluate<'v>(
    program: &Program,
    names: Vec<(String, Value<'v>)>,
    meter: &mut Meter,
) -> Out<'v> {
    evaluate_in(program, names, meter, &Surroundings::default())
}

/// What else an expression may speak of.
#[derive(Default)]
pub(crate) struct Surroundings<'v> {
    /// Of the authorizer, by question.
    pub answers: HashMap<String, Rc<Decision>>,
    /// What `variables` are, worked out when they are first spoken of.
    pub variables: &'v [(String, Result<Program, String>)],
    pub known: RefCell<HashMap<usize, Out<'v>>>,
    /// What variables speak of.
    pub names: Vec<(String, Value<'v>)>,
}

/// The same, within surroundings.
pub(crate) fn evaluate_in<'v>(
    program: &Program,
    names: Vec<(String, Value<'v>)>,
    meter: &mut Meter,
    around: &Surroundings<'v>,
) -> Out<'v> {
    let mut runner = Runner {
        names,
        meter,
        around,
    };
    runner.expr(&program.root)
}

struct Runner<'v, 'm> {
    names: Vec<(String, Value<'v>)>,
    meter: &'m mut Meter,
    around: &'m Surroundings<'v>,
}

fn error<'v>(why: impl Into<String>) -> Out<'v> {
    Err(Failure::Error(why.into()))
}

impl<'v> Runner<'v, '_> {
    fn expr(&mut self, expr: &Expr) -> Out<'v> {
        match &expr.node {
            Node::Null => Ok(Value::Null),
            Node::Bool(value) => Ok(Value::Bool(*value)),
            Node::Int(value) => Ok(Value::Int(*value)),
            Node::Uint(value) => Ok(Value::Uint(*value)),
            Node::Double(value) => Ok(Value::Double(*value)),
            Node::Text(text) => Ok(Value::text(text.as_str())),
            Node::Bytes(data) => Ok(Value::Bytes(data.as_slice().into())),
            Node::Name(name) => {
                if let Some((_, value)) = self.names.iter().rev().find(|(known, _)| known == name) {
                    self.meter.pay(1)?;
                    return Ok(value.clone());
                }
                const KINDS: &[&str] = &[
                    "int",
                    "uint",
                    "double",
                    "bool",
                    "string",
                    "bytes",
                    "list",
                    "map",
                    "null_type",
                    "type",
                    "google.protobuf.Timestamp",
                    "google.protobuf.Duration",
                ];
                match KINDS.iter().find(|kind| *kind == name) {
                    Some(kind) => Ok(Value::Kind(kind)),
                    None => error(format!("no such attribute: {name}")),
                }
            }
            Node::Select {
                of,
                field,
                optional,
                test,
            } => {
                if matches!(&of.node, Node::Name(name) if name == "variables")
                    && let Some(at) = self
                        .around
                        .variables
                        .iter()
                        .position(|(name, _)| name == field)
                {
                    self.meter.pay(2)?;
                    let value = self.variable(at)?;
                    return Ok(if *test { Value::Bool(true) } else { value });
                }
                let of = self.expr(of)?;
                self.meter.pay(u64::from(!*test))?;
                if let Value::Question(question) = &of {
                    return question.field(field);
                }
                select(of, field, *optional, *test)
            }
            Node::Call { name, target, args } => self.call(name, target.as_deref(), args),
            Node::List(items) => {
                self.meter.pay(10)?;
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    out.extend(self.maybe(item)?);
                }
                Ok(Value::list(out))
            }
            Node::Maybe(of) => self.expr(of),
            Node::Struct(_, fields) => {
                self.meter.pay(40)?;
                let mut out: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(fields.len());
                for (name, value) in fields {
                    let name = Value::text(unescape(name));
                    out.extend(self.maybe(value)?.map(|value| (name, value)));
                }
                Ok(Value::Map(Rc::new(out)))
            }
            Node::Map(entries) => {
                self.meter.pay(30)?;
                let mut out: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let (key, value) = (self.expr(key)?, self.maybe(value)?);
                    let Some(value) = value else {
                        continue;
                    };
                    if out.iter().any(|(known, _)| known.same(&key)) {
                        return error("Failed with repeated key");
                    }
                    out.push((key, value));
                }
                Ok(Value::Map(Rc::new(out)))
            }
            Node::Each {
                what,
                range,
                name,
                second,
                filter,
                body,
            } => self.each(
                *what,
                range,
                name,
                second.as_deref(),
                filter.as_deref(),
                body,
            ),
            Node::Bind {
                name,
                value,
                body,
                optional,
            } => {
                let value = self.expr(value)?;
                self.meter.pay(1)?;
                let inner = match (optional, value) {
                    (None, value) => value,
                    (Some(_), Value::Optional(None)) => return Ok(Value::Optional(None)),
                    (Some(_), Value::Optional(Some(value))) => (*value).clone(),
                    _ => return error("no such overload"),
                };
                self.names.push((name.clone(), inner));
                let out = self.expr(body);
                self.names.pop();
                match optional {
                    Some(true) => Ok(Value::Optional(Some(Rc::new(out?)))),
                    _ => out,
                }
            }
        }
    }

    /// The value of an item; nothing where it is an empty optional.
    fn maybe(&mut self, item: &Expr) -> Result<Option<Value<'v>>, Failure> {
        let Node::Maybe(of) = &item.node else {
            return self.expr(item).map(Some);
        };
        match self.expr(of)? {
            Value::Optional(inner) => Ok(inner.map(|value| (*value).clone())),
            _ => Err(Failure::Error("no such overload".to_owned())),
        }
    }

    fn variable(&mut self, at: usize) -> Out<'v> {
        if let Some(known) = self.around.known.borrow().get(&at) {
            return known.clone();
        }
        let Some((name, program)) = self.around.variables.get(at) else {
            return error("no such variable");
        };
        // Until it has a value it has none: one that speaks of itself ends here.
        let circle = Err(Failure::Error(format!(
            "variable {name:?} refers to itself"
        )));
        self.around.known.borrow_mut().insert(at, circle);
        let value = match program {
            Ok(program) => evaluate_in(program, self.around.names.clone(), self.meter, self.around),
            Err(why) => error(why.clone()),
        };
        let value = value.map_err(|failure| match failure {
            Failure::Error(why) => Failure::Error(format!(
                "composited variable {name:?} fails to evaluate: {why}"
            )),
            other => other,
        });
        self.around.known.borrow_mut().insert(at, value.clone());
        value
    }

    fn call(&mut self, name: &str, target: Option<&Expr>, args: &[Expr]) -> Out<'v> {
        match (name, args) {
            ("_&&_", [a, b]) => return self.logic(a, b, false),
            ("_||_", [a, b]) => return self.logic(a, b, true),
            ("_?_:_", [condition, yes, no]) => {
                return match self.expr(condition)? {
                    Value::Bool(true) => self.expr(yes),
                    Value::Bool(false) => self.expr(no),
                    _ => error("no such overload"),
                };
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        for arg in target.into_iter().chain(args) {
            values.push(self.expr(arg)?);
        }
        if let Some(Value::Question(question)) = values.first() {
            if name == "check" {
                self.meter.pay(CHECK_COST)?;
            } else {
                self.meter.pay(1)?;
            }
            return question.method(name, &values[1..], &self.around.answers);
        }
        self.meter.pay(price(name, &values))?;
        run(name, &values).map_err(Failure::Error)
    }

    /// `&&` and `||`: what one side decides needs not the other, even where that fails.
    fn logic(&mut self, a: &Expr, b: &Expr, decides: bool) -> Out<'v> {
        let first = self.expr(a);
        match first {
            Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
            Err(ref failure) if failure.ends() => return first,
            _ => {}
        }
        match self.expr(b) {
            Ok(Value::Bool(value)) if value == decides => Ok(Value::Bool(decides)),
            Err(failure) if failure.ends() => Err(failure),
            second => match (first, second) {
                (Ok(Value::Bool(_)), Ok(Value::Bool(value))) => Ok(Value::Bool(value)),
                (Err(failure), _) | (_, Err(failure)) => Err(failure),
                _ => error("no such overload"),
            },
        }
    }

    fn each(
        &mut self,
        what: Each,
        range: &Expr,
        name: &str,
        second: Option<&str>,
        filter: Option<&Expr>,
        body: &Expr,
    ) -> Out<'v> {
        let range = self.expr(range)?;
        let items: Vec<(Value<'v>, Value<'v>)> = match range.items() {
            Some(items) => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| match second {
                    Some(_) => (Value::Int(i as i64), item),
                    None => (item, Value::Null),
                })
                .collect(),
            None => match range.entries() {
                Some(entries) => entries,
                None => return error("no such overload"),
            },
        };
        let before = self.names.len();
        let out = self.round(what, items, name, second, filter, body);
        self.names.truncate(before);
        out
    }

    fn round(
        &mut self,
        what: Each,
        items: Vec<(Value<'v>, Value<'v>)>,
        name: &str,
        second: Option<&str>,
        filter: Option<&Expr>,
        body: &Expr,
    ) -> Out<'v> {
        let mut failed = None;
        let mut count = 0_u64;
        let mut out = Vec::new();
        let around = match what {
            Each::All | Each::Exists => 3,
            Each::ExistsOne => 2,
            Each::TransformMap | Each::TransformMapEntry => 3,
            _ => 13,
        };
        let mut entries: Vec<(Value<'v>, Value<'v>)> = Vec::new();
        for (first, other) in items {
            self.meter.pay(around)?;
            let depth = self.names.len();
            self.names.push((name.to_owned(), first.clone()));
            if let Some(second) = second {
                self.names.push((second.to_owned(), other));
            }
            let kept = match filter {
                Some(filter) => self.expr(filter),
                None => Ok(Value::Bool(true)),
            };
            let dropped = matches!(kept, Ok(Value::Bool(false)));
            let value = match kept {
                Ok(Value::Bool(true)) => self.expr(body),
                other => other,
            };
            self.names.truncate(depth);
            match (what, value) {
                (_, Err(failure)) if failure.ends() => return Err(failure),
                (Each::All, Ok(Value::Bool(false))) => return Ok(Value::Bool(false)),
                (Each::Exists, Ok(Value::Bool(true))) => return Ok(Value::Bool(true)),
                (Each::All | Each::Exists, Ok(Value::Bool(_))) => {}
                (Each::All | Each::Exists, Ok(_)) => failed = Some("no such overload".to_owned()),
                (Each::All | Each::Exists, Err(Failure::Error(why))) => failed = Some(why),
                (_, Err(failure)) => return Err(failure),
                (Each::ExistsOne, Ok(Value::Bool(true))) => count += 1,
                (Each::ExistsOne, Ok(_)) => {}
                (Each::Filter, Ok(Value::Bool(true))) => out.push(first),
                (Each::Filter, Ok(_)) => {}
                (_, Ok(_)) if dropped => {}
                (Each::Map | Each::TransformList, Ok(value)) => out.push(value),
                (Each::TransformMap, Ok(value)) => entries.push((first, value)),
                (Each::SortBy, Ok(value)) => entries.push((value, first)),
                (Each::TransformMapEntry, Ok(value)) => {
                    for (key, value) in value.entries().unwrap_or_default() {
                        if entries.iter().any(|(known, _)| known.same(&key)) {
                            return error(format!(
                                "insert failed: key {} already exists",
                                shown(&key)
                            ));
                        }
                        entries.push((key, value));
                    }
                }
            }
        }
        if let Some(why) = failed {
            return error(why);
        }
        Ok(match what {
            Each::All => Value::Bool(true),
            Each::Exists => Value::Bool(false),
            Each::ExistsOne => Value::Bool(count == 1),
            Each::TransformMap | Each::TransformMapEntry => Value::Map(Rc::new(entries)),
            Each::SortBy => {
                entries.sort_by(|(a, _), (b, _)| a.order(b).unwrap_or(std::cmp::Ordering::Equal));
                Value::list(entries.into_iter().map(|(_, item)| item).collect())
            }
            Each::Map | Each::Filter | Each::TransformList => Value::list(out),
        })
    }
}

fn select<'v>(of: Value<'v>, field: &str, optional: bool, test: bool) -> Out<'v> {
    if let Value::Optional(inner) = of {
        return match inner {
            None if test => Ok(Value::Bool(false)),
            None => Ok(Value::Optional(None)),
            Some(inner) => select((*inner).clone(), field, true, test),
        };
    }
    let structured = matches!(&of, Value::Part(_, Some(schema)) if !schema.properties.is_empty());
    let name = if structured {
        unescape(field)
    } else {
        field.to_owned()
    };
    if !of.keyed() {
        return error("no such overload");
    }
    // A property that is null is not there.
    let found = of
        .get(&Value::text(name))
        .filter(|v| !structured || !matches!(v, Value::Null));
    if test {
        return Ok(Value::Bool(found.is_some()));
    }
    match found {
        Some(value) if optional => Ok(Value::Optional(Some(Rc::new(value)))),
        Some(value) => Ok(value),
        None if optional => Ok(Value::Optional(None)),
        None => error(format!("no such key: {field}")),
    }
}
