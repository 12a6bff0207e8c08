//! The field table: every type of the Kubernetes API as static data, compiled by build.rs from table/types.txt.

use std::sync::OnceLock;

include!(concat!(env!("CARGO_MANIFEST_DIR"), "/table/hash.rs"));

/// Where a type stands in [`TYPES`].
pub type TypeId = u16;

/// One type: a struct, a scalar, a list, a map, or a name for one of these.
#[derive(Debug)]
pub struct Type {
    /// `core/v1.Pod`, `[]string`, `int32`.
    pub key: &'static str,
    /// What Go's reflection prints: `v1.Pod`, `[]v1.Container`.
    pub go: &'static str,
    /// What it is underneath.
    pub shape: Shape,
    /// A named list of strings that is a message of its own in protobuf.
    pub message: bool,
    /// All that is allowed, where the type is an enumeration.
    pub values: &'static [&'static str],
}

impl Type {
    /// The name without its package, as Go's errors name a struct: `PodSpec`.
    pub fn short(&self) -> &'static str {
        self.go.rsplit('.').next().unwrap_or(self.go)
    }
}

/// The JSON and protobuf form of a type.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Shape {
    Bool,
    Int32,
    Int64,
    Float64,
    Str,
    Bytes,
    Quantity,
    Time,
    MicroTime,
    Duration,
    IntOrString,
    /// Kept as it comes: RawExtension, FieldsV1, apiextensions' JSON.
    Raw,
    /// Go's `any`.
    Any,
    PropsOrArray,
    PropsOrBool,
    PropsOrStrings,
    List(TypeId),
    Map(TypeId),
    Struct(&'static Struct),
}

/// How server-side apply and strict lists see a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ListType {
    Unset,
    Atomic,
    Set,
    Map,
}

/// A struct's fields, embedded structs opened.
#[derive(Debug)]
pub struct Struct {
    /// structType=atomic: its fields have one owner.
    pub atomic: bool,
    /// In Go's order; apiVersion and kind first.
    pub fields: &'static [Field],
    /// Indexes of the fields that are written though they were not given.
    pub always: &'static [u16],
    /// By number; an embedded struct is one message here.
    pub proto: &'static [ProtoField],
    /// What Go writes for the zero value.
    pub zero: &'static str,
    seed: u64,
    slots: &'static [u8],
}

impl Struct {
    /// The index of the field with exactly this JSON name.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let at = (name_hash(name, self.seed) as usize) & (self.slots.len() - 1);
        let index = usize::from(self.slots[at]);
        (self.fields.get(index)?.name.as_bytes() == name).then_some(index)
    }
}

/// One JSON field.
#[derive(Debug)]
pub struct Field {
    /// The JSON name.
    pub name: &'static str,
    /// `,"name":`
    pub prefix: &'static str,
    /// `,"name":zero` where Go writes the field though it is empty, else nothing.
    pub absent: &'static str,
    /// Go names of the embedded structs it comes from, each with a dot: `VolumeSource.`
    pub embedded: &'static str,
    /// Its type.
    pub kind: TypeId,
    /// Behind a pointer: zero and absent differ.
    pub pointer: bool,
    /// `omitempty` or `omitzero`.
    pub omit_empty: bool,
    /// A client need not give it.
    pub optional: bool,
    /// On the protobuf wire; 0: never there.
    pub number: u32,
    /// listType.
    pub list: ListType,
    /// mapType or structType of the field: atomic, granular, or nothing.
    pub map_type: &'static str,
    /// listMapKeys.
    pub map_keys: &'static [&'static str],
    /// patchStrategy has merge.
    pub merge: bool,
    /// patchStrategy has replace.
    pub replace: bool,
    /// patchStrategy has retainKeys.
    pub retain_keys: bool,
    /// patchMergeKey.
    pub merge_key: &'static str,
    /// The default as JSON.
    pub default: &'static str,
}

/// One protobuf field of a struct's message.
#[derive(Debug)]
pub struct ProtoField {
    /// On the wire.
    pub number: u32,
    /// The JSON field, or the first one of the embedded struct.
    pub first: u16,
    /// The embedded struct that is a message of its own.
    pub inline: Option<TypeId>,
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The type with this key.
pub fn find(key: &str) -> Option<TypeId> {
    TYPES
        .binary_search_by(|t| t.key.cmp(key))
        .ok()
        .and_then(|i| TypeId::try_from(i).ok())
}

/// The type at this place.
pub fn get(id: TypeId) -> &'static Type {
    &TYPES[usize::from(id)]
}

/// Whether any JSON may stand somewhere in a value of this type: the order of its members is that of its text.
pub fn free_form(id: TypeId) -> bool {
    static FREE: OnceLock<Vec<bool>> = OnceLock::new();
    FREE.get_or_init(|| {
        let mut free = vec![false; TYPES.len()];
        loop {
            let mut changed = false;
            for (i, t) in TYPES.iter().enumerate() {
                let is = |id: TypeId| free[usize::from(id)];
                let now = match t.shape {
                    Shape::Raw
                    | Shape::Any
                    | Shape::PropsOrArray
                    | Shape::PropsOrBool
                    | Shape::PropsOrStrings => true,
                    Shape::List(of) | Shape::Map(of) => is(of),
                    Shape::Struct(s) => s.fields.iter().any(|f| is(f.kind)),
                    _ => false,
                };
                changed |= now != free[i];
                free[i] = now;
            }
            if !changed {
                return free;
            }
        }
    })[usize::from(id)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_no_other() {
        for t in TYPES {
            let Shape::Struct(s) = t.shape else { continue };
            for (i, f) in s.fields.iter().enumerate() {
                assert_eq!(s.find(f.name.as_bytes()), Some(i), "{} {}", t.key, f.name);
            }
            assert_eq!(s.find(b"noSuchField"), None);
            assert_eq!(s.find(b""), None);
        }
    }

    #[test]
    fn only_what_holds_any_json_has_a_free_form() {
        let free = |key: &str| free_form(find(key).unwrap());
        assert!(free("meta/v1.ObjectMeta") && free("apps/v1.ControllerRevision"));
        assert!(!free("core/v1.PodStatus") && !free("coordination/v1.LeaseSpec"));
    }

    #[test]
    fn a_deployment_has_what_go_writes_when_it_is_empty() {
        let Shape::Struct(s) = get(find("apps/v1.Deployment").unwrap()).shape else {
            panic!()
        };
        assert_eq!(
            s.zero,
            r#"{"metadata":{},"spec":{"selector":null,"template":{"metadata":{},"spec":{"containers":[]}},"strategy":{}},"status":{}}"#
        );
    }
}
