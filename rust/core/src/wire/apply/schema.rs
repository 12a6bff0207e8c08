//! How the table's types merge: which values have one owner as a whole, and how items of lists are told apart.

use super::set::{Scalar, Step};
use super::tree::{Bytes, Node};
use crate::schema::{self, Schema, Type};
use crate::wire::table::{self, Field, ListType, Shape, Struct, TypeId};

/// What is known of a value: its type in the table and the field it stands in, or a custom resource's schema. Without
/// either it is judged by its form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'s> {
    type_id: Option<TypeId>,
    field: Option<&'static Field>,
    custom: Option<Custom<'s>>,
}

/// A part of a custom resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Custom<'s> {
    schema: &'s Schema,
    /// It has metadata: the whole object, or a resource within it.
    resource: bool,
}

/// Whose fields they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fields<'s> {
    Table(&'static Struct),
    Custom(Custom<'s>),
}

/// How a value is merged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Atom<'s> {
    /// One owner for all of it.
    Leaf,
    /// By field.
    Struct(Fields<'s>),
    /// By key; every value is of this kind.
    Map(Kind<'s>),
    /// By item.
    List(Items<'s>),
}

/// A list whose items have owners of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items<'s> {
    /// What an item is.
    pub of: Kind<'s>,
    keys: Keys<'s>,
}

#[derive(Debug, Clone, Copy)]
enum Keys<'s> {
    /// The item itself.
    Value,
    /// These fields of it.
    Named(&'static [&'static str]),
    /// The same, of a custom resource.
    Custom(&'s [Box<str>]),
    /// This field of it (a patch's merge key, where no list type is given).
    One(&'static str),
}

impl<'s> Kind<'s> {
    /// Of an object of a type.
    pub fn of_type(type_id: TypeId) -> Self {
        Kind {
            type_id: Some(type_id),
            field: None,
            custom: None,
        }
    }

    /// Of a custom resource.
    pub fn of_schema(schema: &'s Schema) -> Self {
        Kind {
            custom: Some(Custom {
                schema,
                resource: true,
            }),
            ..Kind::UNKNOWN
        }
    }

    fn of_part(schema: &'s Schema) -> Self {
        Kind {
            custom: Some(Custom {
                schema,
                resource: schema.embedded,
            }),
            ..Kind::UNKNOWN
        }
    }

    /// Of a value that no type is known of.
    pub const UNKNOWN: Kind<'static> = Kind {
        type_id: None,
        field: None,
        custom: None,
    };

    fn of_field(field: &'static Field) -> Self {
        Kind {
            type_id: Some(field.kind),
            field: Some(field),
            custom: None,
        }
    }

    /// How it is merged. `value` decides where the type does not.
    pub fn atom(self, value: &Node<'_>) -> Atom<'s> {
        if let Some(custom) = self.custom {
            return custom.atom(value);
        }
        let Some(type_id) = self.type_id else {
            return match value {
                Node::Map(_) => Atom::Map(Kind::UNKNOWN),
                _ => Atom::Leaf,
            };
        };
        let whole = self.field.is_some_and(|f| f.map_type == "atomic");
        match table::get(type_id).shape {
            Shape::Struct(s) if s.atomic || whole => Atom::Leaf,
            Shape::Struct(s) => Atom::Struct(Fields::Table(s)),
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

impl<'s> Custom<'s> {
    fn atom(self, value: &Node<'_>) -> Atom<'s> {
        let schema = self.schema;
        match value {
            Node::Map(_) if schema.atomic_map() => Atom::Leaf,
            Node::Map(_) if self.resource || !schema.properties.is_empty() => {
                Atom::Struct(Fields::Custom(self))
            }
            Node::Map(_) => Atom::Map(match schema.additional_schema() {
                Some(of) => Kind::of_part(of),
                None => Kind::UNKNOWN,
            }),
            Node::List(_) if schema.kind == Type::Array => {
                let keys = match schema.list_type {
                    schema::ListType::Set => Keys::Value,
                    schema::ListType::Map => Keys::Custom(&schema.list_keys),
                    _ => return Atom::Leaf,
                };
                let of = match schema.items.as_deref() {
                    Some(of) => Kind::of_part(of),
                    None => Kind::UNKNOWN,
                };
                Atom::List(Items { of, keys })
            }
            _ => Atom::Leaf,
        }
    }

    fn child(self, name: &[u8]) -> (Kind<'s>, bool) {
        if self.resource {
            match name {
                b"metadata" => {
                    let meta =
                        table::find("meta/v1.ObjectMeta").map_or(Kind::UNKNOWN, Kind::of_type);
                    return (meta, true);
                }
                b"apiVersion" | b"kind" => return (Kind::UNKNOWN, true),
                _ => {}
            }
        }
        match self.schema.property(name) {
            Some(of) => (Kind::of_part(of), true),
            None => match self.schema.additional_schema() {
                Some(of) => (Kind::of_part(of), false),
                None => (Kind::UNKNOWN, false),
            },
        }
    }
}

fn keys(field: &'static Field) -> Option<Keys<'static>> {
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
pub(super) fn child<'s>(fields: Fields<'s>, name: &[u8]) -> (Kind<'s>, bool) {
    let s = match fields {
        Fields::Table(s) => s,
        Fields::Custom(custom) => return custom.child(name),
    };
    match s.find(name) {
        Some(index) => (Kind::of_field(&s.fields[index]), true),
        None => (Kind::UNKNOWN, false),
    }
}

impl Items<'_> {
    /// How an item is found again; None for one that lacks its keys.
    pub fn step<'a>(&self, item: &Node<'a>) -> Option<Step<'a>> {
        match self.keys {
            Keys::Value => Some(Step::Value(Scalar::of(item))),
            Keys::Named(names) => self.keyed(item, names),
            Keys::One(name) => self.keyed(item, &[name]),
            Keys::Custom(names) => self.keyed(item, names),
        }
    }

    fn keyed<'a, N: AsRef<str>>(&self, item: &Node<'a>, names: &[N]) -> Option<Step<'a>> {
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref();
            let value = match item.get(name.as_bytes()) {
                Some(value) => Scalar::of(value),
                None => match self.default(name) {
                    Some(value) => value,
                    None => continue,
                },
            };
            keys.push((key_name(item, name), value));
        }
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        (!keys.is_empty()).then_some(Step::Key(keys))
    }

    /// What a key is where an item leaves it out.
    fn default(&self, name: &str) -> Option<Scalar<'static>> {
        if let Some(custom) = self.of.custom {
            let text = custom
                .schema
                .property(name.as_bytes())?
                .default
                .as_deref()?;
            return Node::parse(text).ok().map(|n| Scalar::of(&n).owned());
        }
        let Shape::Struct(s) = table::get(self.of.type_id?).shape else {
            return None;
        };
        let text = s.fields[s.find(name.as_bytes())?].default;
        Node::parse(text.as_bytes()).ok().map(|n| Scalar::of(&n))
    }
}

/// A key's name, as the item that has it spells it.
fn key_name<'a>(item: &Node<'a>, name: &str) -> Bytes<'a> {
    let found = item
        .entries()
        .iter()
        .find(|(k, _)| k.as_ref() == name.as_bytes());
    match found {
        Some((spelled, _)) => spelled.clone(),
        None => Bytes::Owned(name.as_bytes().to_vec()),
    }
}
