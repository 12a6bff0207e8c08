//! Lists: merged by a key or as sets, and put in the order that was asked for.

use super::super::error::{Result, fail};
use super::super::table::{self, Shape, TypeId};
use super::messages::{bad_type, go_list, no_merge_key, unknown_directive};
use super::{
    BAD_ORDER, DIRECTIVE, ORDER_PREFIX, Object, Rule, directed, lookup_list, merge_map,
    without_directives,
};
use serde_json::Value;

pub(super) fn set_element_order(
    original: &mut Object,
    patch: &mut Object,
    kind: TypeId,
) -> Result<()> {
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

pub(super) fn as_list(value: Option<&Value>) -> Result<Option<&[Value]>> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => fail(bad_type("[]interface {}", other)),
    }
}

/// The patch's items must stand in the order list, in its order.
pub(super) fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<()> {
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

pub(super) fn same(left: &Value, right: &Value, key: &str) -> Result<bool> {
    if key.is_empty() {
        return Ok(left == right);
    }
    Ok(merge_value(left, key)? == merge_value(right, key)?)
}

/// An item's value of the merge key.
pub(super) fn merge_value<'v>(item: &'v Value, key: &str) -> Result<&'v Value> {
    let Value::Object(map) = item else {
        return fail(bad_type("map[string]interface {}", item));
    };
    match map.get(key) {
        Some(value) => Ok(value),
        None => fail(no_merge_key(map, key)),
    }
}

/// Where the item with this merge key stands.
pub(super) fn find(items: &[Value], key: &str, value: &Value) -> Result<Option<usize>> {
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

pub(super) fn merge_list(
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
pub(super) fn special_items(
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
pub(super) fn element_type(original: &[Value], patch: &[Value]) -> Result<bool> {
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
pub(super) fn partition(
    items: Vec<Value>,
    by: &[Value],
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>)> {
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
pub(super) fn interleave(
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
