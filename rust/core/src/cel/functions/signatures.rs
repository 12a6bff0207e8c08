//! What types functions and operators take, and what a call comes to by them.

use super::costs::tenth;
use super::{CIDR, FORMAT, IP, QUANTITY, SEMVER, URL};
use crate::cel::authorizer::{
    AUTHORIZER, CHECK_COST, DECISION, GROUP_CHECK, PATH_CHECK, RESOURCE_CHECK,
};
use crate::cel::types::{REQUEST_MAX, Type};

/// What a named format costs for each ten characters: as a long pattern would.
const FORMAT_REGEX: u64 = 32;

/// What a call comes to by the types of its arguments, the target first.
pub(in crate::cel) enum Shape<'s> {
    /// No function has this name.
    Unknown,
    /// None of this name takes these types.
    Mismatch,
    /// The result, and what the call costs besides its arguments.
    Of(Type<'s>, u64),
}

pub(in crate::cel) fn signature<'s>(name: &str, method: bool, args: &[Type<'s>]) -> Shape<'s> {
    use Shape::{Mismatch, Of, Unknown};
    use Type::{
        Bool, Bytes, Double, Duration, Dyn, Int, Kind, List, Map, Object, Opaque, Optional, Text,
        Timestamp, Uint,
    };
    let text = || Text(REQUEST_MAX);
    let is = |i: usize, kind: &Type<'_>| args.get(i).is_some_and(|a| a.fits(kind));
    let texts = |count: usize| args.len() == count && (0..count).all(|i| is(i, &text()));
    let size = |i: usize| args.get(i).map_or(0, Type::size);
    let listed = |i: usize| matches!(args.get(i), Some(List(..) | Dyn));
    let opaque = |i: usize, name: &'static str| is(i, &Opaque(name));
    let when = |yes: bool, kind: Type<'s>, cost: u64| if yes { Of(kind, cost) } else { Mismatch };
    match (name, args) {
        ("!_", _) => when(args.len() == 1 && is(0, &Bool), Bool, 1),
        ("_&&_" | "_||_", _) => when(args.len() == 2 && is(0, &Bool) && is(1, &Bool), Bool, 0),
        ("_?_:_", [condition, yes, no]) => {
            if condition.fits(&Bool)
                && (yes.fits(no) || matches!((yes, no), (Type::Null, _) | (_, Type::Null)))
            {
                Of(crate::cel::check::join(yes.clone(), no.clone()), 0)
            } else {
                Mismatch
            }
        }
        ("-_", [Int | Double | Dyn]) => Of(args[0].clone(), 1),
        ("_==_" | "_!=_", [a, b]) => when(
            a.fits(b),
            Bool,
            if matches!((a, b), (Dyn, Dyn)) {
                1
            } else {
                tenth(a.size().min(b.size()))
            },
        ),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            let ordered = |t: &Type<'_>| {
                matches!(
                    t,
                    Int | Uint | Double | Bool | Text(_) | Bytes(_) | Duration | Timestamp | Dyn
                )
            };
            let same = a.fits(b) || numeric(a) && numeric(b);
            when(
                ordered(a) && ordered(b) && same,
                Bool,
                tenth(a.size().min(b.size())).max(1),
            )
        }
        ("_+_", [a, b]) => match (a, b) {
            (Text(x), Text(y)) => Of(
                Text(x.saturating_add(*y)),
                tenth(x.saturating_add(*y)).max(1),
            ),
            (Bytes(x), Bytes(y)) => Of(
                Bytes(x.saturating_add(*y)),
                tenth(x.saturating_add(*y)).max(1),
            ),
            (List(of, x), List(other, y)) if of.fits(other) => {
                Of(List(of.clone(), x.saturating_add(*y)), 1)
            }
            (Timestamp, Duration) | (Duration, Timestamp) => Of(Timestamp, 1),
            (Int, Int) | (Uint, Uint) | (Double, Double) | (Duration, Duration) => Of(a.clone(), 1),
            (Dyn, _) | (_, Dyn) => Of(Dyn, 1),
            _ => Mismatch,
        },
        ("_-_", [a, b]) => match (a, b) {
            (Timestamp, Timestamp) => Of(Duration, 1),
            (Timestamp, Duration) => Of(Timestamp, 1),
            (Int, Int) | (Uint, Uint) | (Double, Double) | (Duration, Duration) => Of(a.clone(), 1),
            (Dyn, _) | (_, Dyn) => Of(Dyn, 1),
            _ => Mismatch,
        },
        ("_*_" | "_/_" | "_%_", [a, b]) => match (a, b) {
            (Int, Int) | (Uint, Uint) => Of(a.clone(), 1),
            (Double, Double) if name != "_%_" => Of(Double, 1),
            (Dyn, _) | (_, Dyn) => Of(Dyn, 1),
            _ => Mismatch,
        },
        ("@in", [a, List(of, most)]) => when(a.fits(of), Bool, (*most).max(1)),
        ("@in", [a, Map(key, ..)]) => when(a.fits(key), Bool, 1),
        ("@in", [_, Dyn]) => Of(Bool, REQUEST_MAX),
        ("_[_]" | "_[?_]", [of, index]) => {
            let found = match of {
                List(of, _) if index.fits(&Int) || numeric(index) => (**of).clone(),
                Map(key, value, _) if index.fits(key) => (**value).clone(),
                Dyn => Dyn,
                Optional(_) => Dyn,
                _ => return Mismatch,
            };
            let optional = name == "_[?_]" || matches!(of, Optional(_));
            Of(
                if optional {
                    Optional(Box::new(found))
                } else {
                    found
                },
                1,
            )
        }
        ("size", [Text(_) | Bytes(_) | List(..) | Map(..) | Dyn]) => Of(Int, 1),
        ("string", [Object(..) | List(..) | Map(..)]) => Mismatch,
        ("string", [a]) => Of(
            Text(if matches!(a, Text(_) | Bytes(_)) {
                a.size()
            } else {
                64
            }),
            if matches!(a, Bytes(_)) {
                tenth(a.size()).max(1)
            } else {
                1
            },
        ),
        ("int", [Int | Uint | Double | Text(_) | Timestamp | Dyn]) => Of(Int, 1),
        ("uint", [Int | Uint | Double | Text(_) | Dyn]) => Of(Uint, 1),
        ("double", [Int | Uint | Double | Text(_) | Dyn]) => Of(Double, 1),
        ("bool", [Bool | Text(_) | Dyn]) => Of(Bool, 1),
        ("bytes", [Text(_) | Bytes(_) | Dyn]) => {
            Of(Bytes(size(0).saturating_mul(4)), tenth(size(0)).max(1))
        }
        ("duration", [Text(_) | Duration | Int | Dyn]) => Of(Duration, 1),
        ("timestamp", [Text(_) | Timestamp | Int | Dyn]) => Of(Timestamp, 1),
        ("type", [_]) => Of(Kind, 1),
        ("dyn", [_]) => Of(Dyn, 1),
        ("contains", _) if method => when(
            texts(2),
            Bool,
            tenth(size(0)).saturating_mul(tenth(size(1)).max(1)).max(1),
        ),
        ("startsWith" | "endsWith", _) if method => when(texts(2), Bool, tenth(size(1)).max(1)),
        ("matches", _) => when(
            texts(2),
            Bool,
            tenth(size(0))
                .saturating_mul(size(1).div_ceil(4).max(1))
                .max(1),
        ),
        ("find", _) if method => when(
            texts(2),
            text(),
            tenth(size(0))
                .saturating_mul(size(1).div_ceil(4).max(1))
                .max(1),
        ),
        ("findAll", _) if method => when(
            texts(2) || (args.len() == 3 && is(0, &text()) && is(1, &text()) && is(2, &Int)),
            List(Box::new(text()), size(0).max(1)),
            tenth(size(0))
                .saturating_mul(size(1).div_ceil(4).max(1))
                .max(1),
        ),
        (
            "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek"
            | "getDayOfYear",
            [Timestamp | Dyn, ..],
        ) => Of(Int, 1),
        (
            "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds",
            [Timestamp | Duration | Dyn, ..],
        ) => Of(Int, 1),
        ("charAt", [Text(_) | Dyn, Int | Dyn]) if method => Of(Text(1), 1),
        ("indexOf" | "lastIndexOf", _) if method && listed(0) && !is(0, &text()) => {
            when(args.len() == 2, Int, size(0).max(1))
        }
        ("indexOf" | "lastIndexOf", _) if method => when(
            texts(2) || (args.len() == 3 && is(0, &text()) && is(1, &text()) && is(2, &Int)),
            Int,
            tenth(size(0)).saturating_mul(tenth(size(1)).max(1)).max(1),
        ),
        ("reverse", [List(..)]) if method => Of(args[0].clone(), size(0).max(1)),
        ("lowerAscii" | "upperAscii" | "trim", _) if method => {
            when(texts(1), Text(size(0)), tenth(size(0)).max(1))
        }
        ("replace", _) if method => when(
            texts(3) || (args.len() == 4 && is(0, &text()) && is(3, &Int)),
            Text(size(0).saturating_mul(size(2).max(1))),
            tenth(size(0).saturating_mul(size(2).max(1))).max(1),
        ),
        ("split", _) if method => when(
            texts(2) || (args.len() == 3 && is(0, &text()) && is(1, &text()) && is(2, &Int)),
            List(Box::new(Text(size(0))), size(0).max(1)),
            tenth(size(0)).max(1),
        ),
        ("join", [List(of, most), ..]) if method => when(
            of.fits(&text()) && (args.len() == 1 || (args.len() == 2 && is(1, &text()))),
            Text(most.saturating_mul(of.size().saturating_add(size(1)))),
            tenth(most.saturating_mul(of.size().saturating_add(size(1)))).max(1),
        ),
        ("substring", [Text(_) | Dyn, Int | Dyn] | [Text(_) | Dyn, Int | Dyn, Int | Dyn])
            if method =>
        {
            Of(Text(size(0)), tenth(size(0)).max(1))
        }
        ("format", [Text(_) | Dyn, List(..) | Dyn]) if method => Of(text(), tenth(size(0)).max(1)),
        ("strings.quote", _) => when(texts(1), text(), tenth(size(0)).max(1)),
        ("isSorted", [List(..) | Dyn]) if method => Of(Bool, size(0).max(1)),
        ("sum" | "min" | "max", [List(of, _)]) if method => Of((**of).clone(), size(0).max(1)),
        ("sum" | "min" | "max", [Dyn]) if method => Of(Dyn, REQUEST_MAX),
        ("distinct" | "sort", [List(..)]) if method => Of(
            args[0].clone(),
            size(0).saturating_mul(size(0).min(64)).max(1),
        ),
        ("flatten", [List(of, most)]) if method => match &**of {
            List(inner, each) => Of(List(inner.clone(), most.saturating_mul(*each)), *most),
            _ => Of(args[0].clone(), *most),
        },
        ("sets.contains" | "sets.intersects" | "sets.equivalent", [List(a, x), List(b, y)]) => {
            when(a.fits(b), Bool, x.saturating_mul(*y).max(1))
        }
        ("url", [Text(_) | Dyn]) => Of(Opaque(URL), tenth(size(0)).max(1)),
        ("isURL", [Text(_) | Dyn]) => Of(Bool, 1),
        ("getScheme" | "getHost" | "getHostname" | "getPort" | "getEscapedPath", _) if method => {
            when(opaque(0, URL), text(), 1)
        }
        ("getQuery", _) if method => when(
            opaque(0, URL),
            Map(
                Box::new(text()),
                Box::new(List(Box::new(text()), 1000)),
                1000,
            ),
            1,
        ),
        ("quantity", [Text(_) | Dyn]) => Of(Opaque(QUANTITY), tenth(size(0)).max(1)),
        ("isQuantity", [Text(_) | Dyn]) => Of(Bool, tenth(size(0)).max(1)),
        ("isInteger", _) if method => when(opaque(0, QUANTITY), Bool, 1),
        ("asInteger", _) if method => when(opaque(0, QUANTITY), Int, 1),
        ("asApproximateFloat", _) if method => when(opaque(0, QUANTITY), Double, 1),
        ("add" | "sub", _) if method => when(
            opaque(0, QUANTITY) && (opaque(1, QUANTITY) || is(1, &Int)),
            Opaque(QUANTITY),
            1,
        ),
        ("isGreaterThan" | "isLessThan", _) if method => when(
            (opaque(0, QUANTITY) && opaque(1, QUANTITY))
                || (opaque(0, SEMVER) && opaque(1, SEMVER)),
            Bool,
            1,
        ),
        ("compareTo", _) if method => when(
            (opaque(0, QUANTITY) && opaque(1, QUANTITY))
                || (opaque(0, SEMVER) && opaque(1, SEMVER)),
            Int,
            1,
        ),
        ("semver", [Text(_) | Dyn] | [Text(_) | Dyn, Bool | Dyn]) => {
            Of(Opaque(SEMVER), tenth(size(0)).max(1))
        }
        ("isSemver", [Text(_) | Dyn] | [Text(_) | Dyn, Bool | Dyn]) => {
            Of(Bool, tenth(size(0)).max(1))
        }
        ("major" | "minor" | "patch", _) if method => when(opaque(0, SEMVER), Int, 1),
        ("ip", [Text(_) | Dyn]) if !method => Of(Opaque(IP), tenth(size(0)).max(1)),
        ("ip", _) if method => when(opaque(0, CIDR), Opaque(IP), 1),
        ("ip.isCanonical", [Text(_) | Dyn]) => Of(Bool, tenth(size(0)).max(1).saturating_mul(2)),
        ("isIP" | "isCIDR", [Text(_) | Dyn]) => Of(Bool, tenth(size(0)).max(1)),
        ("family", _) if method => when(opaque(0, IP), Int, 1),
        (
            "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast",
            _,
        ) if method => when(opaque(0, IP), Bool, 1),
        ("cidr", [Text(_) | Dyn]) => Of(Opaque(CIDR), tenth(size(0)).max(1)),
        ("containsIP", _) if method => when(
            opaque(0, CIDR) && (opaque(1, IP) || is(1, &text())),
            Bool,
            if opaque(1, IP) {
                4
            } else {
                tenth(size(1)).max(1).saturating_add(4)
            },
        ),
        ("containsCIDR", _) if method => when(
            opaque(0, CIDR) && (opaque(1, CIDR) || is(1, &text())),
            Bool,
            if opaque(1, CIDR) {
                7
            } else {
                tenth(size(1)).max(1).saturating_add(7)
            },
        ),
        ("masked", _) if method => when(opaque(0, CIDR), Opaque(CIDR), 1),
        ("prefixLength", _) if method => when(opaque(0, CIDR), Int, 1),
        ("format.named", [Text(_) | Dyn]) => Of(Optional(Box::new(Opaque(FORMAT))), 1),
        (name, [])
            if NAMED
                .iter()
                .any(|n| name.strip_prefix("format.") == Some(n)) =>
        {
            Of(Opaque(FORMAT), 1)
        }
        ("validate", _) if method => when(
            opaque(0, FORMAT) && is(1, &text()),
            Optional(Box::new(List(Box::new(text()), 10))),
            tenth(size(1)).max(1).saturating_mul(FORMAT_REGEX),
        ),
        ("path", _) if method => when(
            opaque(0, AUTHORIZER) && is(1, &text()),
            Opaque(PATH_CHECK),
            1,
        ),
        ("group", _) if method => when(
            opaque(0, AUTHORIZER) && is(1, &text()),
            Opaque(GROUP_CHECK),
            1,
        ),
        ("serviceAccount", _) if method => when(
            opaque(0, AUTHORIZER) && is(1, &text()) && is(2, &text()),
            Opaque(AUTHORIZER),
            1,
        ),
        ("resource", _) if method => when(
            opaque(0, GROUP_CHECK) && is(1, &text()),
            Opaque(RESOURCE_CHECK),
            1,
        ),
        ("subresource" | "namespace" | "name" | "fieldSelector" | "labelSelector", _) if method => {
            when(
                opaque(0, RESOURCE_CHECK) && is(1, &text()),
                Opaque(RESOURCE_CHECK),
                1,
            )
        }
        ("check", _) if method => when(
            (opaque(0, RESOURCE_CHECK) || opaque(0, PATH_CHECK)) && is(1, &text()),
            Opaque(DECISION),
            CHECK_COST,
        ),
        ("allowed" | "errored", _) if method => when(opaque(0, DECISION), Bool, 1),
        ("reason" | "error", _) if method => when(opaque(0, DECISION), text(), 1),
        ("jsonpatch.escapeKey", _) => when(
            texts(1),
            Text(size(0).saturating_mul(2)),
            tenth(size(0)).max(1),
        ),
        ("lists.range", [Int | Dyn]) => Of(List(Box::new(Int), REQUEST_MAX), REQUEST_MAX),
        ("slice", [List(..), Int | Dyn, Int | Dyn]) if method => {
            Of(args[0].clone(), size(0).max(1))
        }
        ("slice", [Dyn, Int | Dyn, Int | Dyn]) if method => Of(Dyn, REQUEST_MAX),
        ("first" | "last", [List(of, _)]) if method => Of(Optional(of.clone()), 1),
        ("optional.of" | "optional.ofNonZeroValue", [of]) => Of(Optional(Box::new(of.clone())), 1),
        ("optional.none", []) => Of(Optional(Box::new(Dyn)), 1),
        ("hasValue", [Optional(_) | Dyn]) if method => Of(Bool, 1),
        ("value", [Optional(of)]) if method => Of((**of).clone(), 1),
        ("orValue", [Optional(of), other]) if method => when(
            of.fits(other),
            crate::cel::check::join((**of).clone(), other.clone()),
            1,
        ),
        ("or", [Optional(of), Optional(other)]) if method => {
            when(of.fits(other), args[0].clone(), 1)
        }
        ("value" | "orValue" | "or", [Dyn, ..]) if method => Of(Dyn, 1),
        (name, [Object(..), ..]) if KNOWN.contains(&name) => Mismatch,
        (name, _) if KNOWN.contains(&name) => Mismatch,
        _ => Unknown,
    }
}

fn numeric(of: &Type<'_>) -> bool {
    matches!(of, Type::Int | Type::Uint | Type::Double | Type::Dyn)
}

/// Names that some types have a function for.
const KNOWN: &[&str] = &[
    "_?_:_",
    "-_",
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_+_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "@in",
    "_[_]",
    "_[?_]",
    "size",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "duration",
    "timestamp",
    "type",
    "dyn",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "find",
    "findAll",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "lowerAscii",
    "upperAscii",
    "trim",
    "reverse",
    "replace",
    "split",
    "join",
    "substring",
    "format",
    "strings.quote",
    "isSorted",
    "sum",
    "min",
    "max",
    "distinct",
    "sort",
    "flatten",
    "sets.contains",
    "sets.intersects",
    "sets.equivalent",
    "url",
    "isURL",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getEscapedPath",
    "getQuery",
    "quantity",
    "isQuantity",
    "isInteger",
    "asInteger",
    "sign",
    "asApproximateFloat",
    "add",
    "sub",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "semver",
    "isSemver",
    "major",
    "minor",
    "patch",
    "ip",
    "isIP",
    "ip.isCanonical",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "cidr",
    "isCIDR",
    "containsIP",
    "containsCIDR",
    "masked",
    "prefixLength",
    "format.named",
    "validate",
    "optional.of",
    "optional.ofNonZeroValue",
    "optional.none",
    "path",
    "group",
    "serviceAccount",
    "resource",
    "subresource",
    "namespace",
    "name",
    "fieldSelector",
    "labelSelector",
    "check",
    "allowed",
    "errored",
    "reason",
    "error",
    "jsonpatch.escapeKey",
    "lists.range",
    "slice",
    "first",
    "last",
    "hasValue",
    "value",
    "orValue",
    "or",
];

/// Formats that `format.NAME()` gives.
pub(super) const NAMED: &[&str] = &[
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];
