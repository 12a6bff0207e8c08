//! A type of the table as JSON, for what Python builds of it: OpenAPI, and later server-side apply's schema.

use super::table::{self, Field, ListType, Shape, TypeId};
use serde_json::{Map, Value, json};

/// What the table says of a type: `{"key", "shape", "of"?, "values"?, "fields"?, "atomic"?}`. None if it is not there.
pub fn describe(key: &str) -> Option<Vec<u8>> {
    let id = table::find(key)?;
    serde_json::to_vec(&describe_type(id)).ok()
}

fn describe_type(id: TypeId) -> Value {
    let t = table::get(id);
    let mut out = json!({"key": t.key, "shape": shape_name(t.shape)});
    match t.shape {
        Shape::List(of) | Shape::Map(of) => out["of"] = table::get(of).key.into(),
        Shape::Struct(s) => {
            out["fields"] = s.fields.iter().map(field).collect();
            out["atomic"] = s.atomic.into();
        }
        _ => {}
    }
    if !t.values.is_empty() {
        out["values"] = t.values.iter().copied().collect();
    }
    out
}

fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Bool => "bool",
        Shape::Int32 => "int32",
        Shape::Int64 => "int64",
        Shape::Float64 => "float64",
        Shape::Str => "string",
        Shape::Bytes => "bytes",
        Shape::Quantity => "quantity",
        Shape::Time => "time",
        Shape::MicroTime => "microtime",
        Shape::Duration => "duration",
        Shape::IntOrString => "intorstring",
        Shape::Raw => "raw",
        Shape::Any => "any",
        Shape::PropsOrArray | Shape::PropsOrBool | Shape::PropsOrStrings => "props",
        Shape::List(_) => "list",
        Shape::Map(_) => "map",
        Shape::Struct(_) => "struct",
    }
}

/// Only what is not the usual is said of a field.
fn field(f: &Field) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), f.name.into());
    out.insert("type".to_owned(), table::get(f.kind).key.into());
    for (name, is) in [
        ("pointer", f.pointer),
        ("omitEmpty", f.omit_empty),
        ("optional", f.optional),
        ("retainKeys", f.retain_keys),
    ] {
        if is {
            out.insert(name.to_owned(), true.into());
        }
    }
    let list = match f.list {
        ListType::Unset => "",
        ListType::Atomic => "atomic",
        ListType::Set => "set",
        ListType::Map => "map",
    };
    let strategy = match (f.merge, f.replace) {
        (true, _) => "merge",
        (_, true) => "replace",
        _ => "",
    };
    for (name, text) in [
        ("list", list),
        ("map", f.map_type),
        ("patch", strategy),
        ("mergeKey", f.merge_key),
        ("default", f.default),
    ] {
        if !text.is_empty() {
            out.insert(name.to_owned(), text.into());
        }
    }
    if !f.map_keys.is_empty() {
        out.insert("mapKeys".to_owned(), f.map_keys.iter().copied().collect());
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_field_says_what_is_special_of_it() {
        let pod: Value = serde_json::from_slice(&describe("core/v1.PodSpec").unwrap()).unwrap();
        assert_eq!(
            pod["fields"][0],
            json!({
                "name": "volumes", "type": "[]core/v1.Volume", "omitEmpty": true, "optional": true,
                "list": "map", "mapKeys": ["name"], "patch": "merge", "retainKeys": true, "mergeKey": "name",
            })
        );
        assert_eq!(describe("no/v1.Such"), None);
    }
}
