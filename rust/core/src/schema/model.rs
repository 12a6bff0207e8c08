//! A schema as it is held: what pruning, defaulting, validation, ownership and rules read of it.

use super::rules::Ready;
use regex::Regex;
use std::sync::OnceLock;

/// JSON types by which a schema constrains a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// Nothing is said.
    Unset,
    Object,
    Array,
    Text,
    Integer,
    Number,
    Boolean,
    /// A word that is none of them.
    Other(Box<str>),
}

impl Type {
    pub fn named(name: &str) -> Self {
        match name {
            "" => Type::Unset,
            "object" => Type::Object,
            "array" => Type::Array,
            "string" => Type::Text,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            other => Type::Other(other.into()),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Type::Unset => "",
            Type::Object => "object",
            Type::Array => "array",
            Type::Text => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
            Type::Other(name) => name,
        }
    }
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    /// Nothing is said: one owner for the whole list.
    Unset,
    Atomic,
    Set,
    Map,
    Other(Box<str>),
}

/// `additionalProperties`.
#[derive(Debug)]
pub(crate) enum Additional {
    /// Any key with a value of this schema.
    Schema(Box<Schema>),
    /// A boolean.
    Allowed(bool),
}

/// A pattern, compiled when it is first needed.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub text: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

/// What a compiled pattern may take: Go has no such limit; a schema's author is not always a friend.
const PATTERN_MAX: usize = 1 << 20;

impl Pattern {
    pub fn new(text: &str) -> Self {
        Pattern {
            text: text.into(),
            compiled: OnceLock::new(),
        }
    }

    /// The automaton, or why there is none.
    pub fn compile(text: &str) -> Result<Regex, regex::Error> {
        regex::RegexBuilder::new(text)
            .size_limit(PATTERN_MAX)
            .build()
    }

    pub fn matches(&self, value: &str) -> bool {
        self.compiled
            .get_or_init(|| Self::compile(&self.text).ok())
            .as_ref()
            .is_some_and(|regex| regex.is_match(value))
    }
}

/// One of `x-kubernetes-validations`.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub rule: Box<str>,
    pub message: Box<str>,
    pub message_expression: Box<str>,
    pub reason: Option<Box<str>>,
    pub field_path: Box<str>,
    pub optional_old_self: Option<bool>,
    /// Made when it first runs.
    pub ready: OnceLock<Result<Ready, String>>,
}

/// What constrains values without giving them their shape.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub format: Box<str>,
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<f64>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub pattern: Option<Pattern>,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub unique_items: bool,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub required: Vec<Box<str>>,
    /// Each as canonical JSON.
    pub allowed: Vec<Box<[u8]>>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
}

/// Fields that a structural schema may not have, where it has them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsupported {
    pub id: bool,
    pub reference: bool,
    pub additional_items: bool,
    pub pattern_properties: bool,
    pub definitions: bool,
    pub dependencies: bool,
    pub item_list: bool,
}

/// A schema.
#[derive(Debug)]
pub struct Schema {
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    /// `x-kubernetes-preserve-unknown-fields`, as it is given.
    pub(crate) preserve_given: Option<bool>,
    pub(crate) embedded: bool,
    pub(crate) has_title: bool,
    pub(crate) has_description: bool,
    pub(crate) unsupported: Unsupported,
    /// Sorted by name.
    pub(crate) properties: Vec<(Box<str>, Schema)>,
    pub(crate) additional: Option<Additional>,
    pub(crate) items: Option<Box<Schema>>,
    /// Canonical JSON.
    pub(crate) default: Option<Box<[u8]>>,
    pub(crate) list_type: ListType,
    pub(crate) list_keys: Vec<Box<str>>,
    /// `x-kubernetes-map-type`.
    pub(crate) map_type: Option<Box<str>>,
    pub(crate) checks: Box<Checks>,
    pub(crate) rules: Vec<Rule>,
}

impl Schema {
    /// The schema of a JSON text.
    ///
    /// # Errors
    /// For what is no JSON, or no schema.
    pub fn of_json(json: &[u8]) -> Result<Self, String> {
        super::parse::parse(json).map_err(|error| error.to_string())
    }

    /// Unknown fields stay.
    pub(crate) fn preserves(&self) -> bool {
        self.preserve_given == Some(true)
    }

    /// A property's schema.
    pub(crate) fn property(&self, name: &[u8]) -> Option<&Schema> {
        let at = self
            .properties
            .binary_search_by(|(known, _)| known.as_bytes().cmp(name))
            .ok()?;
        Some(&self.properties[at].1)
    }

    /// The schema of a key that is no property, where one is given.
    pub(crate) fn additional_schema(&self) -> Option<&Schema> {
        match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            _ => None,
        }
    }

    /// All of a value has one owner, and changes as a whole.
    pub(crate) fn atomic_map(&self) -> bool {
        self.map_type.as_deref() == Some("atomic")
    }
}
