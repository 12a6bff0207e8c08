//! JSON bodies to canonical JSON: what Go would marshal after unmarshalling into the type, in one pass.
//!
//! Every member of an object is written as `,"name":value` and remembered as a segment. At the closing brace the segments
//! stand, or are put, in the table's order, and the first comma becomes the brace.

mod objects;
mod report;
mod scalars;

use super::error::{Result, WireError};
use super::go::zero;
use super::scan::Scanner;
use super::table::{self, Field, Shape, TypeId};
use super::text::{Text, utf8};

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
