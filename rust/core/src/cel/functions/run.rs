//! What functions and operators do.

use super::networks::{link_local, mask, parse_cidr, parse_ip, why_no_cidr, why_no_ip, within};
use super::quantities::parse_quantity;
use super::signatures::NAMED;
use super::texts::{format_errors, formatted, index_of, regex};
use super::times::{NANO, duration, part_of_time, timestamp, written};
use super::urls::{is_url, query, url_part};
use super::versions::parse_semver;
use super::{Out, overload};
use crate::cel::value::Value;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

/// Runs a function; what it may cost has been paid.
pub(in crate::cel) fn run<'v>(name: &str, args: &[Value<'v>]) -> Out<'v> {
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
        // Equality of what Kubernetes' libraries make is asked of it, and it knows its own type alone.
        ("_==_" | "_!=_", [a @ (Quantity(_) | Url(_) | Ip(_) | Cidr(..) | Semver(..)), b])
            if a.kind() != b.kind() =>
        {
            return overload();
        }
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
        ("_+_", [Timestamp(a), Duration(b)] | [Duration(b), Timestamp(a)]) => dated(a + i128::from(*b))?,
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
        ("_-_", [Timestamp(a), Duration(b)]) => dated(a - i128::from(*b))?,
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
            None if matches!(of, Value::Domains(_)) => {
                let entries = of.entries().unwrap_or_default();
                Bool(entries.iter().any(|(key, _)| key.same(a)))
            }
            None if of.entries().is_some() => Bool(of.get(a).is_some()),
            None => return overload(),
        },
        ("_[_]" | "_[?_]", [of, index]) => return at(name == "_[?_]", of, index),
        ("size", [
            Text(_) | Bytes(_) | Value::List(_) | Value::Map(_) | Value::Domains(_) | Value::Part(..),
        ]) => {
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
        ("getMilliseconds", [Duration(a)]) => Int(a / 1_000_000),
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
            if !rest.is_empty() && *start > end {
                return Err(format!("invalid substring range. start: {start}, end: {end}"));
            }
            if *start < 0 || *start > count || end > count {
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
        ("asApproximateFloat", [Quantity(a)]) => Double(*a as f64 / 1e9),
        ("add", [Quantity(a), Quantity(b)]) => Quantity(a.saturating_add(*b)),
        ("add", [Quantity(a), Int(b)]) => Quantity(a.saturating_add(i128::from(*b) * NANO)),
        ("sub", [Quantity(a), Quantity(b)]) => Quantity(a.saturating_sub(*b)),
        ("sub", [Quantity(a), Int(b)]) => Quantity(a.saturating_sub(i128::from(*b) * NANO)),
        ("isGreaterThan", [a, b]) => Bool(a.order(b) == Some(Ordering::Greater)),
        ("isLessThan", [a, b]) => Bool(a.order(b) == Some(Ordering::Less)),
        ("compareTo", [a, b]) => Int(a.order(b).map_or(0, |o| o as i64)),
        ("semver", [Text(a), rest @ ..]) => {
            let (numbers, pre) = parse_semver(a, matches!(rest, [Bool(true)]))?;
            Semver(numbers.into(), pre.into())
        }
        ("isSemver", [Text(a), rest @ ..]) => Bool(parse_semver(a, matches!(rest, [Bool(true)])).is_ok()),
        ("major", [Semver(a, _)]) => Int(a[0] as i64),
        ("minor", [Semver(a, _)]) => Int(a[1] as i64),
        ("patch", [Semver(a, _)]) => Int(a[2] as i64),
        ("ip", [Text(a)]) => Ip(parse_ip(a).ok_or_else(|| why_no_ip(a))?),
        ("ip", [Cidr(a, _)]) => Ip(*a),
        ("isIP", [Text(a)]) => Bool(parse_ip(a).is_some()),
        ("ip.isCanonical", [Text(a)]) => match parse_ip(a) {
            Some(ip) => Bool(ip.to_string() == **a),
            None => return Err(why_no_ip(a)),
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
            let (ip, bits) = parse_cidr(a).ok_or_else(|| why_no_cidr(a))?;
            Cidr(ip, bits)
        }
        ("isCIDR", [Text(a)]) => Bool(parse_cidr(a).is_some()),
        ("containsIP", [Cidr(a, n), Ip(b)]) => Bool(within(a, *n, b)),
        ("containsIP", [Cidr(a, n), Text(b)]) => {
            match parse_ip(b) {
                Some(ip) => Bool(within(a, *n, &ip)),
                None => return overload(),
            }
        }
        ("containsCIDR", [Cidr(a, n), Cidr(b, m)]) => Bool(m >= n && within(a, *n, b)),
        ("containsCIDR", [Cidr(a, n), Text(b)]) => {
            let (b, m) = parse_cidr(b).ok_or_else(|| why_no_cidr(b))?;
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

/// A time, unless it is before the year 1 or after the year 9999.
fn dated<'v>(at: i128) -> Out<'v> {
    const FIRST: i128 = -62_135_596_800 * NANO;
    const END: i128 = 253_402_300_800 * NANO;
    if (FIRST..END).contains(&at) {
        Ok(Value::Timestamp(at))
    } else {
        Err("timestamp overflow".to_owned())
    }
}

/// A number as Go's `%g` writes it.
fn written_float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    value.to_string()
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
        Value::Text(_)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Domains(_)
        | Value::Part(..) => value.size() == 0,
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
pub(in crate::cel) fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Uint(v) => v.to_string(),
        Value::Bool(v) => v.to_string(),
        Value::Null => "null".into(),
        Value::Double(v) => written_float(*v),
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
        ("string", Value::Part(..) | Value::List(_) | Value::Map(_) | Value::Domains(_)) => {
            return overload();
        }
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
            "true" | "True" | "TRUE" | "t" | "T" | "1" => Bool(true),
            "false" | "False" | "FALSE" | "f" | "F" | "0" => Bool(false),
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
