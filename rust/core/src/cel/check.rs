//! Types of an expression, before it ever runs.

use super::ast::{Each, Expr, Node};
use super::authorizer::{AUTHORIZER, RESOURCE_CHECK};
use super::estimate::{self, Kinds};
use super::functions::{Shape, run, signature};
use super::types::{REQUEST_MAX, Type, unescape};
use super::value::Value;
use super::{Program, Wrong};
use crate::schema::Schema;

/// What is known of an expression.
#[derive(Debug)]
pub(crate) struct Checked<'s> {
    /// Of its value.
    pub kind: Type<'s>,
    /// It speaks of `oldSelf`.
    pub old_self: bool,
    /// Why a part of it that is constant can never be worked out.
    pub fails: Option<String>,
    kinds: Kinds<'s>,
}

impl<'s> Checked<'s> {
    /// The most that one evaluation of the program may cost, where `self` is of a schema; `true`: a resource.
    pub fn cost(&self, program: &Program, root: Option<(&'s Schema, bool)>) -> u64 {
        estimate::cost(&program.root, &self.kinds, root)
    }
}

struct Checker<'s> {
    names: Vec<(String, Type<'s>)>,
    kinds: Kinds<'s>,
    old_self: bool,
    fails: Option<String>,
    /// Inside of what is handed to `format`.
    mixed: bool,
    /// Objects and patches may be made.
    structs: bool,
    /// What is wrong so far.
    found: Vec<Wrong>,
}

type Out<'s> = Result<Type<'s>, Wrong>;

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
        kinds: Kinds::new(),
        old_self: false,
        fails: None,
        mixed: false,
        structs,
        found: Vec::new(),
    };
    let kind = checker.expr(&program.root);
    let mut found = checker.found;
    if found.is_empty() {
        return Ok(Checked {
            kind,
            old_self: checker.old_self,
            fails: checker.fails,
            kinds: checker.kinds,
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
    fn expr(&mut self, expr: &Expr) -> Type<'s> {
        let kind = self.known(expr).unwrap_or_else(|wrong| {
            self.found.push(wrong);
            Type::Dyn
        });
        self.kinds.insert(expr, kind.clone());
        kind
    }

    fn known(&mut self, expr: &Expr) -> Out<'s> {
        match &expr.node {
            Node::Null => Ok(Type::Null),
            Node::Bool(_) => Ok(Type::Bool),
            Node::Int(_) => Ok(Type::Int),
            Node::Uint(_) => Ok(Type::Uint),
            Node::Double(_) => Ok(Type::Double),
            Node::Text(text) => Ok(Type::Text(text.chars().count() as u64)),
            Node::Bytes(data) => Ok(Type::Bytes(data.len() as u64)),
            Node::Name(name) => self.name(expr.at, name),
            Node::Select {
                of,
                field,
                optional,
                test,
            } => self.select(expr.at, of, field, *optional, *test),
            Node::Call { name, target, args } => self.call(expr.at, name, target.as_deref(), args),
            Node::List(items) => {
                let mut kind: Option<Type<'s>> = None;
                for item in items {
                    let found = self.expr(item);
                    kind = Some(match kind {
                        None => found,
                        Some(known) => {
                            self.alike(item.at, &known, &found);
                            join(known, found)
                        }
                    });
                }
                let of = kind.unwrap_or(Type::Dyn);
                Ok(Type::List(Box::new(of), items.len() as u64))
            }
            Node::Maybe(of) => match self.expr(of) {
                Type::Optional(inner) => Ok(*inner),
                Type::Dyn => Ok(Type::Dyn),
                other => Err(no_overload(expr.at, "?", &[other], false)),
            },
            Node::Struct(name, fields) => {
                if !self.structs
                    || !(matches!(name.as_str(), "Object" | "JSONPatch")
                        || name.starts_with("Object."))
                {
                    let why = format!("undeclared reference to '{name}' (in container '')");
                    return Err(Wrong::new(expr.at, why));
                }
                for (field, value) in fields {
                    if name == "JSONPatch"
                        && !matches!(field.as_str(), "op" | "path" | "from" | "value")
                    {
                        return Err(Wrong::new(value.at, format!("undefined field '{field}'")));
                    }
                    self.expr(value);
                }
                Ok(Type::Dyn)
            }
            Node::Map(entries) => {
                let mut kinds: Option<(Type<'s>, Type<'s>)> = None;
                for (key, value) in entries {
                    let (key_at, value_at) = (key.at, value.at);
                    let (key, value) = (self.expr(key), self.expr(value));
                    kinds = Some(match kinds {
                        None => (key, value),
                        Some((k, v)) => {
                            self.alike(key_at, &k, &key);
                            self.alike(value_at, &v, &value);
                            (join(k, key), join(v, value))
                        }
                    });
                }
                let (key, value) = kinds.unwrap_or((Type::Dyn, Type::Dyn));
                Ok(Type::Map(
                    Box::new(key),
                    Box::new(value),
                    entries.len() as u64,
                ))
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
                if optional.is_none() {
                    // Kubernetes has the macro where devices are chosen, and nowhere else.
                    let why = "undeclared reference to 'cel' (in container '')";
                    return Err(Wrong::new(expr.at, why));
                }
                let inner = match (optional, self.expr(value)) {
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
                Ok(match optional {
                    Some(true) => Type::Optional(Box::new(body)),
                    _ => body,
                })
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
            return Ok(kind.clone());
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
            return Ok(Type::Kind);
        }
        Err(Wrong::new(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        ))
    }

    fn select(&mut self, at: usize, of: &Expr, field: &str, optional: bool, test: bool) -> Out<'s> {
        let (mut inner, mut optional) = (self.expr(of), optional);
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
        Ok(if test {
            Type::Bool
        } else if optional {
            Type::Optional(Box::new(kind))
        } else {
            kind
        })
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
        let most = range.size();
        let (first, other) = match &range {
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
        let made = self.expr(body);
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
        if let (Some(kind), Some(f)) = (&filtered, filter) {
            boolean(f.at, kind)?;
        }
        if matches!(
            what,
            Each::All | Each::Exists | Each::ExistsOne | Each::Filter
        ) {
            boolean(body.at, &made)?;
        }
        Ok(match what {
            Each::Map | Each::TransformList => Type::List(Box::new(made), most),
            Each::TransformMap => Type::Map(Box::new(first), Box::new(made), most),
            Each::TransformMapEntry => match made {
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
        })
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
            ("duration" | "timestamp", Value::Text(_))
                if run(name, std::slice::from_ref(&value)).is_err() =>
            {
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
        let mixed = self.mixed;
        self.mixed |= name == "format";
        for arg in target.into_iter().chain(args) {
            kinds.push(self.expr(arg));
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
        match signature(name, target.is_some(), &kinds) {
            Shape::Unknown => Err(Wrong::new(
                at,
                format!("undeclared reference to '{name}' (in container '')"),
            )),
            Shape::Mismatch => Err(no_overload(at, name, &kinds, target.is_some())),
            Shape::Of(kind) => Ok(kind),
        }
    }
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
