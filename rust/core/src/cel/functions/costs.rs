//! What a call costs.

use crate::cel::value::Value;

/// A tenth for each character that is looked at.
pub(super) fn tenth(size: u64) -> u64 {
    size.div_ceil(10)
}

/// What a call costs by the values that it is given.
pub(in crate::cel) fn price(name: &str, args: &[Value<'_>]) -> u64 {
    let size = |i: usize| args.get(i).map_or(0, Value::size);
    let text = |i: usize| matches!(args.get(i), Some(Value::Text(_) | Value::Bytes(_)));
    match name {
        "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => {
            if text(0) && text(1) {
                tenth(size(0).min(size(1)))
            } else {
                size(0).min(size(1)).max(1)
            }
        }
        "_+_" if text(0) => tenth(size(0) + size(1)).max(1),
        "_+_" => (size(0) + size(1)).max(1),
        "@in" => match args.get(1) {
            Some(of) if of.items().is_some() => size(1).max(1),
            _ => 1,
        },
        "contains" | "indexOf" | "lastIndexOf" if text(0) => {
            (tenth(size(0)) * tenth(size(1)).max(1)).max(1)
        }
        "matches" | "find" | "findAll" => (tenth(size(0) + 1) * size(1).div_ceil(4).max(1)).max(1),
        "startsWith" | "endsWith" => tenth(size(1)).max(1),
        "replace" | "split" | "substring" | "lowerAscii" | "upperAscii" | "trim" | "reverse"
        | "join" | "format" => {
            tenth(size(0).saturating_mul(if name == "replace" { size(2).max(1) } else { 1 })).max(1)
        }
        "lists.range" => match args.first() {
            Some(Value::Int(end)) => u64::try_from(*end).unwrap_or(0).max(1),
            _ => 1,
        },
        "isSorted" | "slice" | "sum" | "min" | "max" | "indexOf" | "lastIndexOf" | "flatten" => {
            size(0).max(1)
        }
        "distinct" | "sort" => size(0).saturating_mul(size(0).min(64)).max(1),
        "sets.contains" | "sets.intersects" | "sets.equivalent" => {
            size(0).saturating_mul(size(1)).max(1)
        }
        "size" | "isURL" => 1,
        _ if text(0) => tenth(size(0)).max(1),
        _ => 1,
    }
}
