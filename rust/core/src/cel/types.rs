//! Types of expressions. Sizes stand in them: the most that a value of the type can hold, by which costs are estimated.

use crate::schema::{Schema, Type as Json};
use std::rc::Rc;

/// The most bytes of a request, and so of any value in it.
pub(crate) const REQUEST_MAX: u64 = 3 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(crate) enum Type<'s> {
    /// Anything: what no schema tells of, or int-or-string.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    /// With the most characters.
    Text(u64),
    Bytes(u64),
    Duration,
    Timestamp,
    /// With the most items.
    List(Box<Type<'s>>, u64),
    Map(Box<Type<'s>>, Box<Type<'s>>, u64),
    /// An object of a schema; `true`: a resource, which has metadata.
    Object(&'s Schema, bool),
    /// metadata of a resource.
    Metadata,
    Optional(Box<Type<'s>>),
    /// Fields with types, by a name.
    Record(&'static str, Rc<Vec<(String, Type<'s>)>>),
    /// Quantity, URL, IP, CIDR, Semver, Format.
    Opaque(&'static str),
    Kind,
}

impl<'s> Type<'s> {
    /// Of values of a schema; nothing where rules cannot speak of it.
    pub fn of(schema: &'s Schema, resource: bool) -> Option<Self> {
        let checks = &schema.checks;
        if schema.int_or_string {
            return Some(Type::Dyn);
        }
        let size = |given: Option<i64>, other: u64| {
            given.and_then(|v| u64::try_from(v).ok()).unwrap_or(other)
        };
        // The limit is in characters, of which one may take four bytes.
        let bytes = |given: Option<i64>| given.map(|v| v.saturating_mul(4));
        Some(match &schema.kind {
            Json::Boolean => Type::Bool,
            Json::Integer => Type::Int,
            Json::Number => Type::Double,
            Json::Text => match &*checks.format {
                "byte" => Type::Bytes(size(checks.max_length, REQUEST_MAX - 2)),
                "duration" => Type::Duration,
                "date" | "date-time" => Type::Timestamp,
                _ => {
                    let text = |one: &[u8]| {
                        serde_json::from_slice::<String>(one).map_or(0, |t| t.len() as u64)
                    };
                    let listed = checks.allowed.iter().map(|one| text(one)).max();
                    let most = listed.unwrap_or(REQUEST_MAX - 2);
                    Type::Text(size(bytes(checks.max_length), most))
                }
            },
            Json::Array => {
                let items = schema.items.as_deref()?;
                let of = Type::of(items, items.embedded)?;
                let most = (REQUEST_MAX - 2) / (least(items) + 1);
                Type::List(Box::new(of), size(checks.max_items, most))
            }
            Json::Object => {
                if let Some(of) = schema.additional_schema() {
                    let most = (REQUEST_MAX - 2) / (least(of) + 6);
                    let value = Type::of(of, of.embedded)?;
                    let key = Type::Text(REQUEST_MAX - 4);
                    return Some(Type::Map(
                        Box::new(key),
                        Box::new(value),
                        size(checks.max_properties, most),
                    ));
                }
                Type::Object(schema, resource || schema.embedded)
            }
            Json::Unset if schema.preserves() => return None,
            _ => return None,
        })
    }

    /// As the language declares it.
    pub fn declared(&self) -> String {
        match self {
            Type::Null => "null_type".into(),
            Type::Duration => "google.protobuf.Duration".into(),
            Type::Timestamp => "google.protobuf.Timestamp".into(),
            other => other.name(),
        }
    }

    /// As messages of the checker name it.
    pub fn name(&self) -> String {
        match self {
            Type::Dyn => "dyn".into(),
            Type::Null => "null".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Uint => "uint".into(),
            Type::Double => "double".into(),
            Type::Text(_) => "string".into(),
            Type::Bytes(_) => "bytes".into(),
            Type::Duration => "duration".into(),
            Type::Timestamp => "timestamp".into(),
            Type::List(of, _) => format!("list({})", of.name()),
            Type::Map(key, value, _) => format!("map({}, {})", key.name(), value.name()),
            Type::Object(..) | Type::Metadata => "object".into(),
            Type::Optional(of) => format!("optional_type({})", of.name()),
            Type::Opaque(name) | Type::Record(name, _) => (*name).into(),
            Type::Kind => "type".into(),
        }
    }

    /// Whether a value of one may stand where the other is asked for.
    pub fn fits(&self, other: &Type<'_>) -> bool {
        match (self, other) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::Null, Type::Null)
            | (Type::Bool, Type::Bool)
            | (Type::Int, Type::Int)
            | (Type::Uint, Type::Uint)
            | (Type::Double, Type::Double)
            | (Type::Text(_), Type::Text(_))
            | (Type::Bytes(_), Type::Bytes(_))
            | (Type::Duration, Type::Duration)
            | (Type::Timestamp, Type::Timestamp)
            | (Type::Metadata, Type::Metadata)
            | (Type::Kind, Type::Kind) => true,
            (
                Type::Null,
                Type::Object(..)
                | Type::Duration
                | Type::Timestamp
                | Type::Optional(_)
                | Type::Opaque(_),
            )
            | (
                Type::Object(..)
                | Type::Duration
                | Type::Timestamp
                | Type::Optional(_)
                | Type::Opaque(_),
                Type::Null,
            ) => true,
            (Type::List(a, _), Type::List(b, _)) | (Type::Optional(a), Type::Optional(b)) => {
                a.fits(b)
            }
            (Type::Map(a, b, _), Type::Map(c, d, _)) => a.fits(c) && b.fits(d),
            (Type::Object(a, _), Type::Object(b, _)) => std::ptr::eq(*a, *b),
            (Type::Opaque(a), Type::Opaque(b)) | (Type::Record(a, _), Type::Record(b, _)) => a == b,
            (Type::Record(..), Type::Null) | (Type::Null, Type::Record(..)) => true,
            _ => false,
        }
    }

    /// The most that a value holds: characters, items, entries.
    pub fn size(&self) -> u64 {
        match self {
            Type::Text(most) | Type::Bytes(most) | Type::List(_, most) | Type::Map(_, _, most) => {
                *most
            }
            Type::Dyn | Type::Optional(_) => REQUEST_MAX,
            Type::Object(schema, _) => schema.properties.len() as u64,
            _ => 1,
        }
    }
}

/// The least bytes that a value of the schema takes in JSON.
pub(crate) fn least(schema: &Schema) -> u64 {
    match &schema.kind {
        Json::Boolean => 4,
        Json::Text if schema.checks.format.as_ref() == "duration" => 3,
        Json::Text if schema.checks.format.as_ref() == "date" => 12,
        Json::Text if schema.checks.format.as_ref() == "date-time" => 21,
        Json::Text | Json::Array => 2,
        Json::Object => {
            let own: u64 = schema
                .checks
                .required
                .iter()
                .filter_map(|name| {
                    let of = schema.property(name.as_bytes())?;
                    of.default
                        .is_none()
                        .then(|| name.len() as u64 + 4 + least(of))
                })
                .sum();
            2 + own
        }
        _ => 1,
    }
}

/// A property's name as expressions write it.
pub(super) fn unescape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("__") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = [
            ("__underscores__", "__"),
            ("__dot__", "."),
            ("__dash__", "-"),
            ("__slash__", "/"),
        ]
        .iter()
        .find_map(|(escape, plain)| rest.strip_prefix(escape).map(|more| (*plain, more)));
        match found {
            Some((plain, more)) => {
                out.push_str(plain);
                rest = more;
            }
            None => {
                let word = rest[2..].split("__").next().unwrap_or("");
                let reserved = [
                    "true",
                    "false",
                    "null",
                    "in",
                    "as",
                    "break",
                    "const",
                    "continue",
                    "else",
                    "for",
                    "function",
                    "if",
                    "import",
                    "let",
                    "loop",
                    "package",
                    "namespace",
                    "return",
                ];
                if reserved.contains(&word) && rest.len() == word.len() + 4 {
                    out.push_str(word);
                    rest = "";
                } else {
                    out.push_str("__");
                    rest = &rest[2..];
                }
            }
        }
    }
    out.push_str(rest);
    out
}
