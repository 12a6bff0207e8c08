//! What types functions and operators take, and what they give.

use super::{CIDR, FORMAT, IP, QUANTITY, SEMVER, URL};
use crate::cel::authorizer::{AUTHORIZER, DECISION, GROUP_CHECK, PATH_CHECK, RESOURCE_CHECK};
use crate::cel::types::{REQUEST_MAX, Type};

/// What a call gives by the types of its arguments, the target first.
pub(in crate::cel) enum Shape<'s> {
    /// No function has this name.
    Unknown,
    /// None of this name takes these types.
    Mismatch,
    /// The result.
    Of(Type<'s>),
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
    let when = |yes: bool, kind: Type<'s>| if yes { Of(kind) } else { Mismatch };
    match (name, args) {
        ("!_", _) => when(args.len() == 1 && is(0, &Bool), Bool),
        ("_&&_" | "_||_", _) => when(args.len() == 2 && is(0, &Bool) && is(1, &Bool), Bool),
        ("_?_:_", [condition, yes, no]) => {
            if condition.fits(&Bool)
                && (yes.fits(no) || matches!((yes, no), (Type::Null, _) | (_, Type::Null)))
            {
                Of(crate::cel::check::join(yes.clone(), no.clone()))
            } else {
                Mismatch
            }
        }
        ("-_", [Int | Double | Dyn]) => Of(args[0].clone()),
        ("_==_" | "_!=_", [a, b]) => when(a.fits(b), Bool),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            let ordered = |t: &Type<'_>| {
                matches!(
                    t,
                    Int | Uint | Double | Bool | Text(_) | Bytes(_) | Duration | Timestamp | Dyn
                )
            };
            let same = a.fits(b) || numeric(a) && numeric(b);
            when(ordered(a) && ordered(b) && same, Bool)
        }
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [a, b]) => match arithmetic(name, a, b) {
            Some(kind) => Of(kind),
            None => Mismatch,
        },
        ("@in", [a, List(of, _)]) => when(a.fits(of), Bool),
        ("@in", [a, Map(key, ..)]) => when(a.fits(key), Bool),
        ("@in", [_, Dyn]) => Of(Bool),
        ("_[_]" | "_[?_]", [of, index]) => {
            let found = match of {
                List(of, _) if index.fits(&Int) || numeric(index) => (**of).clone(),
                Map(key, value, _) if index.fits(key) => (**value).clone(),
                Dyn => Dyn,
                Optional(_) => Dyn,
                _ => return Mismatch,
            };
            let optional = name == "_[?_]" || matches!(of, Optional(_));
            Of(if optional {
                Optional(Box::new(found))
            } else {
                found
            })
        }
        ("size", [Text(_) | Bytes(_) | List(..) | Map(..) | Dyn]) => Of(Int),
        ("string", [Object(..) | List(..) | Map(..)]) => Mismatch,
        ("string", [a]) => Of(Text(if matches!(a, Text(_) | Bytes(_)) {
            a.size()
        } else {
            64
        })),
        ("int", [Int | Uint | Double | Text(_) | Timestamp | Dyn]) => Of(Int),
        ("uint", [Int | Uint | Double | Text(_) | Dyn]) => Of(Uint),
        ("double", [Int | Uint | Double | Text(_) | Dyn]) => Of(Double),
        ("bool", [Bool | Text(_) | Dyn]) => Of(Bool),
        ("bytes", [Text(_) | Bytes(_) | Dyn]) => Of(Bytes(size(0).saturating_mul(4))),
        ("duration", [Text(_) | Duration | Int | Dyn]) => Of(Duration),
        ("timestamp", [Text(_) | Timestamp | Int | Dyn]) => Of(Timestamp),
        ("type", [_]) => Of(Kind),
        ("dyn", [_]) => Of(Dyn),
        ("contains", _) if method => when(texts(2), Bool),
        ("startsWith" | "endsWith", _) if method => when(texts(2), Bool),
        ("matches", _) => when(texts(2), Bool),
        ("find", _) if method => when(texts(2), text()),
        ("findAll", _) if method => when(
            texts(2) || (args.len() == 3 && is(0, &text()) && is(1, &text()) && is(2, &Int)),
            List(Box::new(text()), size(0).max(1)),
        ),
        (
            "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek"
            | "getDayOfYear",
            [Timestamp | Dyn, ..],
        ) => Of(Int),
        (
            "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds",
            [Timestamp | Duration | Dyn, ..],
        ) => Of(Int),
        ("charAt", [Text(_) | Dyn, Int | Dyn]) if method => Of(Text(1)),
        ("indexOf" | "lastIndexOf", _) if method && listed(0) && !is(0, &text()) => {
            when(args.len() == 2, Int)
        }
        ("indexOf" | "lastIndexOf", _) if method => when(
            texts(2) || (args.len() == 3 && is(0, &text()) && is(1, &text()) && is(2, &Int)),
            Int,
        ),
        ("reverse", [List(..)]) if method => Of(args[0].clone()),
        ("lowerAscii" | "upperAscii" | "trim", _) if method => when(texts(1), Text(size(0))),
        ("replace", _) if method => when(
            texts(3) || (args.len() == 4 && is(0, &text()) && is(3, &Int)),
            Text(size(0).saturating_mul(size(2).max(1))),
        ),
        ("split", _) if method => when(
            texts(2) || (args.len() == 3 && is(0, &text()) && is(1, &text()) && is(2, &Int)),
            List(Box::new(Text(size(0))), size(0).max(1)),
        ),
        ("join", [List(of, most), ..]) if method => when(
            of.fits(&text()) && (args.len() == 1 || (args.len() == 2 && is(1, &text()))),
            Text(most.saturating_mul(of.size().saturating_add(size(1)))),
        ),
        ("substring", [Text(_) | Dyn, Int | Dyn] | [Text(_) | Dyn, Int | Dyn, Int | Dyn])
            if method =>
        {
            Of(Text(size(0)))
        }
        ("format", [Text(_) | Dyn, List(..) | Dyn]) if method => Of(text()),
        ("strings.quote", _) => when(texts(1), text()),
        ("isSorted", [List(..) | Dyn]) if method => Of(Bool),
        ("sum" | "min" | "max", [List(of, _)]) if method => Of((**of).clone()),
        ("sum" | "min" | "max", [Dyn]) if method => Of(Dyn),
        ("distinct" | "sort", [List(..)]) if method => Of(args[0].clone()),
        ("flatten", [List(of, most)]) if method => match &**of {
            List(inner, each) => Of(List(inner.clone(), most.saturating_mul(*each))),
            _ => Of(args[0].clone()),
        },
        ("sets.contains" | "sets.intersects" | "sets.equivalent", [List(a, _), List(b, _)]) => {
            when(a.fits(b), Bool)
        }
        ("url", [Text(_) | Dyn]) => Of(Opaque(URL)),
        ("isURL", [Text(_) | Dyn]) => Of(Bool),
        ("getScheme" | "getHost" | "getHostname" | "getPort" | "getEscapedPath", _) if method => {
            when(opaque(0, URL), text())
        }
        ("getQuery", _) if method => when(
            opaque(0, URL),
            Map(
                Box::new(text()),
                Box::new(List(Box::new(text()), 1000)),
                1000,
            ),
        ),
        ("quantity", [Text(_) | Dyn]) => Of(Opaque(QUANTITY)),
        ("isQuantity", [Text(_) | Dyn]) => Of(Bool),
        ("isInteger", _) if method => when(opaque(0, QUANTITY), Bool),
        ("asInteger", _) if method => when(opaque(0, QUANTITY), Int),
        ("asApproximateFloat", _) if method => when(opaque(0, QUANTITY), Double),
        ("add" | "sub", _) if method => when(
            opaque(0, QUANTITY) && (opaque(1, QUANTITY) || is(1, &Int)),
            Opaque(QUANTITY),
        ),
        ("isGreaterThan" | "isLessThan", _) if method => when(
            (opaque(0, QUANTITY) && opaque(1, QUANTITY))
                || (opaque(0, SEMVER) && opaque(1, SEMVER)),
            Bool,
        ),
        ("compareTo", _) if method => when(
            (opaque(0, QUANTITY) && opaque(1, QUANTITY))
                || (opaque(0, SEMVER) && opaque(1, SEMVER)),
            Int,
        ),
        ("semver", [Text(_) | Dyn] | [Text(_) | Dyn, Bool | Dyn]) => Of(Opaque(SEMVER)),
        ("isSemver", [Text(_) | Dyn] | [Text(_) | Dyn, Bool | Dyn]) => Of(Bool),
        ("major" | "minor" | "patch", _) if method => when(opaque(0, SEMVER), Int),
        ("ip", [Text(_) | Dyn]) if !method => Of(Opaque(IP)),
        ("ip", _) if method => when(opaque(0, CIDR), Opaque(IP)),
        ("ip.isCanonical", [Text(_) | Dyn]) => Of(Bool),
        ("isIP" | "isCIDR", [Text(_) | Dyn]) => Of(Bool),
        ("family", _) if method => when(opaque(0, IP), Int),
        (
            "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast",
            _,
        ) if method => when(opaque(0, IP), Bool),
        ("cidr", [Text(_) | Dyn]) => Of(Opaque(CIDR)),
        ("containsIP", _) if method => {
            when(opaque(0, CIDR) && (opaque(1, IP) || is(1, &text())), Bool)
        }
        ("containsCIDR", _) if method => {
            when(opaque(0, CIDR) && (opaque(1, CIDR) || is(1, &text())), Bool)
        }
        ("masked", _) if method => when(opaque(0, CIDR), Opaque(CIDR)),
        ("prefixLength", _) if method => when(opaque(0, CIDR), Int),
        ("format.named", [Text(_) | Dyn]) => Of(Optional(Box::new(Opaque(FORMAT)))),
        (name, [])
            if NAMED
                .iter()
                .any(|n| name.strip_prefix("format.") == Some(n)) =>
        {
            Of(Opaque(FORMAT))
        }
        ("validate", _) if method => when(
            opaque(0, FORMAT) && is(1, &text()),
            Optional(Box::new(List(Box::new(text()), 10))),
        ),
        ("path", _) if method => when(opaque(0, AUTHORIZER) && is(1, &text()), Opaque(PATH_CHECK)),
        ("group", _) if method => {
            when(opaque(0, AUTHORIZER) && is(1, &text()), Opaque(GROUP_CHECK))
        }
        ("serviceAccount", _) if method => when(
            opaque(0, AUTHORIZER) && is(1, &text()) && is(2, &text()),
            Opaque(AUTHORIZER),
        ),
        ("resource", _) if method => when(
            opaque(0, GROUP_CHECK) && is(1, &text()),
            Opaque(RESOURCE_CHECK),
        ),
        ("subresource" | "namespace" | "name" | "fieldSelector" | "labelSelector", _) if method => {
            when(
                opaque(0, RESOURCE_CHECK) && is(1, &text()),
                Opaque(RESOURCE_CHECK),
            )
        }
        ("check", _) if method => when(
            (opaque(0, RESOURCE_CHECK) || opaque(0, PATH_CHECK)) && is(1, &text()),
            Opaque(DECISION),
        ),
        ("allowed" | "errored", _) if method => when(opaque(0, DECISION), Bool),
        ("reason" | "error", _) if method => when(opaque(0, DECISION), text()),
        ("jsonpatch.escapeKey", _) => when(texts(1), Text(size(0).saturating_mul(2))),
        ("lists.range", [Int | Dyn]) => Of(List(Box::new(Int), REQUEST_MAX)),
        ("slice", [List(..), Int | Dyn, Int | Dyn]) if method => Of(args[0].clone()),
        ("slice", [Dyn, Int | Dyn, Int | Dyn]) if method => Of(Dyn),
        ("first" | "last", [List(of, _)]) if method => Of(Optional(of.clone())),
        ("optional.of" | "optional.ofNonZeroValue", [of]) => Of(Optional(Box::new(of.clone()))),
        ("optional.none", []) => Of(Optional(Box::new(Dyn))),
        ("hasValue", [Optional(_) | Dyn]) if method => Of(Bool),
        ("value", [Optional(of)]) if method => Of((**of).clone()),
        ("orValue", [Optional(of), other]) if method => when(
            of.fits(other),
            crate::cel::check::join((**of).clone(), other.clone()),
        ),
        ("or", [Optional(of), Optional(other)]) if method => when(of.fits(other), args[0].clone()),
        ("value" | "orValue" | "or", [Dyn, ..]) if method => Of(Dyn),
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

/// What two values come to; of something unknown, what all operators that take the other one give.
fn arithmetic<'s>(name: &str, a: &Type<'s>, b: &Type<'s>) -> Option<Type<'s>> {
    use Type::{Bytes, Double, Duration, Dyn, Int, List, Text, Timestamp, Uint};
    let plus = name == "_+_";
    let either = |other: &Type<'s>| match (name, other) {
        (_, Int | Uint) => Some(other.clone()),
        (_, Double) if name != "_%_" => Some(Double),
        ("_+_", Text(_)) => Some(Text(REQUEST_MAX)),
        ("_+_", Bytes(_)) => Some(Bytes(REQUEST_MAX)),
        ("_+_", List(of, _)) => Some(List(of.clone(), REQUEST_MAX)),
        ("_+_", Timestamp) => Some(Timestamp),
        _ => None,
    };
    match (a, b) {
        (Dyn, Dyn) => Some(Dyn),
        (Timestamp, Dyn) | (Dyn, Duration) if name == "_-_" => Some(Dyn),
        (Dyn, Timestamp) | (Duration, Dyn) if name == "_-_" => Some(Duration),
        (Dyn, Duration) | (Duration, Dyn) if plus => Some(Dyn),
        (Dyn, other) | (other, Dyn) => either(other),
        (Int, Int) | (Uint, Uint) => Some(a.clone()),
        (Double, Double) if name != "_%_" => Some(Double),
        (Text(x), Text(y)) if plus => Some(Text(x.saturating_add(*y))),
        (Bytes(x), Bytes(y)) if plus => Some(Bytes(x.saturating_add(*y))),
        (List(of, x), List(other, y)) if plus && of.fits(other) => {
            Some(List(of.clone(), x.saturating_add(*y)))
        }
        (Duration, Duration) if plus || name == "_-_" => Some(Duration),
        (Timestamp, Duration) if plus || name == "_-_" => Some(Timestamp),
        (Duration, Timestamp) if plus => Some(Timestamp),
        (Timestamp, Timestamp) if name == "_-_" => Some(Duration),
        _ => None,
    }
}
