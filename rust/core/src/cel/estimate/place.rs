//! Where in an object an expression looks, and how much its schema lets stand there.

use crate::cel::types::{REQUEST_MAX, Type, unescape};
use crate::schema::{Schema, Type as Json};

/// The longest of the formats that have types of their own: k8s.io/apiserver's pkg/cel/limits.go.
const DURATION: u64 = 32;
const DATE: u64 = 12;
const DATE_TIME: u64 = 32;
/// A place in an object, as far as a schema tells of it.
pub(super) enum Place<'s> {
    Of(&'s Schema, bool),
    /// A key of a map, which is given no size.
    Key,
    /// apiVersion, kind and the names of the metadata.
    Word,
    Metadata,
}

impl<'s> Place<'s> {
    pub fn step(self, step: &str) -> Option<Self> {
        match self {
            Place::Of(schema, resource) => match step {
                "@items" => {
                    let of = schema.items.as_deref()?;
                    Some(Place::Of(of, of.embedded))
                }
                "@values" => {
                    let of = schema.additional_schema()?;
                    Some(Place::Of(of, of.embedded))
                }
                "@keys" => schema.additional_schema().map(|_| Place::Key),
                "metadata" if resource => Some(Place::Metadata),
                "apiVersion" | "kind" if resource => Some(Place::Word),
                _ if schema.additional_schema().is_some() => None,
                name => {
                    let of = schema.property(unescape(name).as_bytes())?;
                    Type::of(of, of.embedded)?;
                    Some(Place::Of(of, of.embedded))
                }
            },
            Place::Metadata if matches!(step, "name" | "generateName") => Some(Place::Word),
            _ => None,
        }
    }

    /// The most that a value holds there; nothing is counted of numbers, truth values and objects.
    pub fn most(&self) -> u64 {
        let Place::Of(schema, resource) = self else {
            return match self {
                Place::Word => REQUEST_MAX - 2,
                _ => 0,
            };
        };
        let checks = &schema.checks;
        if schema.int_or_string {
            let given = checks.max_length.and_then(|most| u64::try_from(most).ok());
            return given.map_or(REQUEST_MAX - 2, |most| most.saturating_mul(4));
        }
        match (&schema.kind, &*checks.format) {
            (Json::Text, "duration") => DURATION,
            (Json::Text, "date") => DATE,
            (Json::Text, "date-time") => DATE_TIME,
            _ => match Type::of(schema, *resource) {
                Some(
                    Type::Text(most)
                    | Type::Bytes(most)
                    | Type::List(_, most)
                    | Type::Map(_, _, most),
                ) => most,
                _ => 0,
            },
        }
    }
}
