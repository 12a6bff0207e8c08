//! Protobuf bodies to canonical JSON.

use super::decode::Decoded;
use super::error::{Result, fail};
use super::go::zero;
use super::proto::{self, Raw, Reader};
use super::scan::{MAX_DEPTH, Scanner};
use super::table::{self, Shape, Struct, TypeId};
use super::text::utf8;
use super::{duration, quantity, time, write};

/// Reads an enveloped protobuf body as this type. Protobuf knows no duplicate fields, and passes over unknown ones.
pub fn decode(kind: TypeId, body: &[u8]) -> Result<Decoded> {
    let envelope = proto::open(body)?;
    let Shape::Struct(s) = table::get(kind).shape else {
        return fail(format!("{} is no object", table::get(kind).key));
    };
    let mut out = Vec::with_capacity(body.len() * 2 + 64);
    let mut fields = Vec::new();
    collect(s, envelope.raw, 0, &mut fields, 0)?;
    for (name, value) in [
        ("apiVersion", envelope.api_version),
        ("kind", envelope.kind),
    ] {
        if let Some(index) = s.find(name.as_bytes()).filter(|i| s.fields[*i].number == 0) {
            fields.push((index as u16, Raw::Bytes(value)));
        }
    }
    write_struct(&mut out, s, fields, 0)?;
    Ok(Decoded {
        json: out,
        unknown: Vec::new(),
        duplicate: Vec::new(),
    })
}

/// A struct's fields as they stand on the wire: index in the table, value.
type Fields<'a> = Vec<(u16, Raw<'a>)>;

/// Finds the message's fields in the table; embedded messages are opened.
fn collect<'a>(
    s: &Struct,
    message: &'a [u8],
    offset: u16,
    out: &mut Fields<'a>,
    depth: usize,
) -> Result<()> {
    let mut reader = Reader { data: message };
    while let Some((number, raw)) = reader.next()? {
        let Ok(at) = s.proto.binary_search_by_key(&number, |p| p.number) else {
            continue;
        };
        let field = &s.proto[at];
        match (field.inline, raw) {
            (None, _) => out.push((offset + field.first, raw)),
            (Some(kind), Raw::Bytes(inner)) => {
                if depth > MAX_DEPTH {
                    return fail("exceeded max depth");
                }
                if let Shape::Struct(embedded) = table::get(kind).shape {
                    collect(embedded, inner, offset + field.first, out, depth + 1)?;
                }
            }
            (Some(_), other) => return wrong(other, s.fields[usize::from(field.first)].name),
        }
    }
    Ok(())
}

fn write_struct(out: &mut Vec<u8>, s: &Struct, mut fields: Fields<'_>, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return fail("exceeded max depth");
    }
    let start = out.len();
    if !fields.is_sorted_by_key(|f| f.0) {
        fields.sort_by_key(|f| f.0);
    }
    let mut left = &fields[..];
    for (index, f) in s.fields.iter().enumerate() {
        let mine = left
            .iter()
            .take_while(|v| usize::from(v.0) == index)
            .count();
        let (values, rest) = left.split_at(mine);
        left = rest;
        let from = out.len();
        let mut kept = false;
        if !values.is_empty() {
            out.extend_from_slice(f.prefix.as_bytes());
            let empty = write_values(out, f.kind, values, f.name, depth)?;
            kept = match empty {
                Found::Value => true,
                Found::Zero => !f.omit_empty || f.pointer,
                Found::Nothing => false,
            };
        }
        if !kept {
            out.truncate(from);
            out.extend_from_slice(f.absent.as_bytes());
        }
    }
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Found {
    Value,
    /// Written, and what `omitempty` leaves out.
    Zero,
    /// Nothing is written.
    Nothing,
}

fn found(zero: bool) -> Found {
    if zero { Found::Zero } else { Found::Value }
}

fn wrong<T>(raw: Raw<'_>, name: &str) -> Result<T> {
    fail(format!(
        "proto: wrong wireType = {} for field {name}",
        raw.wire_type()
    ))
}

fn write_values(
    out: &mut Vec<u8>,
    kind: TypeId,
    values: &[(u16, Raw<'_>)],
    name: &str,
    depth: usize,
) -> Result<Found> {
    let t = table::get(kind);
    match t.shape {
        Shape::List(of) if !t.message => {
            out.push(b'[');
            let start = out.len();
            for (_, raw) in values {
                if let (Raw::Bytes(packed), Shape::Bool | Shape::Int32 | Shape::Int64) =
                    (raw, table::get(of).shape)
                {
                    let mut reader = Reader { data: packed };
                    while !reader.data.is_empty() {
                        separate(out, start);
                        let value = Raw::Varint(reader.varint()?);
                        write_value(out, of, value, name, depth)?;
                    }
                    continue;
                }
                separate(out, start);
                if write_value(out, of, *raw, name, depth)? == Found::Nothing {
                    out.extend_from_slice(zero(of).as_bytes());
                }
            }
            let empty = out.len() == start;
            out.push(b']');
            Ok(found(empty))
        }
        Shape::Map(of) => {
            write_map(out, of, values, name, depth)?;
            Ok(Found::Value)
        }
        _ => match values.last() {
            Some((_, raw)) => write_value(out, kind, *raw, name, depth),
            None => Ok(Found::Nothing),
        },
    }
}

fn separate(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b',');
    }
}

fn write_map(
    out: &mut Vec<u8>,
    of: TypeId,
    values: &[(u16, Raw<'_>)],
    name: &str,
    depth: usize,
) -> Result<()> {
    let mut entries: Vec<(&[u8], Option<Raw<'_>>)> = Vec::with_capacity(values.len());
    for (_, raw) in values {
        let Raw::Bytes(entry) = *raw else {
            return wrong(*raw, name);
        };
        let (mut key, mut value) = (&b""[..], None);
        let mut reader = Reader { data: entry };
        while let Some((number, raw)) = reader.next()? {
            match (number, raw) {
                (1, Raw::Bytes(text)) => key = text,
                (2, raw) => value = Some(raw),
                _ => {}
            }
        }
        entries.push((key, value));
    }
    entries.sort_by_key(|e| e.0);
    out.push(b'{');
    let start = out.len();
    for (i, (key, value)) in entries.iter().enumerate() {
        if entries.get(i + 1).is_some_and(|next| next.0 == *key) {
            continue; // the last one wins
        }
        separate(out, start);
        write::string(out, &utf8(key));
        out.push(b':');
        let got = match value {
            Some(raw) => write_value(out, of, *raw, name, depth)?,
            None => Found::Nothing,
        };
        if got == Found::Nothing {
            out.extend_from_slice(zero(of).as_bytes());
        }
    }
    out.push(b'}');
    Ok(())
}

fn write_value(
    out: &mut Vec<u8>,
    kind: TypeId,
    raw: Raw<'_>,
    name: &str,
    depth: usize,
) -> Result<Found> {
    let t = table::get(kind);
    match (t.shape, raw) {
        (Shape::Bool, Raw::Varint(v)) => {
            out.extend_from_slice(if v != 0 { b"true" } else { b"false" });
            Ok(found(v == 0))
        }
        (Shape::Int32, Raw::Varint(v)) => {
            write::int(out, i64::from(v as i32));
            Ok(found(v as i32 == 0))
        }
        (Shape::Int64, Raw::Varint(v)) => {
            write::int(out, v as i64);
            Ok(found(v == 0))
        }
        (Shape::Float64, Raw::Fixed64(v)) => {
            let value = f64::from_bits(v);
            if !value.is_finite() {
                return fail(format!("json: unsupported value: {value}"));
            }
            write::float(out, value);
            Ok(found(value == 0.0))
        }
        (Shape::Str, Raw::Bytes(text)) => {
            write::string(out, &utf8(text));
            Ok(found(text.is_empty()))
        }
        (Shape::Bytes, Raw::Bytes(data)) => {
            out.push(b'"');
            write::base64(out, data);
            out.push(b'"');
            Ok(found(data.is_empty()))
        }
        (Shape::Struct(s), Raw::Bytes(message)) => {
            let mut fields = Vec::new();
            collect(s, message, 0, &mut fields, depth)?;
            write_struct(out, s, fields, depth + 1)?;
            Ok(Found::Value)
        }
        // A named list of strings: a message with one repeated field.
        (Shape::List(of), Raw::Bytes(message)) if t.message => {
            let mut items = Vec::new();
            let mut reader = Reader { data: message };
            while let Some((number, raw)) = reader.next()? {
                if number == 1 {
                    items.push((0, raw));
                }
            }
            let strings = table::find("[]string").unwrap_or(of);
            write_values(out, strings, &items, name, depth)
        }
        (_, Raw::Bytes(message)) => own(out, t.shape, message, name, depth),
        _ => wrong(raw, name),
    }
}

/// The types that read themselves: small messages.
fn own(out: &mut Vec<u8>, shape: Shape, message: &[u8], name: &str, depth: usize) -> Result<Found> {
    let mut fields = Vec::new();
    let mut reader = Reader { data: message };
    while let Some(field) = reader.next()? {
        fields.push(field);
    }
    let varint = |n: u32| {
        fields.iter().rev().find_map(|(number, raw)| match raw {
            Raw::Varint(v) if *number == n => Some(*v),
            _ => None,
        })
    };
    let bytes = |n: u32| {
        fields.iter().rev().find_map(|(number, raw)| match raw {
            Raw::Bytes(v) if *number == n => Some(*v),
            _ => None,
        })
    };
    match shape {
        Shape::Quantity => {
            let text = String::from_utf8_lossy(bytes(1).unwrap_or(b"0")).into_owned();
            match quantity::canonical(&text) {
                Ok(None) => write::string(out, text.as_bytes()),
                Ok(Some(better)) => write::string(out, better.as_bytes()),
                Err(message) => return fail(message),
            }
        }
        Shape::Time | Shape::MicroTime => {
            let micro = matches!(shape, Shape::MicroTime);
            let at = time::Instant {
                seconds: varint(1).unwrap_or(0) as i64,
                micros: if micro {
                    varint(2).unwrap_or(0) as u32 / 1000 % 1_000_000
                } else {
                    0
                },
            };
            if message.is_empty() || at == time::ZERO {
                return Ok(Found::Nothing);
            }
            if !(time::ZERO.seconds..=time::LAST).contains(&at.seconds) {
                return fail(format!(
                    "time: {} seconds are outside of the years 1 to 9999",
                    at.seconds
                ));
            }
            time::format(out, at, micro);
        }
        Shape::Duration => write::string(
            out,
            duration::format(varint(1).unwrap_or(0) as i64).as_bytes(),
        ),
        Shape::IntOrString => match varint(1).unwrap_or(0) {
            0 => write::int(out, i64::from(varint(2).unwrap_or(0) as i32)),
            1 => write::string(out, &utf8(bytes(3).unwrap_or(b""))),
            _ => return fail("impossible IntOrString.Type"),
        },
        Shape::Raw => return raw_json(out, bytes(1).unwrap_or(b""), depth),
        Shape::PropsOrBool | Shape::PropsOrArray | Shape::PropsOrStrings => {
            return props(out, shape, &fields, name, depth);
        }
        _ => return wrong(Raw::Bytes(message), name),
    }
    Ok(Found::Value)
}

fn raw_json(out: &mut Vec<u8>, raw: &[u8], depth: usize) -> Result<Found> {
    if raw.is_empty() {
        return Ok(Found::Nothing);
    }
    if raw.starts_with(proto::PREFIX) {
        return fail("an embedded object must be JSON, not protobuf");
    }
    let text = utf8(raw);
    let mut s = Scanner::new(&text);
    s.compact(depth, out)?;
    s.end()?;
    Ok(Found::Value)
}

fn props(
    out: &mut Vec<u8>,
    shape: Shape,
    fields: &[(u32, Raw<'_>)],
    name: &str,
    depth: usize,
) -> Result<Found> {
    let find = |key: &str| table::find(key).unwrap_or_default();
    let schema_number = if matches!(shape, Shape::PropsOrBool) {
        2
    } else {
        1
    };
    if !matches!(shape, Shape::PropsOrBool) {
        let list = match shape {
            Shape::PropsOrArray => find("[]apiextensions/v1.JSONSchemaProps"),
            _ => find("[]string"),
        };
        let items: Fields<'_> = fields
            .iter()
            .filter(|f| f.0 == 2)
            .map(|f| (0, f.1))
            .collect();
        if !items.is_empty() {
            return write_values(out, list, &items, name, depth + 1);
        }
    }
    if let Some((_, raw)) = fields.iter().rev().find(|f| f.0 == schema_number) {
        return write_value(
            out,
            find("apiextensions/v1.JSONSchemaProps"),
            *raw,
            name,
            depth + 1,
        );
    }
    if !matches!(shape, Shape::PropsOrBool) {
        return Ok(Found::Nothing);
    }
    let allows = fields
        .iter()
        .any(|f| f.0 == 1 && matches!(f.1, Raw::Varint(v) if v != 0));
    out.extend_from_slice(if allows { b"true" } else { b"false" });
    Ok(Found::Value)
}
