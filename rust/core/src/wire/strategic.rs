//! Strategic merge patch, as apimachinery's pkg/util/strategicpatch applies it on the server: lists are merged by the
//! table's merge keys, and `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…` and `$setElementOrder/…` are obeyed.

use super::error::{Result, fail};
use super::merge::write;
use super::table::{self, Shape, TypeId};
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

fn set_element_order(original: &mut Object, patch: &mut Object, kind: TypeId) -> Result<()> {
    let orders: Vec<String> = patch
        .keys()
        .filter(|k| k.starts_with(ORDER_PREFIX))
        .cloned()
        .collect();
    for key in orders {
        let order = match patch.remove(&key) {
            Some(Value::Array(order)) => order,
            other => return fail(bad_type("[]interface {}", &other.unwrap_or(Value::Null))),
        };
        let name = directed(&key, ORDER_PREFIX, BAD_ORDER)?;
        let old = as_list(original.get(name))?;
        let new = as_list(patch.get(name))?;
        let rule = lookup_list(kind, name)?;
        check_order(new.unwrap_or_default(), &order, rule.key)?;
        let server_order = old.map(<[Value]>::to_vec).unwrap_or_default();
        let given = new.map(<[Value]>::to_vec).unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old.to_vec(),
            (None, Some(new)) => new.iter().cloned().filter_map(without_directives).collect(),
            (Some(old), Some(new)) if rule.merge => {
                merge_list(old.to_vec(), new.to_vec(), &rule, false)?
            }
            (Some(_), Some(new)) => new.to_vec(),
        };
        let (mine, others) = partition(merged, &order, rule.key)?;
        element_type(&server_order, &given)?;
        let both = interleave(mine, others, &order, &server_order, rule.key)?;
        patch.remove(name);
        original.insert(name.to_owned(), Value::Array(both));
    }
    Ok(())
}

fn as_list(value: Option<&Value>) -> Result<Option<&[Value]>> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => fail(bad_type("[]interface {}", other)),
    }
}

/// The patch's items must stand in the order list, in its order.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<()> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for item in patch {
        match item {
            Value::Object(map) if map.get(DIRECTIVE).is_some_and(|d| d == "delete") => {}
            Value::Object(_) => wanted.push(item),
            other if !key.is_empty() => return fail(bad_type("map[string]interface {}", other)),
            other => wanted.push(other),
        }
    }
    let (mut mine, mut place) = (0, 0);
    while mine < wanted.len() && place < order.len() {
        if wanted[mine].get(DIRECTIVE).is_some() {
            mine += 1;
            continue;
        }
        mine += usize::from(same(wanted[mine], &order[place], key)?);
        place += 1;
    }
    if mine < wanted.len() && place >= order.len() {
        return fail(format!(
            "The order in patch list:\n{}\n doesn't match {ORDER_PREFIX} list:\n{}\n",
            go_list(patch),
            go_list(order)
        ));
    }
    Ok(())
}

fn same(left: &Value, right: &Value, key: &str) -> Result<bool> {
    if key.is_empty() {
        return Ok(left == right);
    }
    Ok(merge_value(left, key)? == merge_value(right, key)?)
}

/// An item's value of the merge key.
fn merge_value<'v>(item: &'v Value, key: &str) -> Result<&'v Value> {
    let Value::Object(map) = item else {
        return fail(bad_type("map[string]interface {}", item));
    };
    match map.get(key) {
        Some(value) => Ok(value),
        None => fail(no_merge_key(map, key)),
    }
}

/// Where the item with this merge key stands.
fn find(items: &[Value], key: &str, value: &Value) -> Result<Option<usize>> {
    for (i, item) in items.iter().enumerate() {
        let Value::Object(map) = item else {
            return fail(format!("value for key {i} is not a map"));
        };
        if map.get(key) == Some(value) {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

fn merge_list(
    original: Vec<Value>,
    patch: Vec<Value>,
    rule: &Rule,
    deleting: bool,
) -> Result<Vec<Value>> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let maps = element_type(&original, &patch)?;
    let (merged, original, patch) = if !maps {
        if deleting {
            return Ok(original
                .into_iter()
                .filter(|v| !patch.contains(v))
                .collect());
        }
        let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
        for item in original.iter().chain(&patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        (merged, original, patch)
    } else {
        if rule.key.is_empty() {
            let what = match table::get(rule.kind).shape {
                Shape::Map(_) => "map",
                _ => "struct",
            };
            return fail(format!("cannot merge lists without merge key for {what}"));
        }
        let (original, patch) = special_items(original, patch, rule.key)?;
        let mut merged = original.clone();
        for item in &patch {
            let value = merge_value(item, rule.key)?;
            match (find(&merged, rule.key, value)?, item) {
                (Some(at), Value::Object(new)) => {
                    if let Value::Object(old) = merged[at].take() {
                        merged[at] = Value::Object(merge_map(old, new.clone(), rule.kind)?);
                    }
                }
                _ => merged.push(item.clone()),
            }
        }
        (merged, original, patch)
    };
    let (mine, others) = partition(merged, &patch, rule.key)?;
    interleave(mine, others, &patch, &original, rule.key)
}

/// Obeys `$patch: delete` and `$patch: replace` among the items, and takes them out of the patch.
fn special_items(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        let directive = item.as_object().and_then(|map| map.get(DIRECTIVE));
        match (directive.map(Value::as_str), &item) {
            (None, _) => plain.push(item),
            (Some(Some("delete")), _) => {
                let value = merge_value(&item, key)?.clone();
                while let Some(at) = find(&original, key, &value)? {
                    original.remove(at);
                }
            }
            (Some(Some("replace")), _) => replace = true,
            (Some(Some("merge")), _) => {
                return fail("merging lists cannot yet be specified in the patch");
            }
            (Some(_), Value::Object(map)) => {
                return fail(unknown_directive(
                    map.get(DIRECTIVE).unwrap_or(&Value::Null),
                    map,
                ));
            }
            (Some(_), _) => {}
        }
    }
    if replace {
        Ok((plain, Vec::new()))
    } else {
        Ok((original, plain))
    }
}

/// Whether the elements are objects; they must all be of one kind, and no lists.
fn element_type(original: &[Value], patch: &[Value]) -> Result<bool> {
    let items = || original.iter().chain(patch);
    let Some(first) = items().next() else {
        return fail("no elements in any of the given slices");
    };
    if first.is_array() {
        return fail("lists of lists are not supported");
    }
    let alike = |v: &Value| std::mem::discriminant(v) == std::mem::discriminant(first);
    if !items().all(alike) {
        return fail(format!(
            "list element types are not identical: [{} {}]",
            go_list(original),
            go_list(patch)
        ));
    }
    Ok(first.is_object())
}

/// The items that `by` names, and the others.
fn partition(items: Vec<Value>, by: &[Value], key: &str) -> Result<(Vec<Value>, Vec<Value>)> {
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let found = if key.is_empty() {
            by.contains(&item)
        } else {
            find(by, key, merge_value(&item, key)?)?.is_some()
        };
        if found {
            named.push(item)
        } else {
            others.push(item)
        }
    }
    Ok((named, others))
}

/// Items in the order that was asked for, with the server's own between them where they stood.
fn interleave(
    mine: Vec<Value>,
    others: Vec<Value>,
    order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Result<Vec<Value>> {
    let place = |list: &[Value], item: &Value| {
        list.iter().position(|v| match (v, item) {
            (Value::Object(a), Value::Object(b)) if !key.is_empty() => a.get(key) == b.get(key),
            _ => v == item,
        })
    };
    let sorted = |items: Vec<Value>, by: &[Value]| {
        let mut items: Vec<(Option<usize>, Value)> =
            items.into_iter().map(|v| (place(by, &v), v)).collect();
        items.sort_by_key(|(at, _)| at.unwrap_or(usize::MAX));
        items.into_iter().map(|(_, v)| v)
    };
    let mut others = sorted(others, server_order).peekable();
    let mut mine = sorted(mine, order).peekable();
    let mut out = Vec::new();
    loop {
        let theirs_first = match (others.peek(), mine.peek()) {
            (None, None) => return Ok(out),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(l), Some(r)) => match (place(server_order, l), place(server_order, r)) {
                (Some(l), Some(r)) => l < r,
                _ => false,
            },
        };
        out.extend(if theirs_first {
            others.next()
        } else {
            mine.next()
        });
    }
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

// --- messages ---

fn unknown_directive(directive: &Value, map: &Object) -> String {
    format!(
        "unknown patch type: {} in map: {}",
        go_print(directive),
        go_map(map)
    )
}

fn no_merge_key(map: &Object, key: &str) -> String {
    format!(
        "map: {} does not contain declared merge key: {key}",
        go_map(map)
    )
}

fn bad_type(expected: &str, actual: &Value) -> String {
    let actual = match actual {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    format!("expected a {expected}, but received a {actual}")
}

/// Go's `%v`.
fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => go_list(items),
        Value::Object(map) => go_map(map),
        other => other.to_string(),
    }
}

fn go_map(map: &Object) -> String {
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by_key(|(key, _)| *key);
    let shown: Vec<String> = members
        .iter()
        .map(|(k, v)| format!("{k}:{}", go_print(v)))
        .collect();
    format!("map[{}]", shown.join(" "))
}

fn go_list(items: &[Value]) -> String {
    let shown: Vec<String> = items.iter().map(go_print).collect();
    format!("[{}]", shown.join(" "))
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
