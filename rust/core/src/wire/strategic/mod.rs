//! Strategic merge patch, as apimachinery's pkg/util/strategicpatch applies it on the server: lists are merged by the
//! table's merge keys, and `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…` and `$setElementOrder/…` are obeyed.

mod lists;
mod messages;

use super::error::{Result, fail};
use super::merge::write;
use super::table::{self, Shape, TypeId};
use lists::{merge_list, set_element_order};
use messages::unknown_directive;
use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList";
const ORDER_PREFIX: &str = "$setElementOrder";

const BAD_DOCUMENT: &str = "invalid JSON document";
const BAD_PRIMITIVE_LIST: &str = "invalid patch format of primitive list";
const BAD_RETAIN_KEYS: &str = "invalid patch format of retainKeys";
const BAD_ORDER: &str = "invalid patch format of setElementOrder list";

type Object = Map<String, Value>;

/// The object after the patch. It is not settled: read it with `decode` before it is stored.
pub fn strategic_merge(kind: TypeId, current: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    let (Ok(Value::Object(current)), Ok(Value::Object(patch))) = (
        serde_json::from_slice(current),
        serde_json::from_slice(patch),
    ) else {
        return fail(BAD_DOCUMENT);
    };
    write(&Value::Object(merge_map(current, patch, kind)?))
}

/// What the table says of a field: its type, how it is merged, by which key.
struct Rule {
    kind: TypeId,
    replace: bool,
    merge: bool,
    key: &'static str,
}

fn lookup(kind: TypeId, name: &str) -> Result<Rule> {
    let t = table::get(kind);
    let kind_name = match t.shape {
        Shape::Struct(s) => {
            let Some(index) = s.find(name.as_bytes()) else {
                return fail(format!(
                    "unable to find api field in struct {} for the json field {name:?}",
                    t.short()
                ));
            };
            let f = &s.fields[index];
            return Ok(Rule {
                kind: f.kind,
                replace: f.replace,
                merge: f.merge && !f.replace,
                key: f.merge_key,
            });
        }
        Shape::Map(_) => "map",
        Shape::List(_) | Shape::Bytes => "slice",
        Shape::Any => "interface",
        Shape::Str => "string",
        Shape::Bool => "bool",
        Shape::Int32 => "int32",
        Shape::Int64 => "int64",
        Shape::Float64 => "float64",
        _ => {
            return fail(format!(
                "unable to find api field in struct {} for the json field {name:?}",
                t.short()
            ));
        }
    };
    fail(format!(
        "merging an object in json but data type is not struct, instead is: {kind_name}"
    ))
}

/// The rule of a list, with the type of its elements.
fn lookup_list(kind: TypeId, name: &str) -> Result<Rule> {
    let rule = lookup(kind, name)?;
    match table::get(rule.kind).shape {
        Shape::List(of) if matches!(table::get(of).shape, Shape::List(_) | Shape::Bytes) => {
            fail("unexpected slice of slice")
        }
        Shape::List(of) => Ok(Rule { kind: of, ..rule }),
        _ => fail("expected slice or array type, but got: struct"),
    }
}

fn merge_map(mut original: Object, mut patch: Object, kind: TypeId) -> Result<Object> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => fail(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    set_element_order(&mut original, &mut patch, kind)?;
    for (key, value) in patch {
        let (name, deleting) = match key.starts_with(DELETE_PREFIX) {
            true => (
                directed(&key, DELETE_PREFIX, BAD_PRIMITIVE_LIST)?.to_owned(),
                true,
            ),
            false => (key, false),
        };
        if value.is_null() {
            original.remove(&name);
            continue;
        }
        match (original.remove(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let rule = lookup(kind, &name)?;
                let merged = if rule.replace {
                    new
                } else {
                    merge_map(old, new, rule.kind)?
                };
                original.insert(name, Value::Object(merged));
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let rule = lookup_list(kind, &name)?;
                let merged = if rule.merge || deleting {
                    merge_list(old, new, &rule, deleting)?
                } else {
                    new
                };
                original.insert(name, Value::Array(merged));
            }
            (Some(old), _) if deleting => {
                original.insert(name, old);
            }
            (None, _) if deleting => {}
            (_, mut new) => {
                discard_nulls(&mut new);
                if let Some(new) = without_directives(new) {
                    original.insert(name, new);
                }
            }
        }
    }
    Ok(original)
}

/// What stands behind the slash of `$setElementOrder/containers`.
fn directed<'k>(key: &'k str, prefix: &str, error: &str) -> Result<&'k str> {
    match key.split_once('/') {
        Some((before, name)) if before == prefix => Ok(name),
        _ => fail(error),
    }
}

fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<()> {
    let Some(retain) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retain) = retain else {
        return fail(BAD_RETAIN_KEYS);
    };
    let listed = |key: &str| retain.iter().any(|v| v.as_str() == Some(key));
    for (key, value) in patch.iter() {
        let exempt =
            value.is_null() || key.starts_with(DELETE_PREFIX) || key.starts_with(ORDER_PREFIX);
        if !exempt && !listed(key) {
            return fail(BAD_RETAIN_KEYS);
        }
    }
    original.retain(|key, _| listed(key));
    Ok(())
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// The value as it is added; an object with a directive is not.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => Some(Value::Object(
            map.into_iter()
                .filter_map(|(k, v)| without_directives(v).map(|v| (k, v)))
                .collect(),
        )),
        Value::Array(items) => Some(Value::Array(
            items.into_iter().filter_map(without_directives).collect(),
        )),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn patched(key: &str, current: Value, patch: Value) -> std::result::Result<Value, String> {
        let kind = table::find(key).unwrap();
        strategic_merge(
            kind,
            current.to_string().as_bytes(),
            patch.to_string().as_bytes(),
        )
        .map(|out| serde_json::from_slice(&out).unwrap())
        .map_err(|e| e.0)
    }

    fn pod(current: Value, patch: Value) -> std::result::Result<Value, String> {
        patched("core/v1.PodSpec", current, patch)
    }

    #[test]
    fn lists_are_merged_by_their_key() {
        assert_eq!(
            pod(
                json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]}),
                json!({"containers": [{"name": "c"}, {"name": "a", "image": "2", "args": ["y"]}]}),
            ),
            Ok(
                json!({"containers": [{"name": "c"}, {"name": "a", "image": "2", "args": ["y"]}, {"name": "b"}]})
            )
        );
        assert_eq!(
            pod(
                json!({"tolerations": [{"key": "a"}], "nodeName": "n", "nodeSelector": {"a": "1", "b": "2"}}),
                json!({"tolerations": [{"key": "b"}], "nodeName": null, "nodeSelector": {"a": null, "c": "3"}}),
            ),
            Ok(json!({"tolerations": [{"key": "b"}], "nodeSelector": {"b": "2", "c": "3"}}))
        );
    }

    #[test]
    fn directives_are_obeyed() {
        assert_eq!(
            pod(
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            ),
            Ok(json!({"containers": [{"name": "b"}]}))
        );
        assert_eq!(
            pod(
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}),
            ),
            Ok(json!({"containers": [{"name": "c"}]}))
        );
        assert_eq!(
            pod(
                json!({"securityContext": {"runAsUser": 1}, "nodeSelector": {"a": "1"}}),
                json!({"securityContext": {"$patch": "replace", "fsGroup": 2}, "nodeSelector": {"$patch": "delete"}}),
            ),
            Ok(json!({"securityContext": {"fsGroup": 2}, "nodeSelector": {}}))
        );
        assert_eq!(
            patched(
                "meta/v1.ObjectMeta",
                json!({"finalizers": ["a", "b", "c"]}),
                json!({"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]}),
            ),
            Ok(json!({"finalizers": ["d", "a", "c"]}))
        );
        assert_eq!(
            pod(
                json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
                json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}),
            ),
            Ok(json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}))
        );
        assert_eq!(
            pod(
                json!({"containers": [{"name": "a"}, {"name": "x"}, {"name": "b"}]}),
                json!({
                    "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
                    "containers": [{"name": "c", "image": "i"}],
                }),
            ),
            Ok(
                json!({"containers": [{"name": "x"}, {"name": "b"}, {"name": "c", "image": "i"}, {"name": "a"}]})
            )
        );
    }

    #[test]
    fn errors_are_worded_as_upstream_words_them() {
        for (current, patch, expected) in [
            (
                json!({"containers": [{"name": "a"}]}),
                json!({"containers": [{"image": "i"}]}),
                "map: map[image:i] does not contain declared merge key: name",
            ),
            (
                json!({"containers": [{"name": "a"}]}),
                json!({"containers": [{"name": "a", "$patch": "what"}]}),
                "unknown patch type: what in map: map[$patch:what name:a]",
            ),
            (
                json!({"nothing": {}}),
                json!({"nothing": {"a": 1}}),
                "unable to find api field in struct PodSpec for the json field \"nothing\"",
            ),
            (
                json!({"volumes": [{"name": "v"}]}),
                json!({"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]}),
                BAD_RETAIN_KEYS,
            ),
            (json!({}), json!({"$setElementOrder": []}), BAD_ORDER),
            (
                json!({}),
                json!({"$deleteFromPrimitiveListx": []}),
                BAD_PRIMITIVE_LIST,
            ),
        ] {
            assert_eq!(pod(current, patch), Err(expected.to_owned()));
        }
        assert_eq!(
            strategic_merge(table::find("core/v1.Pod").unwrap(), b"{}", b"[]")
                .unwrap_err()
                .0,
            BAD_DOCUMENT
        );
    }
}
