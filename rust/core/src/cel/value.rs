//! Values while an expression runs. Objects and lists of the document stay where they are until a part is asked for.

use super::authorizer::{Decision, Question};
use crate::schema::{ListType, Schema, Type as Json};
use crate::wire::apply::tree::Node;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::rc::Rc;

#[derive(Debug, Clone)]
pub(crate) enum Value<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970.
    Timestamp(i128),
    List(Rc<Vec<Value<'v>>>),
    Map(Rc<Vec<(Value<'v>, Value<'v>)>>),
    /// A map of maps; what is not in it is an empty one.
    Domains(Rc<Vec<(Value<'v>, Value<'v>)>>),
    /// A list or object of the document.
    Part(&'v Node<'v>, Option<&'v Schema>),
    Optional(Option<Rc<Value<'v>>>),
    /// In billionths.
    Quantity(i128),
    Url(Rc<str>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Semver(Rc<[u64; 3]>, Rc<str>),
    Format(Rc<str>),
    /// What is being asked of the authorizer.
    Question(Rc<Question>),
    Decision(Rc<Decision>),
    Kind(&'static str),
}

impl<'v> Value<'v> {
    pub fn text(text: impl Into<Rc<str>>) -> Self {
        Value::Text(text.into())
    }

    pub fn list(items: Vec<Value<'v>>) -> Self {
        Value::List(Rc::new(items))
    }

    /// A value of the document, as its schema has it.
    pub fn of(node: &'v Node<'v>, schema: Option<&'v Schema>) -> Self {
        match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(*value),
            Node::Number(text) => {
                let text = std::str::from_utf8(text).unwrap_or("0");
                let float = schema.is_some_and(|s| s.kind == Json::Number);
                match text.parse::<i64>() {
                    Ok(value) if !float => Value::Int(value),
                    _ => Value::Double(text.parse().unwrap_or(f64::NAN)),
                }
            }
            Node::Text(text) => {
                let text = String::from_utf8_lossy(text);
                match schema.map_or("", |s| &*s.checks.format) {
                    "date" | "date-time" => match super::functions::timestamp(&text) {
                        Some(at) => Value::Timestamp(at),
                        None => Value::text(&*text),
                    },
                    "duration" => match super::functions::duration(&text) {
                        Some(span) => Value::Duration(span),
                        None => Value::text(&*text),
                    },
                    "byte" => match crate::wire::write::base64_decode(text.as_bytes()) {
                        Ok(data) => Value::Bytes(data.into()),
                        Err(_) => Value::text(&*text),
                    },
                    _ => Value::text(&*text),
                }
            }
            other => Value::Part(other, schema),
        }
    }

    /// Its type's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::List(_) | Value::Part(Node::List(_), _) => "list",
            Value::Map(_) | Value::Domains(_) | Value::Part(..) => "map",
            Value::Optional(_) => "optional_type",
            Value::Quantity(_) => "kubernetes.Quantity",
            Value::Url(_) => "kubernetes.URL",
            Value::Ip(_) => "net.IP",
            Value::Cidr(..) => "net.CIDR",
            Value::Semver(..) => "kubernetes.Semver",
            Value::Format(_) => "kubernetes.NamedFormat",
            Value::Question(of) => of.kind,
            Value::Decision(_) => super::authorizer::DECISION,
            Value::Kind(_) => "type",
        }
    }

    /// A list's items.
    pub fn items(&self) -> Option<Vec<Value<'v>>> {
        match self {
            Value::List(items) => Some(items.as_ref().clone()),
            Value::Part(Node::List(items), schema) => {
                let of = schema.and_then(|s| s.items.as_deref());
                Some(items.iter().map(|item| Value::of(item, of)).collect())
            }
            _ => None,
        }
    }

    /// Whether it has entries.
    pub fn keyed(&self) -> bool {
        matches!(
            self,
            Value::Map(_) | Value::Domains(_) | Value::Part(Node::Map(_), _)
        )
    }

    /// A map's or object's entries.
    pub fn entries(&self) -> Option<Vec<(Value<'v>, Value<'v>)>> {
        match self {
            Value::Map(entries) | Value::Domains(entries) => Some(entries.as_ref().clone()),
            Value::Part(Node::Map(entries), schema) => Some(
                entries
                    .iter()
                    .map(|(name, value)| {
                        let of =
                            schema.and_then(|s| s.property(name).or_else(|| s.additional_schema()));
                        (
                            Value::text(&*String::from_utf8_lossy(name)),
                            Value::of(value, of),
                        )
                    })
                    .collect(),
            ),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &Value<'_>) -> Option<Value<'v>> {
        match self {
            Value::Map(entries) => entries
                .iter()
                .find(|(k, _)| k.same(key))
                .map(|(_, v)| v.clone()),
            Value::Domains(entries) => {
                let found = entries.iter().find(|(k, _)| k.same(key));
                Some(found.map_or_else(|| Value::Map(Rc::default()), |(_, v)| v.clone()))
            }
            Value::Part(node @ Node::Map(_), schema) => {
                let Value::Text(name) = key else {
                    return None;
                };
                let found = node.get(name.as_bytes())?;
                let name = name.as_bytes();
                let of = schema.and_then(|s| s.property(name).or_else(|| s.additional_schema()));
                Some(Value::of(found, of))
            }
            _ => None,
        }
    }

    /// How many characters, bytes, items or entries; 1 for what has none.
    pub fn size(&self) -> u64 {
        match self {
            Value::Text(text) => text.chars().count() as u64,
            Value::Bytes(data) => data.len() as u64,
            Value::List(items) => items.len() as u64,
            Value::Map(entries) | Value::Domains(entries) => entries.len() as u64,
            Value::Part(Node::List(items), _) => items.len() as u64,
            Value::Part(node, _) => node.entries().len() as u64,
            _ => 1,
        }
    }

    /// Equality as CEL has it: numbers across types; lists of the types set and map without regard to order.
    pub fn same(&self, other: &Value<'_>) -> bool {
        if let Some(order) = self.order(other) {
            return order == Ordering::Equal;
        }
        match (self, other) {
            (Value::Null, Value::Null) => return true,
            (Value::Optional(a), Value::Optional(b)) => {
                return match (a, b) {
                    (None, None) => true,
                    (Some(a), Some(b)) => a.same(b),
                    _ => false,
                };
            }
            (Value::Url(a), Value::Url(b)) => return a == b,
            (Value::Ip(a), Value::Ip(b)) => return a == b,
            (Value::Cidr(a, n), Value::Cidr(b, m)) => return a == b && n == m,
            (Value::Kind(a), Value::Kind(b)) => return a == b,
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.items(), other.items()) {
            if a.len() != b.len() {
                return false;
            }
            let loose = |v: &Value<'_>| matches!(v, Value::Part(_, Some(s)) if matches!(s.list_type, ListType::Set | ListType::Map));
            if loose(self) || loose(other) {
                return a.iter().all(|x| b.iter().any(|y| x.same(y)))
                    && b.iter().all(|y| a.iter().any(|x| x.same(y)));
            }
            return a.iter().zip(&b).all(|(x, y)| x.same(y));
        }
        if let (Some(a), Some(b)) = (self.entries(), other.entries()) {
            return a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| other.get(key).is_some_and(|theirs| value.same(&theirs)));
        }
        false
    }

    /// Which is greater, of values that have an order.
    pub fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        use Value::{Bool, Bytes, Double, Duration, Int, Quantity, Semver, Text, Timestamp, Uint};
        match (self, other) {
            (Bool(a), Bool(b)) => Some(a.cmp(b)),
            (Int(a), Int(b)) => Some(a.cmp(b)),
            (Uint(a), Uint(b)) => Some(a.cmp(b)),
            (Int(a), Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Uint(a), Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Double(a), Double(b)) => a.partial_cmp(b),
            (Double(a), Int(b)) => a.partial_cmp(&(*b as f64)),
            (Int(a), Double(b)) => (*a as f64).partial_cmp(b),
            (Double(a), Uint(b)) => a.partial_cmp(&(*b as f64)),
            (Uint(a), Double(b)) => (*a as f64).partial_cmp(b),
            (Text(a), Text(b)) => Some(a.cmp(b)),
            (Bytes(a), Bytes(b)) => Some(a.cmp(b)),
            (Duration(a), Duration(b)) => Some(a.cmp(b)),
            (Timestamp(a), Timestamp(b)) => Some(a.cmp(b)),
            (Quantity(a), Quantity(b)) => Some(a.cmp(b)),
            (Semver(a, p), Semver(b, q)) => {
                Some(a.cmp(b).then_with(|| super::functions::semver_order(p, q)))
            }
            _ => None,
        }
    }
}
