//! What the hub is told of a resource before it sees one of its objects.

use super::scan::{Paths, Text};

/// What a field selector may ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field {
    /// metadata.name
    Name,
    /// metadata.namespace
    Namespace,
    /// One of the fields the resource declares.
    Declared(usize),
}

#[derive(Debug)]
struct Declared {
    name: Box<str>,
    slots: Vec<usize>,
    default: Box<str>,
}

/// A resource's selectable fields and names.
#[derive(Debug)]
pub struct Schema {
    source: (Vec<(String, String)>, bool, String, String),
    fields: Vec<Declared>,
    paths: Paths,
}

impl Schema {
    /// `fields` are pairs of the selector's name and where it is found: dotted paths separated by `|`, of which the
    /// first that is not empty counts, then perhaps `=` and what an absent field means:
    /// `("source", "source.component|reportingComponent")`, `("spec.unschedulable", "spec.unschedulable=false")`.
    pub fn new(
        fields: &[(String, String)],
        namespaced: bool,
        api_version: &str,
        kind: &str,
    ) -> Schema {
        let mut paths = Paths::default();
        let declared = fields
            .iter()
            .map(|(name, place)| {
                let (alternatives, default) = place.split_once('=').unwrap_or((place, ""));
                let slots = alternatives
                    .split('|')
                    .map(|path| paths.slot(path))
                    .collect();
                Declared {
                    name: name.as_str().into(),
                    slots,
                    default: default.into(),
                }
            })
            .collect();
        let source = (
            fields.to_vec(),
            namespaced,
            api_version.to_owned(),
            kind.to_owned(),
        );
        Schema {
            source,
            fields: declared,
            paths,
        }
    }

    /// Whether both were made from the same.
    pub fn same(&self, other: &Schema) -> bool {
        self.source == other.source
    }

    /// How many fields are declared.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The resource's objects live in namespaces.
    pub fn namespaced(&self) -> bool {
        self.source.1
    }

    /// The selectable field of this name.
    pub fn field(&self, name: &str) -> Option<Field> {
        match name {
            "metadata.name" => Some(Field::Name),
            "metadata.namespace" if self.namespaced() => Some(Field::Namespace),
            _ => self
                .fields
                .iter()
                .position(|field| &*field.name == name)
                .map(Field::Declared),
        }
    }

    /// Reads an object: the declared fields, the labels sorted by key, and where its resourceVersion stands.
    #[allow(clippy::type_complexity)] // three small results of one pass
    pub fn read(&self, value: &[u8]) -> (Box<[Text]>, Box<[(Text, Text)]>, Option<(u32, u32)>) {
        let mut found = self.paths.read(value);
        found
            .labels
            .sort_by(|one, other| one.0.get(value).cmp(other.0.get(value)));
        let fields = self.fields.iter().map(|field| {
            match field
                .slots
                .iter()
                .find(|slot| !found.slots[**slot].is_empty())
            {
                Some(slot) => found.slots[*slot].clone(),
                None if field.default.is_empty() => Text::EMPTY,
                None => Text::Own(field.default.clone()),
            }
        });
        (
            fields.collect(),
            found.labels.into_boxed_slice(),
            found.revision,
        )
    }

    /// The object of a bookmark.
    pub fn bookmark(&self, revision: u64, initial_events_end: bool) -> Vec<u8> {
        let (_, _, api_version, kind) = &self.source;
        let end = if initial_events_end {
            r#","annotations":{"k8s.io/initial-events-end":"true"}"#
        } else {
            ""
        };
        format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{revision}"{end}}}}}"#)
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn alternatives_and_defaults() {
        let fields = [
            (
                "source".to_owned(),
                "source.component|reportingComponent".to_owned(),
            ),
            (
                "spec.unschedulable".to_owned(),
                "spec.unschedulable=false".to_owned(),
            ),
        ];
        let schema = Schema::new(&fields, false, "v1", "Event");
        for (value, wanted) in [
            (
                r#"{"source":{"component":"a"},"reportingComponent":"b"}"#,
                ["a", "false"],
            ),
            (
                r#"{"source":{},"reportingComponent":"b","spec":{"unschedulable":true}}"#,
                ["b", "true"],
            ),
        ] {
            let (fields, ..) = schema.read(value.as_bytes());
            assert_eq!(
                fields
                    .iter()
                    .map(|text| text.get(value.as_bytes()))
                    .collect::<Vec<_>>(),
                wanted
            );
        }
        assert_eq!(schema.field("metadata.namespace"), None);
        assert_eq!(schema.field("source"), Some(Field::Declared(0)));
    }

    #[test]
    fn bookmarks() {
        let schema = Schema::new(&[], true, "apps/v1", "Deployment");
        assert_eq!(
            String::from_utf8(schema.bookmark(7, true)).unwrap(),
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}"#
        );
    }
}
