//! Running expressions, with a meter for what it costs.

use super::ast::{Each, Expr, Node};
use super::functions::{price, run};
use super::types::unescape;
use super::value::Value;
use super::{CALL_LIMIT, Program};
use std::rc::Rc;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// It cost more than one call may.
    TooCostly,
    /// In cel-go's words.
    Error(String),
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
    let mut runner = Runner { names, meter };
    runner.expr(&program.root)
}

struct Runner<'v, 'm> {
    names: Vec<(String, Value<'v>)>,
    meter: &'m mut Meter,
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
                self.meter.pay(1)?;
                if let Some((_, value)) = self.names.iter().rev().find(|(known, _)| known == name) {
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
                let of = self.expr(of)?;
                self.meter.pay(1)?;
                select(of, field, *optional, *test)
            }
            Node::Call { name, target, args } => self.call(name, target.as_deref(), args),
            Node::List(items) => {
                self.meter.pay(10)?;
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.expr(item)).collect();
                Ok(Value::list(items?))
            }
            Node::Map(entries) => {
                self.meter.pay(30)?;
                let mut out: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let (key, value) = (self.expr(key)?, self.expr(value)?);
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
        self.meter.pay(price(name, &values))?;
        run(name, &values).map_err(Failure::Error)
    }

    /// `&&` and `||`: what one side decides needs not the other, even where that fails.
    fn logic(&mut self, a: &Expr, b: &Expr, decides: bool) -> Out<'v> {
        let first = self.expr(a);
        match first {
            Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
            Err(Failure::TooCostly) => return first,
            _ => {}
        }
        match self.expr(b) {
            Ok(Value::Bool(value)) if value == decides => Ok(Value::Bool(decides)),
            Err(Failure::TooCostly) => Err(Failure::TooCostly),
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
            Each::ExistsOne => 4,
            Each::Map | Each::Filter => 13,
        };
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
            let value = match kept {
                Ok(Value::Bool(true)) => self.expr(body),
                other => other,
            };
            self.names.truncate(depth);
            match (what, value) {
                (_, Err(Failure::TooCostly)) => return Err(Failure::TooCostly),
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
                (Each::Map, Ok(Value::Bool(false))) if filter.is_some() => {}
                (Each::Map, Ok(value)) => out.push(value),
            }
        }
        if let Some(why) = failed {
            return error(why);
        }
        Ok(match what {
            Each::All => Value::Bool(true),
            Each::Exists => Value::Bool(false),
            Each::ExistsOne => Value::Bool(count == 1),
            Each::Map | Each::Filter => Value::list(out),
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
    if of.entries().is_none() {
        return error("no such overload");
    }
    let found = of.get(&Value::text(name));
    if test {
        return Ok(Value::Bool(
            found.is_some_and(|v| !structured || !matches!(v, Value::Null)),
        ));
    }
    match found {
        Some(value) if optional => Ok(Value::Optional(Some(Rc::new(value)))),
        Some(value) => Ok(value),
        None if optional => Ok(Value::Optional(None)),
        None => error(format!("no such key: {field}")),
    }
}
