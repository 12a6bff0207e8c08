//! Types and estimated costs of an expression, before it ever runs.

use super::ast::{Each, Expr, Node};
use super::authorizer::{AUTHORIZER, RESOURCE_CHECK};
use super::functions::{Shape, run, signature};
use super::types::{REQUEST_MAX, Type, unescape};
use super::value::Value;
use super::{Program, Wrong};

/// What is known of an expression.
#[derive(Debug)]
pub(crate) struct Checked<'s> {
    /// Of its value.
    pub kind: Type<'s>,
    /// The most that one evaluation may cost.
    pub cost: u64,
    /// It speaks of `oldSelf`.
    pub old_self: bool,
    /// Why a part of it that is constant can never be worked out.
    pub fails: Option<String>,
}

struct Info<'s> {
    kind: Type<'s>,
    cost: u64,
}

struct Checker<'s> {
    names: Vec<(String, Type<'s>)>,
    old_self: bool,
    fails: Option<String>,
    /// Inside of what is handed to `format`.
    mixed: bool,
    /// Objects and patches may be made.
    structs: bool,
    /// What is wrong so far.
    found: Vec<Wrong>,
}

type Out<'s> = Result<Info<'s>, Wrong>;

/// What a message names at most, as cel-go.
const TOLD: usize = 100;

/// Checks an expression with these variables. The error says all that is wrong, as cel-go words it.
pub(crate) fn check<'s>(
    program: &Program,
    text: &str,
    names: Vec<(String, Type<'s>)>,
) -> Result<Checked<'s>, String> {
    check_with(program, text, names, false)
}

/// The same; with `structs`, `Object{}` and `JSONPatch{}` are known.
pub(crate) fn check_with<'s>(
    program: &Program,
    text: &str,
    names: Vec<(String, Type<'s>)>,
    structs: bool,
) -> Result<Checked<'s>, String> {
    let mut checker = Checker {
        names,
        old_self: false,
        fails: None,
        mixed: false,
        structs,
        found: Vec::new(),
    };
    let info = checker.expr(&program.root);
    let mut found = checker.found;
    if found.is_empty() {
        return Ok(Checked {
            kind: info.kind,
            cost: info.cost,
            old_self: checker.old_self,
            fails: checker.fails,
        });
    }
    found.sort_by_key(|wrong| wrong.at);
    let more = found.len().saturating_sub(TOLD);
    found.truncate(TOLD);
    let mut lines: Vec<String> = found.iter().map(|wrong| wrong.shown(text)).collect();
    if more > 0 {
        lines.push(format!("{more} more errors were truncated"));
    }
    Err(lines.join("\n"))
}

impl<'s> Checker<'s> {
    /// What is known of an expression; of one that is wrong nothing, so that the rest is looked at too.
    fn expr(&mut self, expr: &Expr) -> Info<'s> {
        self.known(expr).unwrap_or_else(|wrong| {
            self.found.push(wrong);
            Info {
                kind: Type::Dyn,
                cost: 0,
            }
        })
    }

    fn known(&mut self, expr: &Expr) -> Out<'s> {
        let leaf = |kind, cost| Ok(Info { kind, cost });
        match &expr.node {
            Node::Null => leaf(Type::Null, 0),
            Node::Bool(_) => leaf(Type::Bool, 0),
            Node::Int(_) => leaf(Type::Int, 0),
            Node::Uint(_) => leaf(Type::Uint, 0),
            Node::Double(_) => leaf(Type::Double, 0),
            Node::Text(text) => leaf(Type::Text(text.chars().count() as u64), 0),
            Node::Bytes(data) => leaf(Type::Bytes(data.len() as u64), 0),
            Node::Name(name) => self.name(expr.at, name),
            Node::Select {
                of,
                field,
                optional,
                test,
            } => self.select(expr.at, of, field, *optional, *test),
            Node::Call { name, target, args } => self.call(expr.at, name, target.as_deref(), args),
            Node::List(items) => {
                let mut cost: u64 = 10;
                let mut kind: Option<Type<'s>> = None;
                for item in items {
                    let info = self.expr(item);
                    cost = cost.saturating_add(info.cost);
                    kind = Some(match kind {
                        None => info.kind,
                        Some(known) => {
                            self.alike(item.at, &known, &info.kind);
                            join(known, info.kind)
                        }
                    });
                }
                let of = kind.unwrap_or(Type::Dyn);
                leaf(Type::List(Box::new(of), items.len() as u64), cost)
            }
            Node::Maybe(of) => {
                let info = self.expr(of);
                match info.kind {
                    Type::Optional(inner) => leaf(*inner, info.cost),
                    Type::Dyn => leaf(Type::Dyn, info.cost),
                    other => Err(no_overload(expr.at, "?", &[other], false)),
                }
            }
            Node::Struct(name, fields) => {
                if !self.structs
                    || !(matches!(name.as_str(), "Object" | "JSONPatch")
                        || name.starts_with("Object."))
                {
                    let why = format!("undeclared reference to '{name}' (in container '')");
                    return Err(Wrong::new(expr.at, why));
                }
                let mut cost: u64 = 40;
                for (field, value) in fields {
                    if name == "JSONPatch"
                        && !matches!(field.as_str(), "op" | "path" | "from" | "value")
                    {
                        return Err(Wrong::new(value.at, format!("undefined field '{field}'")));
                    }
                    cost = cost.saturating_add(self.expr(value).cost);
                }
                leaf(Type::Dyn, cost)
            }
            Node::Map(entries) => {
                let mut cost: u64 = 30;
                let mut kinds: Option<(Type<'s>, Type<'s>)> = None;
                for (key, value) in entries {
                    let (key_at, value_at) = (key.at, value.at);
                    let (key, value) = (self.expr(key), self.expr(value));
                    cost = cost.saturating_add(key.cost).saturating_add(value.cost);
                    kinds = Some(match kinds {
                        None => (key.kind, value.kind),
                        Some((k, v)) => {
                            self.alike(key_at, &k, &key.kind);
                            self.alike(value_at, &v, &value.kind);
                            (join(k, key.kind), join(v, value.kind))
                        }
                    });
                }
                let (key, value) = kinds.unwrap_or((Type::Dyn, Type::Dyn));
                leaf(
                    Type::Map(Box::new(key), Box::new(value), entries.len() as u64),
                    cost,
                )
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
                let value = self.expr(value);
                let inner = match (optional, value.kind) {
                    (None, kind) => kind,
                    (Some(_), Type::Optional(of)) => *of,
                    (Some(_), Type::Dyn) => Type::Dyn,
                    (Some(_), other) => {
                        return Err(no_overload(expr.at, "optMap", &[other], true));
                    }
                };
                self.names.push((name.clone(), inner));
                let body = self.expr(body);
                self.names.pop();
                let (kind, own) = match optional {
                    Some(true) => (Type::Optional(Box::new(body.kind)), 14),
                    Some(false) => (body.kind, 13),
                    None => (body.kind, 1),
                };
                leaf(
                    kind,
                    value.cost.saturating_add(body.cost).saturating_add(own),
                )
            }
        }
    }

    /// What a list or map holds is of one type, unless it is handed to `format`.
    fn alike(&mut self, at: usize, known: &Type<'_>, kind: &Type<'_>) {
        if !self.mixed && !known.fits(kind) {
            let why = format!(
                "expected type '{}' but found '{}'",
                known.name(),
                kind.name()
            );
            self.found.push(Wrong::new(at, why));
        }
    }

    fn name(&mut self, at: usize, name: &str) -> Out<'s> {
        if let Some((_, kind)) = self.names.iter().rev().find(|(known, _)| known == name) {
            if name == "oldSelf" {
                self.old_self = true;
            }
            return Ok(Info {
                kind: kind.clone(),
                cost: 1,
            });
        }
        if matches!(
            name,
            "int"
                | "uint"
                | "double"
                | "bool"
                | "string"
                | "bytes"
                | "list"
                | "map"
                | "null_type"
                | "type"
                | "google.protobuf.Timestamp"
                | "google.protobuf.Duration"
        ) {
            return Ok(Info {
                kind: Type::Kind,
                cost: 0,
            });
        }
        Err(Wrong::new(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        ))
    }

    fn select(&mut self, at: usize, of: &Expr, field: &str, optional: bool, test: bool) -> Out<'s> {
        let of = self.expr(of);
        let cost = of.cost.saturating_add(u64::from(!test));
        let (mut inner, mut optional) = (of.kind, optional);
        if let Type::Optional(of) = inner {
            inner = *of;
            optional = true;
        }
        let found = match &inner {
            Type::Dyn => Some(Type::Dyn),
            Type::Map(_, value, _) => Some((**value).clone()),
            Type::Object(schema, resource) => {
                let name = unescape(field);
                match name.as_str() {
                    "metadata" if *resource => Some(Type::Metadata),
                    "apiVersion" | "kind" if *resource => Some(Type::Text(REQUEST_MAX)),
                    _ => schema
                        .property(name.as_bytes())
                        .and_then(|of| Type::of(of, of.embedded)),
                }
            }
            Type::Record(_, fields) => fields
                .iter()
                .find(|(name, _)| name == field)
                .map(|(_, kind)| kind.clone()),
            Type::Opaque(name) if *name == AUTHORIZER && field == "requestResource" => {
                Some(Type::Opaque(RESOURCE_CHECK))
            }
            Type::Metadata => {
                // Nothing else of the metadata can be spoken of.
                match field {
                    "name" | "generateName" => Some(Type::Text(253)),
                    _ => None,
                }
            }
            other => {
                return Err(Wrong::new(
                    at,
                    format!("type '{}' does not support field selection", other.name()),
                ));
            }
        };
        let Some(kind) = found else {
            return Err(Wrong::new(at, format!("undefined field '{field}'")));
        };
        let kind = if test {
            Type::Bool
        } else if optional {
            Type::Optional(Box::new(kind))
        } else {
            kind
        };
        Ok(Info { kind, cost })
    }

    fn each(
        &mut self,
        what: Each,
        range: &Expr,
        name: &str,
        second: Option<&str>,
        filter: Option<&Expr>,
        body: &Expr,
    ) -> Out<'s> {
        let at = range.at;
        let range = self.expr(range);
        let most = range.kind.size();
        let (first, other) = match &range.kind {
            Type::List(of, _) if second.is_some() => (Type::Int, (**of).clone()),
            Type::List(of, _) => ((**of).clone(), Type::Dyn),
            Type::Map(key, value, _) => ((**key).clone(), (**value).clone()),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            other => {
                return Err(Wrong::new(
                    at,
                    format!(
                        "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                        other.name()
                    ),
                ));
            }
        };
        let before = self.names.len();
        self.names.push((name.to_owned(), first.clone()));
        if let Some(second) = second {
            self.names.push((second.to_owned(), other));
        }
        let filtered = filter.map(|f| self.expr(f));
        let body_info = self.expr(body);
        self.names.truncate(before);
        let boolean = |at: usize, kind: &Type<'_>| {
            if kind.fits(&Type::Bool) {
                Ok(())
            } else {
                Err(Wrong::new(
                    at,
                    format!("expected type 'bool' but found '{}'", kind.name()),
                ))
            }
        };
        if let (Some(info), Some(f)) = (&filtered, filter) {
            boolean(f.at, &info.kind)?;
        }
        if matches!(
            what,
            Each::All | Each::Exists | Each::ExistsOne | Each::Filter
        ) {
            boolean(body.at, &body_info.kind)?;
        }
        // What goes round besides the body: the condition, the step, the result.
        let around: u64 = match what {
            Each::All | Each::TransformMap | Each::TransformMapEntry => 3,
            Each::Exists => 4,
            Each::ExistsOne => 2,
            Each::Map | Each::TransformList | Each::SortBy => 14,
            Each::Filter => 15,
        };
        // And once: the result of the count, the map that is filled.
        let once: u64 = match what {
            Each::ExistsOne => 2,
            Each::TransformMap | Each::TransformMapEntry => 31,
            _ => 1,
        };
        let step = body_info
            .cost
            .saturating_add(filtered.map_or(0, |f| f.cost))
            .saturating_add(around);
        let cost = range
            .cost
            .saturating_add(step.saturating_mul(most))
            .saturating_add(once);
        let kind = match what {
            Each::Map | Each::TransformList => Type::List(Box::new(body_info.kind), most),
            Each::TransformMap => Type::Map(Box::new(first), Box::new(body_info.kind), most),
            Each::TransformMapEntry => match body_info.kind {
                Type::Map(key, value, _) => Type::Map(key, value, most),
                Type::Dyn => Type::Dyn,
                other => {
                    return Err(no_overload(
                        body.at,
                        "cel.@mapInsert",
                        &[Type::Dyn, other],
                        false,
                    ));
                }
            },
            Each::SortBy | Each::Filter => Type::List(Box::new(first), most),
            _ => Type::Bool,
        };
        Ok(Info { kind, cost })
    }

    /// Conversions of literals are made at once: those that cannot be are wrong.
    fn literal(&mut self, name: &str, given: &Expr) -> Result<(), Wrong> {
        let value = match &given.node {
            Node::Text(text) => Value::text(text.as_str()),
            Node::Bytes(data) => Value::Bytes(data.as_slice().into()),
            Node::Int(value) => Value::Int(*value),
            Node::Double(value) => Value::Double(*value),
            _ => return Ok(()),
        };
        match (name, &value) {
            ("duration" | "timestamp", Value::Text(_)) if run(name, &[value.clone()]).is_err() => {
                Err(Wrong::new(given.at, format!("invalid {name} argument")))
            }
            ("int" | "uint" | "double" | "bool" | "string", _) => {
                if let Err(why) = run(name, &[value])
                    && why != "no such overload"
                {
                    self.fails.get_or_insert(why);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn call(&mut self, at: usize, name: &str, target: Option<&Expr>, args: &[Expr]) -> Out<'s> {
        let mut kinds = Vec::with_capacity(args.len() + 1);
        let mut cost: u64 = 0;
        let mixed = self.mixed;
        self.mixed |= name == "format";
        for arg in target.into_iter().chain(args) {
            let info = self.expr(arg);
            cost = cost.saturating_add(info.cost);
            kinds.push(info.kind);
        }
        self.mixed = mixed;
        if let (
            "matches",
            Some(Expr {
                node: Node::Text(pattern),
                at,
                ..
            }),
        ) = (name, args.last())
            && regex::Regex::new(pattern).is_err()
        {
            return Err(Wrong::new(*at, "invalid matches argument"));
        }
        if let ([given], None) = (args, target) {
            self.literal(name, given)?;
        }
        if matches!(name, "_==_" | "_!=_")
            && args
                .iter()
                .zip(&kinds)
                .any(|(arg, kind)| unsized_(arg, kind))
        {
            let shape = signature(name, false, &kinds);
            if let Shape::Of(kind, _) = shape {
                return Ok(Info { kind, cost });
            }
        }
        match signature(name, target.is_some(), &kinds) {
            Shape::Unknown => Err(Wrong::new(
                at,
                format!("undeclared reference to '{name}' (in container '')"),
            )),
            Shape::Mismatch => Err(no_overload(at, name, &kinds, target.is_some())),
            Shape::Of(kind, own) => Ok(Info {
                kind,
                cost: cost.saturating_add(own),
            }),
        }
    }
}

/// Whether a value is one of the document's that has no size to compare: numbers, booleans, objects.
fn unsized_(of: &Expr, kind: &Type<'_>) -> bool {
    matches!(of.node, Node::Name(_) | Node::Select { test: false, .. })
        && matches!(
            kind,
            Type::Int | Type::Uint | Type::Double | Type::Bool | Type::Object(..)
        )
}

/// `method`: the first is what the function is called of.
fn no_overload(at: usize, name: &str, kinds: &[Type<'_>], method: bool) -> Wrong {
    let mut listed: Vec<String> = kinds.iter().map(Type::name).collect();
    let of = match method {
        true if !listed.is_empty() => format!("{}.", listed.remove(0)),
        _ => String::new(),
    };
    let why = format!(
        "found no matching overload for '{name}' applied to '{of}({})'",
        listed.join(", ")
    );
    Wrong::new(at, why)
}

/// The type of what may be either.
pub(super) fn join<'s>(a: Type<'s>, b: Type<'s>) -> Type<'s> {
    match (a, b) {
        (Type::Text(x), Type::Text(y)) => Type::Text(x.max(y)),
        (Type::List(a, x), Type::List(b, y)) => Type::List(Box::new(join(*a, *b)), x.max(y)),
        (Type::Null, other) | (other, Type::Null) => other,
        (a, b) if a.fits(&b) => a,
        _ => Type::Dyn,
    }
}
