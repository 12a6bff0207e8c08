//! JSON bodies to canonical JSON: what Go would marshal after unmarshalling into the type, in one pass.
//!
//! Every member of an object is written as `,"name":value` and remembered as a segment. At the closing brace the segments
//! stand, or are put, in the table's order, and the first comma becomes the brace.

use super::error::{Result, WireError};
use super::scan::{MAX_DEPTH, Scanner, Text, unescape, utf8};
use super::table::{self, Field, Shape, Struct, TypeId};
use super::{quantity, time, write};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Canonical JSON.
    pub json: Vec<u8>,
    /// `unknown field "spec.replicsa"`, in the order met.
    pub unknown: Vec<String>,
    /// `duplicate field "spec.replicas"`, in the order met.
    pub duplicate: Vec<String>,
}

/// More strict errors than this are not collected (as in sigs.k8s.io/json).
const MAX_STRICT_ERRORS: usize = 100;

const INTERPRET: &str = "couldn't get version/kind; json parse error: ";

/// What was found where a value was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Written to the output.
    Value,
    /// Written to the output, and what `omitempty` leaves out.
    Empty,
    /// null, or a value of a wrong type: nothing is written.
    Nothing,
}

/// A member of an object, in the output.
#[derive(Clone, Copy)]
struct Segment {
    /// The field's place in the table, or the order of a map's keys.
    index: u32,
    from: usize,
    /// The end of a map's key.
    key_end: usize,
    to: usize,
}

enum Part<'a> {
    Field(TypeId, &'static Field),
    Key(Text<'a>),
    Index(usize),
}

pub(super) struct Decoder<'a> {
    s: Scanner<'a>,
    out: Vec<u8>,
    scratch: Vec<u8>,
    segments: Vec<Segment>,
    path: Vec<Part<'a>>,
    depth: usize,
    /// Above 0 inside a type that reads itself: unknown and duplicate fields pass there.
    quiet: u32,
    unknown: Vec<String>,
    duplicate: Vec<String>,
    /// The first type error; later ones are not told, and syntax errors go before it.
    wrong_type: Option<String>,
    /// The first error of a type that reads itself: goes before type errors.
    broken: Option<String>,
    /// A type error of apiVersion or kind: goes before both.
    nameless: Option<String>,
}

/// Reads a JSON body as this type; `None` keeps everything (custom resources before their schema is known).
pub fn decode(kind: Option<TypeId>, body: &[u8]) -> Result<Decoded> {
    let body = utf8(body);
    let mut decoder = Decoder {
        s: Scanner::new(&body),
        out: Vec::with_capacity(body.len() + body.len() / 8 + 64),
        scratch: Vec::new(),
        segments: Vec::with_capacity(64),
        path: Vec::with_capacity(16),
        depth: 0,
        quiet: 0,
        unknown: Vec::new(),
        duplicate: Vec::new(),
        wrong_type: None,
        broken: None,
        nameless: None,
    };
    let first = decoder.s.peek();
    match decoder.whole(kind) {
        Ok(()) if !matches!(first, b'{' | b'n') => {
            let what = kind_of(first);
            return interpret(&format!(
                "json: cannot unmarshal {what} into Go value of type struct {{ \
                 APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
            ));
        }
        Ok(()) => {}
        Err(e) => return interpret(&e.0),
    }
    if let Some(message) = decoder.nameless.or(decoder.broken).or(decoder.wrong_type) {
        return Err(WireError(message));
    }
    Ok(Decoded {
        json: decoder.out,
        unknown: decoder.unknown,
        duplicate: decoder.duplicate,
    })
}

/// Upstream looks for kind and version first, so that it is there where bad JSON is noticed.
fn interpret<T>(message: &str) -> Result<T> {
    Err(WireError(format!("{INTERPRET}{message}")))
}

/// How Go's errors call a JSON value by its first byte.
fn kind_of(first: u8) -> &'static str {
    match first {
        b'{' => "object",
        b'[' => "array",
        b'"' => "string",
        b't' | b'f' => "bool",
        _ => "number",
    }
}

impl<'a> Decoder<'a> {
    fn whole(&mut self, kind: Option<TypeId>) -> Result<()> {
        match kind {
            Some(id) => {
                if self.value(id)? == Found::Nothing {
                    self.out.extend_from_slice(zero(id).as_bytes());
                }
            }
            None => self.any()?,
        }
        self.s.end()
    }

    fn value(&mut self, id: TypeId) -> Result<Found> {
        let first = self.s.peek();
        if first == b'n' {
            self.s.literal("null")?;
            return Ok(Found::Nothing);
        }
        match table::get(id).shape {
            Shape::Struct(s) if first == b'{' => self.object(id, s).map(|()| Found::Value),
            Shape::Str if first == b'"' => self.text(),
            Shape::List(of) if first == b'[' => self.list(of),
            Shape::Map(of) if first == b'{' => self.map(of),
            Shape::Bool if matches!(first, b't' | b'f') => {
                let word = if first == b't' { "true" } else { "false" };
                self.s.literal(word)?;
                self.out.extend_from_slice(word.as_bytes());
                Ok(if first == b't' {
                    Found::Value
                } else {
                    Found::Empty
                })
            }
            Shape::Int32 if matches!(first, b'-' | b'0'..=b'9') => {
                self.int(id, i64::from(i32::MIN), i64::from(i32::MAX))
            }
            Shape::Int64 if matches!(first, b'-' | b'0'..=b'9') => self.int(id, i64::MIN, i64::MAX),
            Shape::Float64 if matches!(first, b'-' | b'0'..=b'9') => self.float(id),
            Shape::Bytes if first == b'"' => self.bytes(),
            Shape::Bytes if first == b'[' => self.byte_list(),
            Shape::Quantity => self.quantity(first),
            Shape::Time => self.time(first, false),
            Shape::MicroTime => self.time(first, true),
            Shape::Duration => self.duration(first),
            Shape::IntOrString => self.int_or_string(first),
            Shape::Raw => {
                self.s.compact(self.depth, &mut self.out)?;
                Ok(Found::Value)
            }
            Shape::Any => self.any().map(|()| Found::Value),
            Shape::PropsOrArray | Shape::PropsOrBool | Shape::PropsOrStrings => {
                self.props(id, first)
            }
            _ => self.mismatch(first, table::get(id).go),
        }
    }

    // --- objects ---

    fn enter(&mut self) -> Result<()> {
        self.s.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return super::error::fail("exceeded max depth");
        }
        Ok(())
    }

    fn object(&mut self, id: TypeId, s: &'static Struct) -> Result<()> {
        self.enter()?;
        let (start, base) = (self.out.len(), self.segments.len());
        let mut seen = [0_u64; 2];
        let mut key = self.s.first_key()?;
        while let Some(name) = key {
            let found = if name.plain {
                s.find(name.raw)
            } else {
                s.find(&unescape(name.raw))
            };
            match found {
                Some(index) => {
                    let bit = 1_u64 << (index % 64);
                    let again = seen[index / 64] & bit != 0;
                    seen[index / 64] |= bit;
                    if again {
                        self.strict("duplicate field", s.fields[index].name);
                    }
                    self.field(id, &s.fields[index], index, again.then_some(base))?;
                }
                None => {
                    self.strict("unknown field", &name.string());
                    self.s.skip(self.depth)?;
                }
            }
            key = self.s.next_key()?;
        }
        self.depth -= 1;
        self.close_struct(s, start, base);
        Ok(())
    }

    fn field(
        &mut self,
        id: TypeId,
        f: &'static Field,
        index: usize,
        again: Option<usize>,
    ) -> Result<()> {
        let from = self.out.len();
        self.out.extend_from_slice(f.prefix.as_bytes());
        self.path.push(Part::Field(id, f));
        let found = self.value(f.kind)?;
        self.path.pop();
        let kept = match found {
            Found::Value => true,
            Found::Empty => !f.omit_empty || f.pointer,
            Found::Nothing => false,
        };
        if let Some(base) = again {
            // The last one wins; null leaves a value that cannot be nil as it was.
            let nil = f.pointer
                || matches!(
                    table::get(f.kind).shape,
                    Shape::List(_) | Shape::Map(_) | Shape::Any
                );
            if found != Found::Nothing || nil {
                let place = self.segments[base..]
                    .iter()
                    .position(|s| s.index as usize == index);
                if let Some(i) = place {
                    self.segments.remove(base + i);
                }
            }
        }
        if kept {
            let to = self.out.len();
            self.segments.push(Segment {
                index: index as u32,
                from,
                key_end: from,
                to,
            });
        } else {
            self.out.truncate(from);
        }
        Ok(())
    }

    fn close_struct(&mut self, s: &'static Struct, start: usize, base: usize) {
        let mine = &mut self.segments[base..];
        let ordered = mine.windows(2).all(|w| w[0].index < w[1].index);
        let mut at = start;
        let contiguous = mine
            .iter()
            .all(|seg| std::mem::replace(&mut at, seg.to) == seg.from)
            && at == self.out.len();
        if !ordered {
            mine.sort_unstable_by_key(|seg| seg.index);
        }
        let missing = s.always.iter().any(|i| {
            mine.binary_search_by_key(&u32::from(*i), |seg| seg.index)
                .is_err()
        });
        if ordered && contiguous && !missing {
            self.close(start);
        } else {
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            let mut always = s.always.iter().copied().peekable();
            for seg in mine.iter() {
                while let Some(i) = always.next_if(|i| u32::from(*i) <= seg.index) {
                    if u32::from(i) < seg.index {
                        scratch.extend_from_slice(s.fields[usize::from(i)].absent.as_bytes());
                    }
                }
                scratch.extend_from_slice(&self.out[seg.from..seg.to]);
            }
            for i in always {
                scratch.extend_from_slice(s.fields[usize::from(i)].absent.as_bytes());
            }
            self.replace(start, scratch);
        }
        self.segments.truncate(base);
    }

    /// What stands in the output since `start` becomes `members`.
    fn replace(&mut self, start: usize, members: Vec<u8>) {
        self.out.truncate(start);
        self.out.extend_from_slice(&members);
        self.scratch = members;
        self.close(start);
    }

    fn close(&mut self, start: usize) {
        match self.out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    fn map(&mut self, of: TypeId) -> Result<Found> {
        self.members(Some(of))
    }

    /// A map's members, or those of an object of no type.
    fn members(&mut self, of: Option<TypeId>) -> Result<Found> {
        self.enter()?;
        let (start, base) = (self.out.len(), self.segments.len());
        let mut key = self.s.first_key()?;
        while let Some(name) = key {
            let from = self.out.len();
            self.out.extend_from_slice(b",\"");
            if name.plain {
                self.out.extend_from_slice(name.raw);
            } else {
                write::escape_into(&mut self.out, &unescape(name.raw));
            }
            let key_end = self.out.len();
            self.out.extend_from_slice(b"\":");
            self.path.push(Part::Key(name));
            match of {
                Some(of) => {
                    if self.value(of)? == Found::Nothing {
                        self.out.extend_from_slice(zero(of).as_bytes());
                    }
                }
                None => self.any()?,
            }
            self.path.pop();
            self.segments.push(Segment {
                index: (self.segments.len() - base) as u32,
                from,
                key_end,
                to: self.out.len(),
            });
            key = self.s.next_key()?;
        }
        self.depth -= 1;
        let empty = self.segments.len() == base;
        self.close_map(start, base);
        Ok(if empty { Found::Empty } else { Found::Value })
    }

    fn close_map(&mut self, start: usize, base: usize) {
        let out = &self.out;
        let key = |seg: &Segment| &out[seg.from + 2..seg.key_end];
        let compare = |a: &Segment, b: &Segment| {
            let (a, b) = (key(a), key(b));
            if a.contains(&b'\\') || b.contains(&b'\\') {
                unescape(a).cmp(&unescape(b))
            } else {
                a.cmp(b)
            }
        };
        let mine = &mut self.segments[base..];
        if !mine.windows(2).all(|w| compare(&w[0], &w[1]).is_lt()) {
            mine.sort_by(compare);
            let mut again = Vec::new();
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            for (i, seg) in mine.iter().enumerate() {
                if mine
                    .get(i + 1)
                    .is_some_and(|next| compare(seg, next).is_eq())
                {
                    again.push((mine[i + 1].index, key(seg).to_vec()));
                } else {
                    scratch.extend_from_slice(&self.out[seg.from..seg.to]);
                }
            }
            again.sort();
            for (_, name) in again {
                self.strict(
                    "duplicate field",
                    &String::from_utf8_lossy(&unescape(&name)),
                );
            }
            self.replace(start, scratch);
        } else {
            self.close(start);
        }
        self.segments.truncate(base);
    }

    // --- lists ---

    fn list(&mut self, of: TypeId) -> Result<Found> {
        self.items(Some(of))
    }

    fn items(&mut self, of: Option<TypeId>) -> Result<Found> {
        self.enter()?;
        self.out.push(b'[');
        let mut more = self.s.first_item();
        let empty = !more;
        let mut index = 0;
        self.path.push(Part::Index(0));
        while more {
            if index > 0 {
                self.out.push(b',');
                if let Some(last) = self.path.last_mut() {
                    *last = Part::Index(index);
                }
            }
            match of {
                Some(of) => {
                    if self.value(of)? == Found::Nothing {
                        self.out.extend_from_slice(zero(of).as_bytes());
                    }
                }
                None => self.any()?,
            }
            index += 1;
            more = self.s.next_item()?;
        }
        self.path.pop();
        self.depth -= 1;
        self.out.push(b']');
        Ok(if empty { Found::Empty } else { Found::Value })
    }

    // --- scalars ---

    fn text(&mut self) -> Result<Found> {
        let start = self.s.at;
        let text = self.s.string()?;
        if text.plain {
            self.out.extend_from_slice(&self.s.data[start..self.s.at]);
        } else {
            write::string(&mut self.out, &unescape(text.raw));
        }
        Ok(if text.raw.is_empty() {
            Found::Empty
        } else {
            Found::Value
        })
    }

    fn int(&mut self, id: TypeId, least: i64, most: i64) -> Result<Found> {
        let number = self.s.number()?;
        match parse_int(number) {
            Some(value) if (least..=most).contains(&value) => {
                write::int(&mut self.out, value);
                Ok(if value == 0 {
                    Found::Empty
                } else {
                    Found::Value
                })
            }
            _ => Ok(self.wrong_number(number, table::get(id).go)),
        }
    }

    fn float(&mut self, id: TypeId) -> Result<Found> {
        let number = self.s.number()?;
        match parse_float(number) {
            Some(value) => {
                write::float(&mut self.out, value);
                Ok(if value == 0.0 {
                    Found::Empty
                } else {
                    Found::Value
                })
            }
            None => Ok(self.wrong_number(number, table::get(id).go)),
        }
    }

    fn bytes(&mut self) -> Result<Found> {
        let text = self.s.string()?;
        match write::base64_decode(&text.value()) {
            Ok(data) => {
                self.out.push(b'"');
                write::base64(&mut self.out, &data);
                self.out.push(b'"');
                Ok(if data.is_empty() {
                    Found::Empty
                } else {
                    Found::Value
                })
            }
            Err(at) => {
                self.save(format!("illegal base64 data at input byte {at}"));
                Ok(Found::Nothing)
            }
        }
    }

    /// Go also takes a list of numbers for a []byte.
    fn byte_list(&mut self) -> Result<Found> {
        self.enter()?;
        let mut data = Vec::new();
        let mut more = self.s.first_item();
        while more {
            match self.s.peek() {
                b'n' => {
                    self.s.literal("null")?;
                    data.push(0);
                }
                b'-' | b'0'..=b'9' => {
                    let number = self.s.number()?;
                    match parse_int(number).and_then(|value| u8::try_from(value).ok()) {
                        Some(byte) => data.push(byte),
                        None => {
                            self.wrong_number(number, "uint8");
                        }
                    }
                }
                first => {
                    self.mismatch(first, "uint8")?;
                }
            }
            more = self.s.next_item()?;
        }
        self.depth -= 1;
        self.out.push(b'"');
        write::base64(&mut self.out, &data);
        self.out.push(b'"');
        Ok(if data.is_empty() {
            Found::Empty
        } else {
            Found::Value
        })
    }

    fn quantity(&mut self, first: u8) -> Result<Found> {
        let start = self.s.at;
        let raw = match first {
            b'"' => self.s.string()?.raw,
            _ => {
                self.s.skip(self.depth)?;
                &self.s.data[start..self.s.at]
            }
        };
        // Upstream does not look at escapes here.
        let text = std::str::from_utf8(raw).unwrap_or("").trim();
        match quantity::canonical(text) {
            Ok(None) => write::string(&mut self.out, text.as_bytes()),
            Ok(Some(better)) => write::string(&mut self.out, better.as_bytes()),
            Err(message) => return Ok(self.broken(message.to_owned())),
        }
        Ok(Found::Value)
    }

    fn time(&mut self, first: u8, micro: bool) -> Result<Found> {
        let Some(text) = self.own_string(first)? else {
            return Ok(Found::Nothing);
        };
        match time::parse(&text, micro) {
            Ok(at) if at == time::ZERO => Ok(Found::Nothing),
            Ok(at) => {
                time::format(&mut self.out, at, micro);
                Ok(Found::Value)
            }
            Err(message) => Ok(self.broken(message)),
        }
    }

    fn duration(&mut self, first: u8) -> Result<Found> {
        let Some(text) = self.own_string(first)? else {
            return Ok(Found::Nothing);
        };
        match time::parse_duration(&text) {
            Ok(nanos) => {
                write::string(&mut self.out, time::format_duration(nanos).as_bytes());
                Ok(Found::Value)
            }
            Err(message) => Ok(self.broken(message)),
        }
    }

    /// The string that a type which reads itself asks for.
    fn own_string(&mut self, first: u8) -> Result<Option<String>> {
        if first == b'"' {
            return Ok(Some(self.s.string()?.string().into_owned()));
        }
        self.s.skip(self.depth)?;
        let message = self.mismatch_message(kind_of(first), "string");
        self.broken(message);
        Ok(None)
    }

    fn int_or_string(&mut self, first: u8) -> Result<Found> {
        match first {
            b'"' => {
                self.text()?;
                Ok(Found::Value)
            }
            b'-' | b'0'..=b'9' => {
                let number = self.s.number()?;
                match parse_int(number) {
                    Some(value) if i32::try_from(value).is_ok() => {
                        write::int(&mut self.out, value);
                        Ok(Found::Value)
                    }
                    _ => {
                        let number = format!("number {}", String::from_utf8_lossy(number));
                        let message = self.mismatch_message(&number, "int32");
                        Ok(self.broken(message))
                    }
                }
            }
            _ => {
                self.s.skip(self.depth)?;
                let message = self.mismatch_message(kind_of(first), "int32");
                Ok(self.broken(message))
            }
        }
    }

    /// The three unions of apiextensions, which read themselves and so never complain about unknown fields.
    fn props(&mut self, id: TypeId, first: u8) -> Result<Found> {
        let shape = table::get(id).shape;
        let find = |key: &str| table::find(key).unwrap_or(id);
        self.quiet += 1;
        let found = match (first, shape) {
            (b'{', _) => self.value(find("apiextensions/v1.JSONSchemaProps")),
            (b'[', Shape::PropsOrArray) => self.value(find("[]apiextensions/v1.JSONSchemaProps")),
            (b'[', Shape::PropsOrStrings) => self.value(find("[]string")),
            (b't' | b'f', Shape::PropsOrBool) => self.value(find("bool")).map(|_| Found::Value),
            (_, Shape::PropsOrBool) => {
                self.s.skip(self.depth)?;
                Ok(self.broken("boolean or JSON schema expected".to_owned()))
            }
            _ => self.s.skip(self.depth).map(|()| Found::Nothing),
        };
        self.quiet -= 1;
        // An empty list is nil inside, and nil is null.
        match found? {
            Found::Empty => {
                self.out.truncate(self.out.len() - 2);
                Ok(Found::Nothing)
            }
            other => Ok(other),
        }
    }

    // --- no type ---

    fn any(&mut self) -> Result<()> {
        match self.s.peek() {
            b'{' => self.members(None).map(|_| ()),
            b'[' => self.items(None).map(|_| ()),
            b'"' => self.text().map(|_| ()),
            b'-' | b'0'..=b'9' => {
                let number = self.s.number()?;
                let int = if number.contains(&b'.') {
                    None
                } else {
                    parse_int(number)
                };
                match (int, parse_float(number)) {
                    (Some(value), _) => write::int(&mut self.out, value),
                    (None, Some(value)) => write::float(&mut self.out, value),
                    (None, None) => {
                        self.wrong_number(number, "float64");
                    }
                }
                Ok(())
            }
            c @ (b't' | b'f' | b'n') => {
                let word = match c {
                    b't' => "true",
                    b'f' => "false",
                    _ => "null",
                };
                self.out.extend_from_slice(word.as_bytes());
                self.s.literal(word)
            }
            _ => self.s.wrong("looking for beginning of value"),
        }
    }

    // --- what is wrong ---

    /// A value of another JSON type than the field's: stepped over.
    #[cold]
    fn mismatch(&mut self, first: u8, go: &str) -> Result<Found> {
        self.s.skip(self.depth)?;
        let message = self.mismatch_message(kind_of(first), go);
        self.save(message);
        Ok(Found::Nothing)
    }

    #[cold]
    fn wrong_number(&mut self, number: &[u8], go: &str) -> Found {
        let message =
            self.mismatch_message(&format!("number {}", String::from_utf8_lossy(number)), go);
        self.save(message);
        Found::Nothing
    }

    fn mismatch_message(&self, value: &str, go: &str) -> String {
        let mut owner = None;
        let mut names = Vec::new();
        for part in &self.path {
            if let Part::Field(id, f) = part {
                owner = Some(*id);
                names.push(format!("{}{}", f.embedded, f.name));
            }
        }
        let Some(owner) = owner else {
            return format!("json: cannot unmarshal {value} into Go value of type {go}");
        };
        let names = names.join(".");
        if matches!(names.as_str(), "apiVersion" | "kind") && self.path.len() == 1 {
            return format!(
                "{INTERPRET}json: cannot unmarshal {value} into Go struct field .{names} of type {go}"
            );
        }
        let owner = table::get(owner).short();
        format!("json: cannot unmarshal {value} into Go struct field {owner}.{names} of type {go}")
    }

    fn save(&mut self, message: String) {
        if message.starts_with(INTERPRET) {
            self.nameless.get_or_insert(message);
        } else {
            self.wrong_type.get_or_insert(message);
        }
    }

    fn broken(&mut self, message: String) -> Found {
        self.broken.get_or_insert(message);
        Found::Nothing
    }

    #[cold]
    fn strict(&mut self, what: &str, name: &str) {
        if self.quiet > 0 || self.unknown.len() + self.duplicate.len() >= MAX_STRICT_ERRORS {
            return;
        }
        let mut path = String::new();
        for part in &self.path {
            let dot = if path.is_empty() { "" } else { "." };
            match part {
                Part::Field(_, f) => path += &format!("{dot}{}", f.name),
                Part::Key(key) => path += &format!("{dot}{}", key.string()),
                Part::Index(i) => path += &format!("[{i}]"),
            }
        }
        let dot = if path.is_empty() { "" } else { "." };
        let message = format!("{what} {}", go_quote(&format!("{path}{dot}{name}")));
        let list = if what.starts_with('u') {
            &mut self.unknown
        } else {
            &mut self.duplicate
        };
        if !list.contains(&message) {
            list.push(message);
        }
    }
}

/// Go's `strconv.Quote`.
pub(super) fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\u{7}' => out += "\\a",
            '\u{8}' => out += "\\b",
            '\u{b}' => out += "\\v",
            '\u{c}' => out += "\\f",
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out += &format!("\\x{:02x}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A type's zero value as it stands in a list or map.
pub(super) fn zero(id: TypeId) -> &'static str {
    match table::get(id).shape {
        Shape::Struct(s) => s.zero,
        Shape::Bool | Shape::PropsOrBool => "false",
        Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString => "0",
        Shape::Str | Shape::Bytes => "\"\"",
        Shape::Quantity => "\"0\"",
        Shape::Duration => "\"0s\"",
        Shape::List(_) => "[]",
        Shape::Map(_) => "{}",
        _ => "null",
    }
}

/// Go's `ParseInt(…, 10, 64)`: no point, no exponent.
pub(super) fn parse_int(number: &[u8]) -> Option<i64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

pub(super) fn parse_float(number: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(key: &str, body: &str) -> Decoded {
        decode(Some(table::find(key).unwrap()), body.as_bytes()).unwrap()
    }

    fn json(key: &str, body: &str) -> String {
        String::from_utf8(read(key, body).json).unwrap()
    }

    fn error(key: &str, body: &str) -> String {
        decode(table::find(key), body.as_bytes()).unwrap_err().0
    }

    #[test]
    fn what_is_empty_goes_or_stays_as_in_go() {
        assert_eq!(
            json(
                "apps/v1.Deployment",
                r#"{"spec":{"replicas":0,"paused":false,"selector":null,"template":{"spec":{"hostNetwork":false,"containers":null}}},"kind":"Deployment","apiVersion":"apps/v1"}"#
            ),
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":[]}},"strategy":{}},"status":{}}"#
        );
    }

    #[test]
    fn values_are_made_canonical() {
        assert_eq!(
            json(
                "core/v1.Container",
                r#"{"resources":{"limits":{"memory":"1024Mi","cpu":0.5}},"name":"a\u0041","livenessProbe":{"httpGet":{"port":"http"}}}"#
            ),
            r#"{"name":"aA","resources":{"limits":{"cpu":"500m","memory":"1Gi"}},"livenessProbe":{"httpGet":{"port":"http"}}}"#
        );
        assert_eq!(
            json(
                "meta/v1.ObjectMeta",
                r#"{"creationTimestamp":"2024-01-01T02:00:00.5+02:00","deletionTimestamp":null}"#
            ),
            r#"{"creationTimestamp":"2024-01-01T00:00:00Z"}"#
        );
        assert_eq!(
            json("core/v1.Secret", r#"{"data":{"b":"aGk=\n","a":null}}"#),
            r#"{"metadata":{},"data":{"a":"","b":"aGk="}}"#
        );
    }

    #[test]
    fn unknown_and_duplicate_fields_are_told_with_their_paths() {
        let got = read(
            "apps/v1.Deployment",
            r#"{"spec":{"replicsa":1,"replicas":1,"replicas":2,"template":{"metadata":{"labels":{"b":"1","a":"1","a":"2"}},"spec":{"containers":[{"name":"a"},{"imagee":"x"}]}}}}"#,
        );
        assert_eq!(
            got.unknown,
            [
                r#"unknown field "spec.replicsa""#,
                r#"unknown field "spec.template.spec.containers[1].imagee""#
            ]
        );
        assert_eq!(
            got.duplicate,
            [
                r#"duplicate field "spec.replicas""#,
                r#"duplicate field "spec.template.metadata.labels.a""#
            ]
        );
        let text = String::from_utf8(got.json).unwrap();
        assert!(
            text.contains(r#""replicas":2"#) && text.contains(r#""labels":{"a":"2","b":"1"}"#),
            "{text}"
        );
    }

    #[test]
    fn type_errors_are_worded_as_go_words_them() {
        let deployment = |body: &str| error("apps/v1.Deployment", body);
        assert_eq!(
            deployment(r#"{"spec":{"replicas":"3","paused":1}}"#),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        assert_eq!(
            deployment(r#"{"spec":{"replicas":3000000000}}"#),
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        assert_eq!(
            deployment(r#"{"spec":{"template":{"spec":{"containers":{}}}}}"#),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"
        );
        assert_eq!(
            deployment(r#"{"metadata":{"creationTimestamp":7}}"#),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string"
        );
        assert_eq!(
            error(
                "core/v1.Pod",
                r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#
            ),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        );
        assert_eq!(
            deployment("{"),
            "couldn't get version/kind; json parse error: unexpected end of JSON input"
        );
        assert_eq!(
            deployment(r#"{"spec":{"replicas":"3"},}"#),
            "couldn't get version/kind; json parse error: \
             invalid character '}' looking for beginning of object key string"
        );
    }

    #[test]
    fn without_a_type_everything_is_kept() {
        let got = decode(
            None,
            br#"{"b":[1,1.0,1e3,null,"x"],"a":{"y":true,"x":{}},"b":2}"#,
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(got.json).unwrap(),
            r#"{"a":{"x":{},"y":true},"b":2}"#
        );
        assert_eq!(got.duplicate, [r#"duplicate field "b""#]);
        let got = decode(None, br#"[1,1.0,1e3,-0,12345678901234567890]"#);
        assert!(got.is_err(), "an object is wanted");
    }
}
