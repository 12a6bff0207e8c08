//! How the table's types merge: which values have one owner as a whole, and how items of lists are told apart.

use super::set::{Scalar, Step};
use super::tree::{Bytes, Node};
use crate::wire::table::{self, Field, ListType, Shape, Struct, TypeId};

/// What is known of a value: its type, and the field it stands in. Without a type it is judged by its form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    type_id: Option<TypeId>,
    field: Option<&'static Field>,
}

/// How a value is merged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Atom {
    /// One owner for all of it.
    Leaf,
    /// By field.
    Struct(&'static Struct),
    /// By key; every value is of this kind.
    Map(Kind),
    /// By item.
    List(Items),
}

/// A list whose items have owners of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items {
    /// What an item is.
    pub of: Kind,
    keys: Keys,
}

#[derive(Debug, Clone, Copy)]
enum Keys {
    /// The item itself.
    Value,
    /// These fields of it.
    Named(&'static [&'static str]),
    /// This field of it (a patch's merge key, where no list type is given).
    One(&'static str),
}

impl Kind {
    /// Of an object of a type.
    pub fn of_type(type_id: TypeId) -> Self {
        Kind {
            type_id: Some(type_id),
            field: None,
        }
    }

    /// Of a value that no type is known of.
    pub const UNKNOWN: Kind = Kind {
        type_id: None,
        field: None,
    };

    fn of_field(field: &'static Field) -> Self {
        Kind {
            type_id: Some(field.kind),
            field: Some(field),
        }
    }

    /// How it is merged. `value` decides where the type does not.
    pub fn atom(self, value: &Node<'_>) -> Atom {
        let Some(type_id) = self.type_id else {
            return match value {
                Node::Map(_) => Atom::Map(Kind::UNKNOWN),
                _ => Atom::Leaf,
            };
        };
        let whole = self.field.is_some_and(|f| f.map_type == "atomic");
        match table::get(type_id).shape {
            Shape::Struct(s) if s.atomic || whole => Atom::Leaf,
            Shape::Struct(s) => Atom::Struct(s),
            Shape::Map(_) if whole => Atom::Leaf,
            Shape::Map(of) => Atom::Map(Kind::of_type(of)),
            Shape::List(of) => match self.field.and_then(keys) {
                Some(keys) => Atom::List(Items {
                    of: Kind::of_type(of),
                    keys,
                }),
                None => Atom::Leaf,
            },
            Shape::Raw
            | Shape::Any
            | Shape::PropsOrArray
            | Shape::PropsOrBool
            | Shape::PropsOrStrings => Kind::UNKNOWN.atom(value),
            _ => Atom::Leaf,
        }
    }
}

fn keys(field: &'static Field) -> Option<Keys> {
    match field.list {
        ListType::Atomic => None,
        ListType::Set => Some(Keys::Value),
        ListType::Map => Some(Keys::Named(field.map_keys)),
        // Lists that say nothing follow how a strategic merge patch treats them.
        ListType::Unset if field.merge && field.merge_key.is_empty() => Some(Keys::Value),
        ListType::Unset if field.merge => Some(Keys::One(field.merge_key)),
        ListType::Unset => None,
    }
}

/// What a struct's field is; a field that it does not have is judged by its form.
pub(super) fn child(s: &'static Struct, name: &[u8]) -> (Kind, bool) {
    match s.find(name) {
        Some(index) => (Kind::of_field(&s.fields[index]), true),
        None => (Kind::UNKNOWN, false),
    }
}

impl Items {
    /// How an item is found again; None for one that lacks its keys.
    pub fn step<'a>(&self, item: &Node<'a>) -> Option<Step<'a>> {
        match self.keys {
            Keys::Value => Some(Step::Value(Scalar::of(item))),
            Keys::Named(names) => self.keyed(item, names),
            Keys::One(name) => self.keyed(item, &[name]),
        }
    }

    fn keyed<'a>(&self, item: &Node<'a>, names: &[&'static str]) -> Option<Step<'a>> {
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            let value = match item.get(name.as_bytes()) {
                Some(value) => Scalar::of(value),
                None => match self.default(name) {
                    Some(value) => value,
                    None => continue,
                },
            };
            keys.push((Bytes::Borrowed(name.as_bytes()), value));
        }
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        (!keys.is_empty()).then_some(Step::Key(keys))
    }

    /// What a key is where an item leaves it out.
    fn default(&self, name: &str) -> Option<Scalar<'static>> {
        let Shape::Struct(s) = table::get(self.of.type_id?).shape else {
            return None;
        };
        let text = s.fields[s.find(name.as_bytes())?].default;
        Node::parse(text.as_bytes()).ok().map(|n| Scalar::of(&n))
    }
}
