//! Functions and operators: what types they take, what they cost, what they do.

use super::authorizer::{
    AUTHORIZER, CHECK_COST, DECISION, GROUP_CHECK, PATH_CHECK, RESOURCE_CHECK,
};
use super::types::{REQUEST_MAX, Type};
use super::value::Value;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

/// What a call comes to by the types of its arguments, the target first.
pub(super) enum Shape<'s> {
    /// No function has this name.
    Unknown,
    /// None of this name takes these types.
    Mismatch,
    /// The result, and what the call costs besides its arguments.
    Of(Type<'s>, u64),
}

/// A tenth for each character that is looked at.
fn tenth(size: u64) -> u64 {
    size.div_ceil(10)
}

const QUANTITY: &str = "kubernetes.Quantity";
const URL: &str = "kubernetes.URL";
const IP: &str = "net.IP";
const CIDR: &str = "net.CIDR";
const SEMVER: &str = "kubernetes.Semver";
const FORMAT: &str = "kubernetes.NamedFormat";

pub(super) fn signature<'s>(name: &str, method: bool, args: &[Type<'s>]) -> Shape<'s> {
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
                Of(super::check::join(yes.clone(), no.clone()), 0)
            } else {
                Mismatch
            }
        }
        ("-_", [Int | Double | Dyn]) => Of(args[0].clone(), 1),
        ("_==_" | "_!=_", [a, b]) => when(a.fits(b), Bool, tenth(a.size().min(b.size())).max(1)),
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
        ("size", [Text(_) | Bytes(_) | List(..) | Map(..) | Dyn]) => Of(
            Int,
            if matches!(args[0], Text(_)) {
                tenth(size(0)).max(1)
            } else {
                1
            },
        ),
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
        ("lowerAscii" | "upperAscii" | "trim" | "reverse", _) if method => {
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
        ("math.greatest" | "math.least", _) => when(
            !args.is_empty() && args.iter().all(|a| numeric(a) || matches!(a, List(..))),
            match &args[0] {
                List(of, _) => (**of).clone(),
                other => other.clone(),
            },
            size(0).max(1),
        ),
        ("math.abs", [Int | Uint | Double | Dyn]) => Of(args[0].clone(), 1),
        ("math.ceil" | "math.floor" | "math.round" | "math.trunc", [Double | Dyn]) => Of(Double, 1),
        ("url", [Text(_) | Dyn]) => Of(Opaque(URL), tenth(size(0)).max(1)),
        ("isURL", [Text(_) | Dyn]) => Of(Bool, tenth(size(0)).max(1)),
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
        ("asInteger" | "sign", _) if method => when(opaque(0, QUANTITY), Int, 1),
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
        ("semver", [Text(_) | Dyn]) => Of(Opaque(SEMVER), tenth(size(0)).max(1)),
        ("isSemver", [Text(_) | Dyn]) => Of(Bool, tenth(size(0)).max(1)),
        ("major" | "minor" | "patch", _) if method => when(opaque(0, SEMVER), Int, 1),
        ("ip", [Text(_) | Dyn]) if !method => Of(Opaque(IP), tenth(size(0)).max(1)),
        ("ip", _) if method => when(opaque(0, CIDR), Opaque(IP), 1),
        ("isIP" | "ip.isCanonical" | "isCIDR", [Text(_) | Dyn]) => Of(Bool, tenth(size(0)).max(1)),
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
            5,
        ),
        ("containsCIDR", _) if method => when(
            opaque(0, CIDR) && (opaque(1, CIDR) || is(1, &text())),
            Bool,
            5,
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
            tenth(size(1)).max(1),
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
            super::check::join((**of).clone(), other.clone()),
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
    "math.greatest",
    "math.least",
    "math.abs",
    "math.ceil",
    "math.floor",
    "math.round",
    "math.trunc",
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
const NAMED: &[&str] = &[
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

type Out<'v> = Result<Value<'v>, String>;

fn overload<'v>() -> Out<'v> {
    Err("no such overload".to_owned())
}

/// Runs a function; what it may cost has been paid.
pub(super) fn run<'v>(name: &str, args: &[Value<'v>]) -> Out<'v> {
    use Value::{
        Bool, Bytes, Cidr, Double, Duration, Format, Int, Ip, Kind, Optional, Quantity, Semver,
        Text, Timestamp, Uint, Url,
    };
    let over = |value: Option<i64>| value.map(Int).ok_or_else(|| "integer overflow".to_owned());
    let uover = |value: Option<u64>| {
        value
            .map(Uint)
            .ok_or_else(|| "unsigned integer overflow".to_owned())
    };
    let zero = || "division by zero".to_owned();
    Ok(match (name, args) {
        ("!_", [Bool(a)]) => Bool(!a),
        ("-_", [Int(a)]) => over(a.checked_neg())?,
        ("-_", [Double(a)]) => Double(-a),
        ("_==_", [a, b]) => Bool(a.same(b)),
        ("_!=_", [a, b]) => Bool(!a.same(b)),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => {
            let nan = matches!(a, Double(v) if v.is_nan()) || matches!(b, Double(v) if v.is_nan());
            match a.order(b) {
                None if nan => Bool(false),
                None => return overload(),
                Some(order) => Bool(match name {
                    "_<_" => order == Ordering::Less,
                    "_<=_" => order != Ordering::Greater,
                    "_>_" => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                }),
            }
        }
        ("_+_", [Int(a), Int(b)]) => over(a.checked_add(*b))?,
        ("_+_", [Uint(a), Uint(b)]) => uover(a.checked_add(*b))?,
        ("_+_", [Double(a), Double(b)]) => Double(a + b),
        ("_+_", [Text(a), Text(b)]) => Value::text(format!("{a}{b}")),
        ("_+_", [Bytes(a), Bytes(b)]) => Bytes([a.as_ref(), b].concat().into()),
        ("_+_", [Duration(a), Duration(b)]) => Duration(a.checked_add(*b).ok_or("integer overflow")?),
        ("_+_", [Timestamp(a), Duration(b)] | [Duration(b), Timestamp(a)]) => Timestamp(a + i128::from(*b)),
        ("_+_", [a, b]) => match (a.items(), b.items()) {
            (Some(mut a), Some(b)) => {
                a.extend(b);
                Value::list(a)
            }
            _ => return overload(),
        },
        ("_-_", [Int(a), Int(b)]) => over(a.checked_sub(*b))?,
        ("_-_", [Uint(a), Uint(b)]) => uover(a.checked_sub(*b))?,
        ("_-_", [Double(a), Double(b)]) => Double(a - b),
        ("_-_", [Duration(a), Duration(b)]) => Duration(a.checked_sub(*b).ok_or("integer overflow")?),
        ("_-_", [Timestamp(a), Duration(b)]) => Timestamp(a - i128::from(*b)),
        ("_-_", [Timestamp(a), Timestamp(b)]) => {
            Duration(i64::try_from(a - b).map_err(|_| "integer overflow")?)
        }
        ("_*_", [Int(a), Int(b)]) => over(a.checked_mul(*b))?,
        ("_*_", [Uint(a), Uint(b)]) => uover(a.checked_mul(*b))?,
        ("_*_", [Double(a), Double(b)]) => Double(a * b),
        ("_/_", [Int(_), Int(0)] | [Uint(_), Uint(0)]) => return Err(zero()),
        ("_/_", [Int(a), Int(b)]) => over(a.checked_div(*b))?,
        ("_/_", [Uint(a), Uint(b)]) => Uint(a / b),
        ("_/_", [Double(a), Double(b)]) => Double(a / b),
        ("_%_", [Int(_), Int(0)] | [Uint(_), Uint(0)]) => return Err("modulus by zero".to_owned()),
        ("_%_", [Int(a), Int(b)]) => over(a.checked_rem(*b))?,
        ("_%_", [Uint(a), Uint(b)]) => Uint(a % b),
        ("@in", [a, of]) => match of.items() {
            Some(items) => Bool(items.iter().any(|item| item.same(a))),
            None if of.entries().is_some() => Bool(of.get(a).is_some()),
            None => return overload(),
        },
        ("_[_]" | "_[?_]", [of, index]) => return at(name == "_[?_]", of, index),
        ("size", [Text(_) | Bytes(_) | Value::List(_) | Value::Map(_) | Value::Part(..)]) => {
            Int(i64::try_from(args[0].size()).unwrap_or(i64::MAX))
        }
        ("string" | "int" | "uint" | "double" | "bool" | "bytes" | "duration" | "timestamp", [a]) => {
            return convert(name, a);
        }
        ("type", [a]) => Kind(a.kind()),
        ("dyn", [a]) => a.clone(),
        ("contains", [Text(a), Text(b)]) => Bool(a.contains(&**b)),
        ("startsWith", [Text(a), Text(b)]) => Bool(a.starts_with(&**b)),
        ("endsWith", [Text(a), Text(b)]) => Bool(a.ends_with(&**b)),
        ("matches", [Text(a), Text(b)]) => Bool(regex(b)?.is_match(a)),
        ("find", [Text(a), Text(b)]) => {
            Value::text(regex(b)?.find(a).map_or("", |m| m.as_str()))
        }
        ("findAll", [Text(a), Text(b), rest @ ..]) => {
            let most = match rest {
                [Int(most)] if *most >= 0 => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let regex = regex(b)?;
            Value::list(regex.find_iter(a).take(most).map(|m| Value::text(m.as_str())).collect())
        }
        (_, [Timestamp(a), zone @ ..]) if name.starts_with("get") => return part_of_time(name, *a, zone),
        ("getHours", [Duration(a)]) => Int(a / 3_600_000_000_000),
        ("getMinutes", [Duration(a)]) => Int(a / 60_000_000_000),
        ("getSeconds", [Duration(a)]) => Int(a / 1_000_000_000),
        ("getMilliseconds", [Duration(a)]) => Int(a / 1_000_000 % 1000),
        ("charAt", [Text(a), Int(i)]) => {
            let count = a.chars().count();
            match usize::try_from(*i) {
                Ok(i) if i <= count => {
                    Value::text(a.chars().nth(i).map(String::from).unwrap_or_default())
                }
                _ => return Err(format!("index out of range: {i}")),
            }
        }
        ("indexOf" | "lastIndexOf", [Text(a), Text(b), rest @ ..]) => return index_of(name, a, b, rest),
        ("indexOf", [of, a]) => {
            let items = of.items().ok_or("no such overload")?;
            Int(items.iter().position(|i| i.same(a)).map_or(-1, |i| i as i64))
        }
        ("lastIndexOf", [of, a]) => {
            let items = of.items().ok_or("no such overload")?;
            Int(items.iter().rposition(|i| i.same(a)).map_or(-1, |i| i as i64))
        }
        ("lowerAscii", [Text(a)]) => Value::text(a.to_ascii_lowercase()),
        ("upperAscii", [Text(a)]) => Value::text(a.to_ascii_uppercase()),
        ("trim", [Text(a)]) => Value::text(a.trim()),
        ("reverse", [of]) if of.items().is_some() => {
            Value::list(of.items().unwrap_or_default().into_iter().rev().collect())
        }
        ("reverse", [Text(a)]) => Value::text(a.chars().rev().collect::<String>()),
        ("replace", [Text(a), Text(b), Text(c)]) => Value::text(a.replace(&**b, c)),
        ("replace", [Text(a), Text(b), Text(c), Int(n)]) => Value::text(match usize::try_from(*n) {
            Ok(n) => a.replacen(&**b, c, n),
            Err(_) => a.replace(&**b, c),
        }),
        ("split", [Text(a), Text(b), rest @ ..]) => {
            let most = match rest {
                [Int(n)] => *n,
                _ => -1,
            };
            let parts: Vec<String> = match (most, b.is_empty()) {
                (0, _) => Vec::new(),
                (_, true) => a.chars().map(String::from).collect(),
                (n, _) if n > 0 => a.splitn(n as usize, &**b).map(str::to_owned).collect(),
                _ => a.split(&**b).map(str::to_owned).collect(),
            };
            Value::list(parts.into_iter().map(Value::text).collect())
        }
        ("join", [of, rest @ ..]) => {
            let by = match rest {
                [Text(by)] => by.to_string(),
                _ => String::new(),
            };
            let items = of.items().ok_or("no such overload")?;
            let texts: Vec<String> = items
                .iter()
                .map(|item| match item {
                    Text(text) => Ok(text.to_string()),
                    _ => Err("no such overload".to_owned()),
                })
                .collect::<Result<_, _>>()?;
            Value::text(texts.join(&by))
        }
        ("substring", [Text(a), Int(start), rest @ ..]) => {
            let count = a.chars().count() as i64;
            let end = match rest {
                [Int(end)] => *end,
                _ => count,
            };
            if *start < 0 || *start > count || end < *start || end > count {
                return Err(format!("index out of range: {}", if *start < 0 || *start > count { *start } else { end }));
            }
            Value::text(a.chars().skip(*start as usize).take((end - start) as usize).collect::<String>())
        }
        ("format", [Text(a), of]) => Value::text(formatted(a, &of.items().ok_or("no such overload")?)?),
        ("strings.quote", [Text(a)]) => Value::text(format!("{a:?}")),
        ("isSorted", [of]) => {
            let items = of.items().ok_or("no such overload")?;
            Bool(items.windows(2).all(|w| w[0].order(&w[1]).is_some_and(|o| o != Ordering::Greater)))
        }
        ("sum", [of]) => {
            let items = of.items().ok_or("no such overload")?;
            let mut items = items.into_iter();
            let Some(mut total) = items.next() else {
                return Ok(Int(0));
            };
            for item in items {
                total = run("_+_", &[total, item])?;
            }
            total
        }
        ("min" | "max", [of]) => {
            let items = of.items().ok_or("no such overload")?;
            return extreme(name, items);
        }
        ("math.greatest" | "math.least", _) => {
            let items = match args {
                [one] => one.items().unwrap_or_else(|| vec![one.clone()]),
                many => many.to_vec(),
            };
            return extreme(if name == "math.least" { "min" } else { "max" }, items);
        }
        ("distinct", [of]) => {
            let mut out: Vec<Value<'v>> = Vec::new();
            for item in of.items().ok_or("no such overload")? {
                if !out.iter().any(|known| known.same(&item)) {
                    out.push(item);
                }
            }
            Value::list(out)
        }
        ("sort", [of]) => {
            let mut items = of.items().ok_or("no such overload")?;
            items.sort_by(|a, b| a.order(b).unwrap_or(Ordering::Equal));
            Value::list(items)
        }
        ("flatten", [of]) => Value::list(
            of.items()
                .ok_or("no such overload")?
                .into_iter()
                .flat_map(|item| item.items().unwrap_or_else(|| vec![item]))
                .collect(),
        ),
        ("sets.contains" | "sets.intersects" | "sets.equivalent", [a, b]) => {
            let (a, b) = (a.items().ok_or("no such overload")?, b.items().ok_or("no such overload")?);
            let within = |x: &[Value<'v>], y: &[Value<'v>]| x.iter().all(|i| y.iter().any(|j| i.same(j)));
            Bool(match name {
                "sets.contains" => within(&b, &a),
                "sets.equivalent" => within(&b, &a) && within(&a, &b),
                _ => a.iter().any(|i| b.iter().any(|j| i.same(j))),
            })
        }
        ("math.abs", [Int(a)]) => over(a.checked_abs())?,
        ("math.abs", [Uint(a)]) => Uint(*a),
        ("math.abs", [Double(a)]) => Double(a.abs()),
        ("math.ceil", [Double(a)]) => Double(a.ceil()),
        ("math.floor", [Double(a)]) => Double(a.floor()),
        ("math.round", [Double(a)]) => Double(a.round()),
        ("math.trunc", [Double(a)]) => Double(a.trunc()),
        ("url", [Text(a)]) if is_url(a) => Url(a.clone()),
        ("url", [Text(a)]) => return Err(format!("URL parse error during conversion from string: parse {a:?}: invalid URI for request")),
        ("isURL", [Text(a)]) => Bool(is_url(a)),
        ("getQuery", [Url(a)]) => query(a),
        (_, [Url(a)]) if name.starts_with("get") => Value::text(url_part(name, a)),
        ("quantity", [Text(a)]) => Quantity(
            parse_quantity(a).ok_or("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")?,
        ),
        ("isQuantity", [Text(a)]) => Bool(parse_quantity(a).is_some()),
        ("isInteger", [Quantity(a)]) => Bool(a % NANO == 0 && i64::try_from(a / NANO).is_ok()),
        ("asInteger", [Quantity(a)]) => match i64::try_from(a / NANO) {
            Ok(value) if a % NANO == 0 => Int(value),
            _ => return Err("cannot convert value to integer".to_owned()),
        },
        ("sign", [Quantity(a)]) => Int(a.signum() as i64),
        ("asApproximateFloat", [Quantity(a)]) => Double(*a as f64 / 1e9),
        ("add", [Quantity(a), Quantity(b)]) => Quantity(a.saturating_add(*b)),
        ("add", [Quantity(a), Int(b)]) => Quantity(a.saturating_add(i128::from(*b) * NANO)),
        ("sub", [Quantity(a), Quantity(b)]) => Quantity(a.saturating_sub(*b)),
        ("sub", [Quantity(a), Int(b)]) => Quantity(a.saturating_sub(i128::from(*b) * NANO)),
        ("isGreaterThan", [a, b]) => Bool(a.order(b) == Some(Ordering::Greater)),
        ("isLessThan", [a, b]) => Bool(a.order(b) == Some(Ordering::Less)),
        ("compareTo", [a, b]) => Int(a.order(b).map_or(0, |o| o as i64)),
        ("semver", [Text(a)]) => {
            let (numbers, pre) = parse_semver(a).ok_or_else(|| format!("invalid semver {a:?}"))?;
            Semver(numbers.into(), pre.into())
        }
        ("isSemver", [Text(a)]) => Bool(parse_semver(a).is_some()),
        ("major", [Semver(a, _)]) => Int(a[0] as i64),
        ("minor", [Semver(a, _)]) => Int(a[1] as i64),
        ("patch", [Semver(a, _)]) => Int(a[2] as i64),
        ("ip", [Text(a)]) => Ip(parse_ip(a).ok_or_else(|| {
            format!("IP Address {a:?} parse error during conversion from string: ParseAddr({a:?}): unable to parse IP")
        })?),
        ("ip", [Cidr(a, _)]) => Ip(*a),
        ("isIP", [Text(a)]) => Bool(parse_ip(a).is_some()),
        ("ip.isCanonical", [Text(a)]) => match parse_ip(a) {
            Some(ip) => Bool(ip.to_string() == **a),
            None => return Err(format!("IP Address {a:?} parse error during conversion from string")),
        },
        ("family", [Ip(a)]) => Int(if a.is_ipv4() { 4 } else { 6 }),
        ("isUnspecified", [Ip(a)]) => Bool(a.is_unspecified()),
        ("isLoopback", [Ip(a)]) => Bool(a.is_loopback()),
        ("isLinkLocalMulticast", [Ip(a)]) => Bool(match a {
            IpAddr::V4(v) => v.octets()[..3] == [224, 0, 0],
            IpAddr::V6(v) => v.segments()[0] & 0xff0f == 0xff02,
        }),
        ("isLinkLocalUnicast", [Ip(a)]) => Bool(link_local(a)),
        ("isGlobalUnicast", [Ip(a)]) => Bool(
            !(a.is_unspecified() || a.is_loopback() || a.is_multicast() || link_local(a))
                && *a != IpAddr::V4(Ipv4Addr::BROADCAST),
        ),
        ("cidr", [Text(a)]) => {
            let (ip, bits) = parse_cidr(a).ok_or_else(|| format!("network address parse error during conversion from string: netip.ParsePrefix({a:?}): no '/'"))?;
            Cidr(ip, bits)
        }
        ("isCIDR", [Text(a)]) => Bool(parse_cidr(a).is_some()),
        ("containsIP", [Cidr(a, n), Ip(b)]) => Bool(within(a, *n, b)),
        ("containsIP", [Cidr(a, n), Text(b)]) => {
            Bool(within(a, *n, &parse_ip(b).ok_or_else(|| format!("IP Address {b:?} parse error"))?))
        }
        ("containsCIDR", [Cidr(a, n), Cidr(b, m)]) => Bool(m >= n && within(a, *n, b)),
        ("containsCIDR", [Cidr(a, n), Text(b)]) => {
            let (b, m) = parse_cidr(b).ok_or_else(|| format!("network address {b:?} parse error"))?;
            Bool(m >= *n && within(a, *n, &b))
        }
        ("masked", [Cidr(a, n)]) => Cidr(mask(a, *n), *n),
        ("prefixLength", [Cidr(_, n)]) => Int(i64::from(*n)),
        ("format.named", [Text(a)]) => Optional(NAMED.contains(&&**a).then(|| Format(a.clone()).into())),
        ("validate", [Format(f), Text(a)]) => {
            let wrong = format_errors(f, a);
            Optional((!wrong.is_empty()).then(|| Value::list(wrong.into_iter().map(Value::text).collect()).into()))
        }
        ("optional.of", [a]) => Optional(Some(a.clone().into())),
        ("optional.ofNonZeroValue", [a]) => Optional((!is_zero(a)).then(|| a.clone().into())),
        ("optional.none", []) => Optional(None),
        ("hasValue", [Optional(a)]) => Bool(a.is_some()),
        ("value", [Optional(Some(a))]) => (**a).clone(),
        ("value", [Optional(None)]) => return Err("optional.none() dereference".to_owned()),
        ("orValue", [Optional(a), b]) => a.as_ref().map_or_else(|| b.clone(), |a| (**a).clone()),
        ("or", [Optional(a), b]) => {
            if a.is_some() {
                args[0].clone()
            } else {
                b.clone()
            }
        }
        ("allowed", [Value::Decision(of)]) => Bool(of.allowed),
        ("errored", [Value::Decision(of)]) => Bool(!of.error.is_empty()),
        ("reason", [Value::Decision(of)]) => Value::text(of.reason.as_str()),
        ("error", [Value::Decision(of)]) => Value::text(of.error.as_str()),
        ("jsonpatch.escapeKey", [Text(key)]) => Value::text(key.replace('~', "~0").replace('/', "~1")),
        ("lists.range", [Int(end)]) => Value::list((0..*end).map(Int).collect()),
        ("slice", [of, Int(from), Int(to)]) => {
            let Some(items) = of.items() else {
                return overload();
            };
            if *from < 0 || *to < 0 {
                return Err(format!("cannot slice({from}, {to}), negative indexes not supported"));
            }
            if from > to {
                return Err(format!("cannot slice({from}, {to}), start index must be less than or equal to end index"));
            }
            let length = items.len();
            let end = usize::try_from(*to).ok().filter(|end| *end <= length);
            let (Some(end), Ok(start)) = (end, usize::try_from(*from)) else {
                return Err(format!("cannot slice({from}, {to}), list is length {length}"));
            };
            Value::list(items[start..end].to_vec())
        }
        ("first", [of]) => match of.items() {
            Some(items) => Optional(items.into_iter().next().map(Into::into)),
            None => return overload(),
        },
        ("last", [of]) => match of.items() {
            Some(items) => Optional(items.into_iter().next_back().map(Into::into)),
            None => return overload(),
        },
        (name, []) if name.starts_with("format.") => Format(name[7..].into()),
        _ => return overload(),
    })
}

/// What a call costs by the values that it is given.
pub(super) fn price(name: &str, args: &[Value<'_>]) -> u64 {
    let size = |i: usize| args.get(i).map_or(0, Value::size);
    let text = |i: usize| matches!(args.get(i), Some(Value::Text(_) | Value::Bytes(_)));
    match name {
        "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => {
            if text(0) && text(1) {
                tenth(size(0).min(size(1))).max(1)
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
        _ if text(0) => tenth(size(0)).max(1),
        _ => 1,
    }
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(v) => !v,
        Value::Int(v) => *v == 0,
        Value::Uint(v) => *v == 0,
        Value::Double(v) => *v == 0.0,
        Value::Duration(v) => *v == 0,
        Value::Optional(v) => v.is_none(),
        Value::Text(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) | Value::Part(..) => {
            value.size() == 0
        }
        _ => false,
    }
}

fn at<'v>(optional: bool, of: &Value<'v>, index: &Value<'v>) -> Out<'v> {
    if let Value::Optional(inner) = of {
        return match inner {
            None => Ok(Value::Optional(None)),
            Some(inner) => at(true, inner, index),
        };
    }
    let found = if let Some(items) = of.items() {
        let place = match index {
            Value::Int(i) => usize::try_from(*i).ok(),
            Value::Uint(i) => usize::try_from(*i).ok(),
            Value::Double(i) if i.fract() == 0.0 && *i >= 0.0 => Some(*i as usize),
            Value::Double(_) => None,
            _ => return overload(),
        };
        match place.and_then(|i| items.get(i).cloned()) {
            None if !optional => return Err(format!("index out of bounds: {}", shown(index))),
            found => found,
        }
    } else if of.entries().is_some() {
        match of.get(index) {
            None if !optional => return Err(format!("no such key: {}", shown(index))),
            found => found,
        }
    } else {
        return overload();
    };
    match found {
        Some(value) if !optional => Ok(value),
        found => Ok(Value::Optional(found.map(Into::into))),
    }
}

/// A value as `string()` writes it.
pub(super) fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Uint(v) => v.to_string(),
        Value::Bool(v) => v.to_string(),
        Value::Null => "null".into(),
        Value::Double(v) => v.to_string(),
        Value::Bytes(data) => String::from_utf8_lossy(data).into_owned(),
        Value::Duration(v) => format!("{}s", *v as f64 / 1e9),
        Value::Timestamp(v) => written(*v),
        Value::Url(v) | Value::Format(v) => v.to_string(),
        Value::Ip(v) => v.to_string(),
        Value::Cidr(a, n) => format!("{a}/{n}"),
        Value::Kind(v) => (*v).into(),
        Value::Quantity(v) => {
            if v % NANO == 0 {
                (v / NANO).to_string()
            } else {
                format!("{}", *v as f64 / 1e9)
            }
        }
        Value::Semver(v, pre) => {
            let dash = if pre.is_empty() { "" } else { "-" };
            format!("{}.{}.{}{dash}{pre}", v[0], v[1], v[2])
        }
        Value::Optional(_) => "optional".into(),
        other => {
            if let Some(items) = other.items() {
                let texts: Vec<String> = items.iter().map(shown).collect();
                return format!("[{}]", texts.join(", "));
            }
            let entries = other.entries().unwrap_or_default();
            let texts: Vec<String> = entries
                .iter()
                .map(|(k, v)| format!("{}: {}", shown(k), shown(v)))
                .collect();
            format!("{{{}}}", texts.join(", "))
        }
    }
}

fn convert<'v>(name: &str, value: &Value<'v>) -> Out<'v> {
    use Value::{Bool, Bytes, Double, Duration, Int, Text, Timestamp, Uint};
    let range = || "integer overflow".to_owned();
    let wrong = |what: &str| format!("type conversion error from 'string' to '{what}'");
    Ok(match (name, value) {
        ("string", Bytes(data)) => match std::str::from_utf8(data) {
            Ok(text) => Value::text(text),
            Err(_) => return Err("invalid UTF-8 in bytes, cannot convert to string".into()),
        },
        ("string", Value::Part(..) | Value::List(_) | Value::Map(_)) => return overload(),
        ("string", other) => Value::text(shown(other)),
        ("int", Int(v)) => Int(*v),
        ("int", Uint(v)) => Int(i64::try_from(*v).map_err(|_| range())?),
        ("int", Double(v)) if v.abs() < 9.3e18 => Int(*v as i64),
        ("int", Double(_)) => return Err(range()),
        ("int", Text(v)) => Int(v.parse().map_err(|_| wrong("int"))?),
        ("int", Timestamp(v)) => Int((v / NANO) as i64),
        ("uint", Uint(v)) => Uint(*v),
        ("uint", Int(v)) => Uint(u64::try_from(*v).map_err(|_| "unsigned integer overflow")?),
        ("uint", Double(v)) if *v >= 0.0 && *v < 1.8e19 => Uint(*v as u64),
        ("uint", Text(v)) => Uint(v.parse().map_err(|_| wrong("uint"))?),
        ("double", Double(v)) => Double(*v),
        ("double", Int(v)) => Double(*v as f64),
        ("double", Uint(v)) => Double(*v as f64),
        ("double", Text(v)) => Double(v.parse().map_err(|_| wrong("double"))?),
        ("bool", Bool(v)) => Bool(*v),
        ("bool", Text(v)) => match &**v {
            "true" | "True" | "TRUE" | "t" | "1" => Bool(true),
            "false" | "False" | "FALSE" | "f" | "0" => Bool(false),
            _ => return Err(wrong("bool")),
        },
        ("bytes", Bytes(v)) => Bytes(v.clone()),
        ("bytes", Text(v)) => Bytes(v.as_bytes().into()),
        ("duration", Duration(v)) => Duration(*v),
        ("duration", Text(v)) => {
            Duration(duration(v).ok_or_else(|| wrong("google.protobuf.Duration"))?)
        }
        ("timestamp", Timestamp(v)) => Timestamp(*v),
        ("timestamp", Int(v)) => Timestamp(i128::from(*v) * NANO),
        ("timestamp", Text(v)) => {
            Timestamp(timestamp(v).ok_or_else(|| wrong("google.protobuf.Timestamp"))?)
        }
        _ => return overload(),
    })
}

fn regex(text: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|e| e.to_string().lines().last().unwrap_or_default().to_owned())
}

fn extreme<'v>(name: &str, items: Vec<Value<'v>>) -> Out<'v> {
    let wanted = if name == "min" {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    let mut items = items.into_iter();
    let Some(mut best) = items.next() else {
        return Err(format!("{name} called on empty list"));
    };
    for item in items {
        match item.order(&best) {
            None => return overload(),
            Some(order) if order == wanted => best = item,
            Some(_) => {}
        }
    }
    Ok(best)
}

fn index_of<'v>(name: &str, a: &str, b: &str, rest: &[Value<'v>]) -> Out<'v> {
    let (text, part): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let last = text.len().saturating_sub(part.len());
    let found = |i: &usize| text[*i..].starts_with(&part);
    if part.len() > text.len() {
        return Ok(Value::Int(-1));
    }
    let place = match rest {
        [Value::Int(offset)] => {
            let Ok(offset) = usize::try_from(*offset) else {
                return Err(format!("index out of range: {offset}"));
            };
            if offset >= text.len().max(1) {
                return Err(format!("index out of range: {offset}"));
            }
            if name == "indexOf" {
                (offset..=last).find(found)
            } else {
                (0..=last.min(offset)).rev().find(found)
            }
        }
        _ if name == "indexOf" => (0..=last).find(found),
        _ => (0..=last).rev().find(found),
    };
    Ok(Value::Int(place.map_or(-1, |i| i as i64)))
}

fn formatted(text: &str, args: &[Value<'_>]) -> Result<String, String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut precision = None;
        if chars.peek() == Some(&'.') {
            chars.next();
            let mut digits = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            precision = digits.parse::<usize>().ok();
        }
        let verb = chars.next().ok_or("could not parse formatting clause")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let arg = args.next().ok_or("index out of range")?;
        match (verb, arg) {
            ('s', any) => out += &shown(any),
            ('d', Value::Int(_) | Value::Uint(_)) => out += &shown(arg),
            ('f', Value::Double(v)) => out += &format!("{v:.*}", precision.unwrap_or(6)),
            ('f', Value::Int(v)) => out += &format!("{:.*}", precision.unwrap_or(6), *v as f64),
            ('e', Value::Double(v)) => out += &format!("{v:.*e}", precision.unwrap_or(6)),
            ('b', Value::Int(v)) => out += &format!("{v:b}"),
            ('b', Value::Bool(v)) => out += &u8::from(*v).to_string(),
            ('o', Value::Int(v)) => out += &format!("{v:o}"),
            ('x', Value::Int(v)) => out += &format!("{v:x}"),
            ('X', Value::Int(v)) => out += &format!("{v:X}"),
            ('x', Value::Text(v)) => v.bytes().for_each(|b| out += &format!("{b:02x}")),
            _ => {
                return Err(format!(
                    "error during formatting: unrecognized formatting clause \"{verb}\""
                ));
            }
        }
    }
    Ok(out)
}

/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// Nanoseconds of a duration.
pub(crate) fn duration(text: &str) -> Option<i64> {
    crate::schema::go_duration(text)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Nanoseconds since 1970 of an RFC 3339 time or date.
pub(crate) fn timestamp(text: &str) -> Option<i128> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (month, day) = (number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = days(number(0..4)?, month, day);
    if bytes.len() == 10 {
        return Some(i128::from(date) * 86_400 * NANO);
    }
    if bytes.len() < 20
        || !matches!(bytes[10], b'T' | b't')
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return None;
    }
    let mut seconds =
        date * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let mut rest = &text[19..];
    let mut nanos = 0_i128;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(fraction.len());
        if end == 0 || end > 9 {
            return None;
        }
        nanos = format!("{:0<9}", &fraction[..end]).parse().ok()?;
        rest = &fraction[end..];
    }
    match rest {
        "Z" | "z" => {}
        _ => {
            let sign = match rest.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let (hours, minutes) = rest[1..].split_once(':')?;
            seconds -=
                sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60);
        }
    }
    Some(i128::from(seconds) * NANO + nanos)
}

fn written(at: i128) -> String {
    let (seconds, nanos) = (at.div_euclid(NANO) as i64, at.rem_euclid(NANO));
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let mut out = format!(
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    if nanos > 0 {
        out += format!(".{nanos:09}").trim_end_matches('0');
    }
    out + "Z"
}

/// Seconds east of UTC of a zone of the IANA database at a time.
fn named_zone(name: &str, at: i128) -> Option<i64> {
    let zone = jiff::tz::TimeZone::get(name).ok()?;
    let second = i64::try_from(at.div_euclid(NANO)).ok()?;
    let time = jiff::Timestamp::from_second(second).ok()?;
    Some(i64::from(zone.to_offset(time).seconds()))
}

fn part_of_time<'v>(name: &str, at: i128, zone: &[Value<'v>]) -> Out<'v> {
    let shift = match zone {
        [] => 0,
        [Value::Text(zone)] if matches!(&**zone, "UTC" | "") => 0,
        [Value::Text(zone)] => {
            let (sign, rest) = match zone.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, zone.trim_start_matches('+')),
            };
            let parts = rest
                .split_once(':')
                .and_then(|(h, m)| Some((h.parse::<i64>().ok()?, m.parse::<i64>().ok()?)));
            match parts {
                Some((hours, minutes)) => sign * (hours * 3600 + minutes * 60),
                None => named_zone(zone, at).ok_or_else(|| format!("unknown time zone {zone}"))?,
            }
        }
        _ => return overload(),
    };
    let seconds = at.div_euclid(NANO) as i64 + shift;
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    Ok(Value::Int(match name {
        "getFullYear" => year,
        "getMonth" => month - 1,
        "getDate" => date,
        "getDayOfMonth" => date - 1,
        "getDayOfWeek" => (day + 4).rem_euclid(7),
        "getDayOfYear" => day - days(year, 1, 1),
        "getHours" => of_day / 3600,
        "getMinutes" => of_day / 60 % 60,
        "getSeconds" => of_day % 60,
        "getMilliseconds" => (at.rem_euclid(NANO) / 1_000_000) as i64,
        _ => return overload(),
    }))
}

fn is_url(text: &str) -> bool {
    crate::schema::valid_format("uri", text)
}

/// Scheme, authority, path and query of a URL.
fn url_parts(text: &str) -> (&str, &str, &str, &str) {
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let query = query.split('#').next().unwrap_or("");
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let at = rest.find('/').unwrap_or(rest.len());
            (scheme, &rest[..at], &rest[at..], query)
        }
        None => ("", "", text, query),
    }
}

fn url_part(name: &str, text: &str) -> String {
    let (scheme, authority, path, _) = url_parts(text);
    let host = authority.rsplit('@').next().unwrap_or("");
    let (hostname, port) = match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => (&host[..at], &host[at + 1..]),
        _ => (host, ""),
    };
    match name {
        "getScheme" => scheme,
        "getHost" => host,
        "getHostname" => hostname.trim_start_matches('[').trim_end_matches(']'),
        "getPort" => port,
        _ => path,
    }
    .to_owned()
}

fn query<'v>(text: &str) -> Value<'v> {
    let mut out: Vec<(Value<'v>, Vec<Value<'v>>)> = Vec::new();
    for pair in url_parts(text).3.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (Value::text(unescaped(name)), Value::text(unescaped(value)));
        match out.iter_mut().find(|(known, _)| known.same(&name)) {
            Some((_, values)) => values.push(value),
            None => out.push((name, vec![value])),
        }
    }
    Value::Map(
        out.into_iter()
            .map(|(k, v)| (k, Value::list(v)))
            .collect::<Vec<_>>()
            .into(),
    )
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let code = text
            .get(i + 1..i + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[i], code) {
            (b'%', Some(code)) => {
                out.push(code);
                i += 2;
            }
            (b'+', _) => out.push(b' '),
            (c, _) => out.push(c),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn parse_quantity(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (sign, digits) = match number.as_bytes().first()? {
        b'-' => (-1, &number[1..]),
        b'+' => (1, &number[1..]),
        _ => (1, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0
        || !(whole.bytes().chain(fraction.bytes())).all(|c| c.is_ascii_digit())
    {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}")
        .parse()
        .ok()
        .filter(|m| *m < 10_i128.pow(27))?;
    let scale = |mantissa: i128, up: i128, exponent: i32| -> Option<i128> {
        let value = mantissa.checked_mul(up)?;
        let shift = exponent + 9 - i32::try_from(fraction.len()).ok()?;
        if shift >= 0 {
            value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)
        } else {
            let by = 10_i128.checked_pow(u32::try_from(-shift).ok()?)?;
            Some((value + by - 1) / by)
        }
    };
    let two = |power: u32| Some((1_i128 << power, 0));
    let (up, exponent) = match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => two(10)?,
        "Mi" => two(20)?,
        "Gi" => two(30)?,
        "Ti" => two(40)?,
        "Pi" => two(50)?,
        "Ei" => two(60)?,
        other => {
            let power: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            (1, power)
        }
    };
    Some(sign * scale(mantissa, up, exponent)?)
}

fn parse_semver(text: &str) -> Option<([u64; 3], String)> {
    let text = text.split('+').next()?;
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut out = [0; 3];
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() != 3 {
        return None;
    }
    for (slot, part) in out.iter_mut().zip(parts) {
        if part.len() > 1 && part.starts_with('0') || !part.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    Some((out, pre.to_owned()))
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    // Addresses of one family written as the other are not taken.
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => None,
        ip => Some(ip),
    }
}

fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = text.split_once('/')?;
    let ip = parse_ip(ip)?;
    let bits: u8 = bits
        .bytes()
        .all(|c| c.is_ascii_digit())
        .then(|| bits.parse().ok())??;
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
}

fn mask(ip: &IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((v.to_bits() & mask).into())
        }
        IpAddr::V6(v) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((v.to_bits() & mask).into())
        }
    }
}

fn within(net: &IpAddr, bits: u8, ip: &IpAddr) -> bool {
    net.is_ipv4() == ip.is_ipv4() && mask(net, bits) == mask(ip, bits)
}

fn link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v) => v.is_link_local(),
        IpAddr::V6(v) => v.is_unicast_link_local(),
    }
}

fn format_errors(format: &str, text: &str) -> Vec<String> {
    let lower = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |text: &str, first: fn(u8) -> bool, prefix: bool| {
        let bytes = text.as_bytes();
        !bytes.is_empty()
            && bytes.len() <= 63
            && first(bytes[0])
            && bytes.iter().all(|c| lower(*c) || *c == b'-')
            && (prefix || bytes.last().is_some_and(|c| lower(*c)))
    };
    let any = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let letter = |c: u8| c.is_ascii_lowercase();
    let word = |text: &str| {
        let bytes = text.as_bytes();
        let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
    };
    let domain =
        |text: &str| text.len() <= 253 && text.split('.').all(|part| label(part, any, false));
    let fits = match format {
        "dns1123Label" => label(text, any, false),
        "dns1123LabelPrefix" => label(text, any, true),
        "dns1035Label" => label(text, letter, false),
        "dns1035LabelPrefix" => label(text, letter, true),
        "dns1123Subdomain" => domain(text),
        "dns1123SubdomainPrefix" => domain(text.trim_end_matches('-')),
        "labelValue" => text.is_empty() || word(text),
        "qualifiedName" => match text.split_once('/') {
            Some((prefix, name)) => domain(prefix) && word(name),
            None => word(text),
        },
        other => crate::schema::valid_format(other, text),
    };
    if fits {
        Vec::new()
    } else {
        vec![format!("{text:?} is no valid {format}")]
    }
}
