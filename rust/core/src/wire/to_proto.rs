//! Canonical JSON to protobuf, as gogo's generated code writes it: by field number, maps sorted by key, every scalar and
//! struct that is not behind a pointer written even when it is zero.

use super::error::{Result, fail};
use super::go::{parse_float, parse_int};
use super::proto::{self, put_bytes, put_key, put_varint};
use super::scan::{MAX_DEPTH, Scanner};
use super::table::{self, Field, Shape, Struct, TypeId};
use super::text::{unescape, utf8};
use super::{duration, time, write};

/// An object in its envelope; apiVersion and kind are the object's own.
pub fn encode(kind: TypeId, json: &[u8]) -> Result<Vec<u8>> {
    let (api_version, name) = super::peek_json(json)?;
    let raw = message(kind, json)?;
    Ok(proto::envelope(
        api_version.as_bytes(),
        name.as_bytes(),
        &raw,
    ))
}

/// A list in its envelope: `list` is the list's JSON without items (apiVersion, kind, metadata), `items` the objects' JSON.
pub fn encode_list(
    list_kind: TypeId,
    item_kind: TypeId,
    list: &[u8],
    items: &[&[u8]],
) -> Result<Vec<u8>> {
    let (api_version, name) = super::peek_json(list)?;
    let Shape::Struct(s) = table::get(list_kind).shape else {
        return fail(format!("{} is no list", table::get(list_kind).key));
    };
    let Some(number) = s
        .find(b"items")
        .map(|i| s.fields[i].number)
        .filter(|n| *n > 0)
    else {
        return fail(format!("{} has no items", table::get(list_kind).key));
    };
    let mut raw = message(list_kind, list)?;
    raw.reserve(items.iter().map(|i| i.len()).sum());
    for item in items {
        put_bytes(&mut raw, number, &message(item_kind, item)?);
    }
    Ok(proto::envelope(
        api_version.as_bytes(),
        name.as_bytes(),
        &raw,
    ))
}

/// One frame of a watch: four bytes of length, then a WatchEvent that holds the enveloped object.
pub fn watch_frame(event: &str, kind: TypeId, json: &[u8]) -> Result<Vec<u8>> {
    let object = encode(kind, json)?;
    let mut extension = Vec::with_capacity(object.len() + 8);
    put_bytes(&mut extension, 1, &object);
    let mut out = vec![0; 4];
    put_bytes(&mut out, 1, event.as_bytes());
    put_bytes(&mut out, 2, &extension);
    let Ok(length) = u32::try_from(out.len() - 4) else {
        return fail("the event is longer than a frame can be");
    };
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out)
}

/// The bare message.
fn message(kind: TypeId, json: &[u8]) -> Result<Vec<u8>> {
    let text = utf8(json);
    let mut encoder = Encoder {
        s: Scanner::new(&text),
        out: Vec::with_capacity(json.len()),
        scratch: Vec::new(),
        segments: Vec::with_capacity(64),
        depth: 0,
    };
    let Shape::Struct(s) = table::get(kind).shape else {
        return fail(format!("{} is no object", table::get(kind).key));
    };
    if encoder.s.peek() != b'{' {
        return fail("json: an object is wanted");
    }
    encoder.object(s)?;
    encoder.s.end()?;
    Ok(encoder.out)
}

/// A field that is written: its place in the table, where its bytes stand.
#[derive(Clone, Copy)]
struct Segment {
    index: u16,
    from: usize,
    to: usize,
}

struct Encoder<'a> {
    s: Scanner<'a>,
    out: Vec<u8>,
    scratch: Vec<u8>,
    segments: Vec<Segment>,
    depth: usize,
}

impl Encoder<'_> {
    /// Appends the object's message (without a key or length of its own).
    fn object(&mut self, s: &Struct) -> Result<()> {
        self.enter()?;
        let (start, base) = (self.out.len(), self.segments.len());
        let mut key = self.s.first_key()?;
        while let Some(name) = key {
            let found = if name.plain {
                s.find(name.raw)
            } else {
                s.find(&unescape(name.raw))
            };
            match found {
                Some(index) if s.fields[index].number > 0 => {
                    let from = self.out.len();
                    self.field(&s.fields[index])?;
                    if self.out.len() > from {
                        self.segments.push(Segment {
                            index: index as u16,
                            from,
                            to: self.out.len(),
                        });
                    }
                }
                _ => self.s.skip(self.depth)?,
            }
            key = self.s.next_key()?;
        }
        self.depth -= 1;
        self.segments[base..].sort_by_key(|seg| seg.index);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.assemble(&mut scratch, s, 0, &self.segments[base..]);
        self.out.truncate(start);
        self.out.extend_from_slice(&scratch);
        self.scratch = scratch;
        self.segments.truncate(base);
        Ok(())
    }

    /// Puts the fields in the order of their numbers, with zeros for what is not there.
    fn assemble(&self, into: &mut Vec<u8>, s: &Struct, offset: u16, mine: &[Segment]) {
        for p in s.proto {
            let index = offset + p.first;
            if let Some(Shape::Struct(embedded)) = p.inline.map(|kind| table::get(kind).shape) {
                let start = into.len();
                self.assemble(into, embedded, index, mine);
                proto::wrap(into, start, p.number);
                continue;
            }
            match mine.binary_search_by_key(&index, |seg| seg.index) {
                Ok(mut at) => {
                    while mine.get(at + 1).is_some_and(|next| next.index == index) {
                        at += 1; // the last one wins
                    }
                    into.extend_from_slice(&self.out[mine[at].from..mine[at].to]);
                }
                Err(_) => put_zero(into, &s.fields[usize::from(p.first)]),
            }
        }
    }

    fn enter(&mut self) -> Result<()> {
        self.s.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail("exceeded max depth");
        }
        Ok(())
    }

    /// Appends a field with its key, or nothing.
    fn field(&mut self, f: &Field) -> Result<()> {
        let t = table::get(f.kind);
        let first = self.s.peek();
        if first == b'n' {
            return self.s.literal("null");
        }
        match t.shape {
            Shape::List(of) if !t.message => self.list(f.number, of, first),
            Shape::Map(of) => self.map(f.number, of, first),
            _ => self.value(f.number, f.kind),
        }
    }

    fn list(&mut self, number: u32, of: TypeId, first: u8) -> Result<()> {
        if first != b'[' {
            return self.mismatch(of);
        }
        self.enter()?;
        let mut more = self.s.first_item();
        while more {
            if self.s.peek() == b'n' {
                self.s.literal("null")?;
                put_zero_value(&mut self.out, number, of);
            } else {
                self.value(number, of)?;
            }
            more = self.s.next_item()?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn map(&mut self, number: u32, of: TypeId, first: u8) -> Result<()> {
        if first != b'{' {
            return self.mismatch(of);
        }
        self.enter()?;
        let start = self.out.len();
        let mut entries: Vec<(Vec<u8>, usize, usize)> = Vec::new();
        let mut key = self.s.first_key()?;
        while let Some(name) = key {
            let from = self.out.len();
            let text = name.value().into_owned();
            put_bytes(&mut self.out, 1, &text);
            if self.s.peek() == b'n' {
                self.s.literal("null")?;
                put_zero_value(&mut self.out, 2, of);
            } else {
                self.value(2, of)?;
            }
            proto::wrap(&mut self.out, from, number);
            entries.push((text, from, self.out.len()));
            key = self.s.next_key()?;
        }
        self.depth -= 1;
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            let mut sorted = Vec::with_capacity(self.out.len() - start);
            for (i, (name, from, to)) in entries.iter().enumerate() {
                if entries.get(i + 1).is_none_or(|next| next.0 != *name) {
                    sorted.extend_from_slice(&self.out[*from..*to]);
                }
            }
            self.out.truncate(start);
            self.out.extend_from_slice(&sorted);
        }
        Ok(())
    }

    fn mismatch<T>(&mut self, kind: TypeId) -> Result<T> {
        fail(format!(
            "json: a value is not of type {}",
            table::get(kind).go
        ))
    }

    /// Appends one value with its key.
    fn value(&mut self, number: u32, kind: TypeId) -> Result<()> {
        let t = table::get(kind);
        let first = self.s.peek();
        match (t.shape, first) {
            (Shape::Struct(s), b'{') => {
                let start = self.out.len();
                self.object(s)?;
                proto::wrap(&mut self.out, start, number);
            }
            (Shape::Str, b'"') => {
                let text = self.s.string()?;
                put_bytes(&mut self.out, number, &text.value());
            }
            (Shape::Bool, b't' | b'f') => {
                self.s
                    .literal(if first == b't' { "true" } else { "false" })?;
                put_key(&mut self.out, number, 0);
                self.out.push(u8::from(first == b't'));
            }
            (Shape::Int32 | Shape::Int64, b'-' | b'0'..=b'9') => {
                let value = self.int()?;
                put_key(&mut self.out, number, 0);
                put_varint(&mut self.out, value as u64);
            }
            (Shape::Float64, b'-' | b'0'..=b'9') => {
                let Some(value) = parse_float(self.s.number()?) else {
                    return self.mismatch(kind);
                };
                put_key(&mut self.out, number, 1);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            (Shape::Bytes, b'"') => {
                let text = self.s.string()?;
                match write::base64_decode(&text.value()) {
                    Ok(data) => put_bytes(&mut self.out, number, &data),
                    Err(at) => return fail(format!("illegal base64 data at input byte {at}")),
                }
            }
            (Shape::List(of), b'[') if t.message => {
                let start = self.out.len();
                self.list(1, of, first)?;
                proto::wrap(&mut self.out, start, number);
            }
            _ => {
                let start = self.out.len();
                self.own(t.shape, kind, first)?;
                proto::wrap(&mut self.out, start, number);
            }
        }
        Ok(())
    }

    fn int(&mut self) -> Result<i64> {
        let number = self.s.number()?;
        match parse_int(number) {
            Some(value) => Ok(value),
            None => fail(format!(
                "json: {} is no int64",
                String::from_utf8_lossy(number)
            )),
        }
    }

    /// The types that read themselves: the inside of their message.
    fn own(&mut self, shape: Shape, kind: TypeId, first: u8) -> Result<()> {
        match (shape, first) {
            (Shape::Quantity, b'"') => {
                let text = self.s.string()?;
                put_bytes(&mut self.out, 1, &text.value());
            }
            (Shape::Quantity, b'-' | b'0'..=b'9') => {
                let number = self.s.number()?;
                put_bytes(&mut self.out, 1, number);
            }
            (Shape::Time | Shape::MicroTime, b'"') => {
                let micro = matches!(shape, Shape::MicroTime);
                let text = self.s.string()?.string().into_owned();
                let at = match time::parse(&text, micro) {
                    Ok(at) => at,
                    Err(message) => return fail(message),
                };
                if at != time::ZERO {
                    put_key(&mut self.out, 1, 0);
                    put_varint(&mut self.out, at.seconds as u64);
                    put_key(&mut self.out, 2, 0);
                    put_varint(&mut self.out, u64::from(at.micros) * 1000);
                }
            }
            (Shape::Duration, b'"') => match duration::parse(&self.s.string()?.string()) {
                Ok(nanos) => {
                    put_key(&mut self.out, 1, 0);
                    put_varint(&mut self.out, nanos as u64);
                }
                Err(message) => return fail(message),
            },
            (Shape::IntOrString, b'"') => {
                let text = self.s.string()?;
                self.out.extend_from_slice(&[0x08, 1, 0x10, 0]);
                put_bytes(&mut self.out, 3, &text.value());
            }
            (Shape::IntOrString, b'-' | b'0'..=b'9') => {
                let value = self.int()?;
                self.out.extend_from_slice(&[0x08, 0]);
                put_key(&mut self.out, 2, 0);
                put_varint(&mut self.out, value as u64);
                put_bytes(&mut self.out, 3, b"");
            }
            (Shape::Raw, _) => {
                let start = self.out.len();
                self.s.compact(self.depth, &mut self.out)?;
                proto::wrap(&mut self.out, start, 1);
            }
            (Shape::PropsOrArray | Shape::PropsOrStrings, b'{') => self.schema(1)?,
            (Shape::PropsOrArray, b'[') => {
                self.list(2, find("apiextensions/v1.JSONSchemaProps", kind), first)?;
            }
            (Shape::PropsOrStrings, b'[') => self.list(2, find("string", kind), first)?,
            (Shape::PropsOrBool, b'{') => {
                self.out.extend_from_slice(&[0x08, 1]);
                self.schema(2)?;
            }
            (Shape::PropsOrBool, b't' | b'f') => self.value(1, find("bool", kind))?,
            _ => return self.mismatch(kind),
        }
        Ok(())
    }

    fn schema(&mut self, number: u32) -> Result<()> {
        self.value(number, find("apiextensions/v1.JSONSchemaProps", 0))
    }
}

fn find(key: &str, otherwise: TypeId) -> TypeId {
    table::find(key).unwrap_or(otherwise)
}

/// What gogo writes for a field that was not given.
fn put_zero(out: &mut Vec<u8>, f: &Field) {
    if !f.pointer
        && !matches!(
            table::get(f.kind).shape,
            Shape::List(_) | Shape::Map(_) | Shape::Bytes
        )
    {
        put_zero_value(out, f.number, f.kind);
    }
}

fn put_zero_value(out: &mut Vec<u8>, number: u32, kind: TypeId) {
    match table::get(kind).shape {
        Shape::Bool | Shape::Int32 | Shape::Int64 => {
            put_key(out, number, 0);
            out.push(0);
        }
        Shape::Float64 => {
            put_key(out, number, 1);
            out.extend_from_slice(&[0; 8]);
        }
        Shape::Struct(s) => {
            let start = out.len();
            zero_fields(out, s);
            proto::wrap(out, start, number);
        }
        Shape::Quantity => put_bytes(out, number, b"\x0a\x010"),
        Shape::IntOrString => put_bytes(out, number, b"\x08\0\x10\0\x1a\0"),
        Shape::Duration | Shape::PropsOrBool => put_bytes(out, number, b"\x08\0"),
        _ => put_bytes(out, number, b""),
    }
}

fn zero_fields(out: &mut Vec<u8>, s: &Struct) {
    for p in s.proto {
        match p.inline.map(|kind| table::get(kind).shape) {
            Some(Shape::Struct(embedded)) => {
                let start = out.len();
                zero_fields(out, embedded);
                proto::wrap(out, start, p.number);
            }
            _ => put_zero(out, &s.fields[usize::from(p.first)]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_behind_a_pointer_is_always_written() {
        let kind = table::find("core/v1.LocalObjectReference").unwrap();
        assert_eq!(message(kind, b"{}").unwrap(), b"\x0a\0");
        let kind = table::find("core/v1.ConfigMapKeySelector").unwrap();
        assert_eq!(
            message(kind, br#"{"key":"k","name":"n"}"#).unwrap(),
            b"\x0a\x03\x0a\x01n\x12\x01k"
        );
    }

    #[test]
    fn a_pod_goes_there_and_back() {
        let body = br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"b":"2","a":"1"}},"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"1"}}}]},"status":{}}"#;
        let kind = table::find("core/v1.Pod").unwrap();
        let canonical = super::super::decode_json(Some(kind), body).unwrap().json;
        let wire = encode(kind, &canonical).unwrap();
        assert_eq!(
            super::super::from_proto::decode(kind, &wire).unwrap().json,
            canonical
        );
    }

    #[test]
    fn a_watch_frame_has_its_length_before_it() {
        let kind = table::find("core/v1.Pod").unwrap();
        let frame = watch_frame("ADDED", kind, br#"{"apiVersion":"v1","kind":"Pod"}"#).unwrap();
        assert_eq!(
            u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize,
            frame.len() - 4
        );
        assert_eq!(&frame[4..11], b"\x0a\x05ADDED");
    }
}
