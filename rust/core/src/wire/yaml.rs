//! YAML bodies to JSON text, as sigs.k8s.io/yaml reads them: YAML 1.1's booleans and numbers, merge keys, aliases within
//! bounds, the first document only, keys sorted.

use super::error::{Result, fail};
use super::go::quote;
use super::scan::MAX_DEPTH;
use super::write;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Below this many nodes nearly all may come from aliases (go-yaml's bounds).
const ALIAS_RANGE_LOW: f64 = 400_000.0;
/// From this many nodes on only a tenth may.
const ALIAS_RANGE_HIGH: f64 = 4_000_000.0;

struct Node {
    /// Of its first character, from 1.
    line: usize,
    value: Value,
}

enum Value {
    Null,
    Bool(bool),
    /// An integer's digits.
    Int(String),
    Float(f64),
    Text(String),
    /// A plain `<<`.
    Merge,
    List(Vec<Rc<Node>>),
    Map(Vec<(Rc<Node>, Rc<Node>)>),
    /// What an alias stands for.
    Alias(Rc<Node>),
}

/// JSON text, and what a strict reader says about duplicate keys (one message, as go-yaml words it).
pub(crate) fn to_json(body: &[u8]) -> Result<(Vec<u8>, Option<String>)> {
    let Ok(text) = std::str::from_utf8(body) else {
        return fail("yaml: invalid leading UTF-8 octet");
    };
    let root = parse(text)?;
    let mut writer = Writer {
        out: Vec::with_capacity(body.len() + body.len() / 4),
        duplicate: Vec::new(),
        nodes: 0,
        aliased: 0,
        alias_depth: 0,
    };
    match root {
        Some(root) => writer.node(&root)?,
        None => writer.out.extend_from_slice(b"null"),
    }
    let duplicate = (!writer.duplicate.is_empty()).then(|| {
        format!(
            "yaml: unmarshal errors:\n  {}",
            writer.duplicate.join("\n  ")
        )
    });
    Ok((writer.out, duplicate))
}

/// A list or map that is not closed yet.
struct Open {
    line: usize,
    anchor: usize,
    map: bool,
    children: Vec<Rc<Node>>,
}

fn parse(text: &str) -> Result<Option<Rc<Node>>> {
    let mut anchors: HashMap<usize, Rc<Node>> = HashMap::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(pair) => pair,
            Err(e) => return fail(format!("yaml: line {}: {}", e.marker().line(), e.info())),
        };
        let line = span.start.line();
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), line)?;
                (Rc::new(Node { line, value }), anchor)
            }
            Event::Alias(id) => match anchors.get(&id) {
                Some(node) => {
                    let value = Value::Alias(Rc::clone(node));
                    (Rc::new(Node { line, value }), 0)
                }
                None => return fail(format!("yaml: line {line}: anchor value contains itself")),
            },
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if open.len() >= MAX_DEPTH {
                    return fail(format!("yaml: line {line}: exceeded max depth"));
                }
                open.push(Open {
                    line,
                    anchor,
                    map: matches!(event, Event::MappingStart(..)),
                    children: Vec::new(),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => (close(done.line, done.map, done.children), done.anchor),
                None => continue,
            },
            Event::DocumentEnd | Event::StreamEnd => return Ok(None),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, Rc::clone(&node));
        }
        match open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => return Ok(Some(node)), // later documents are not looked at
        }
    }
    Ok(None)
}

fn close(line: usize, map: bool, children: Vec<Rc<Node>>) -> Rc<Node> {
    let value = if map {
        let mut pairs = Vec::with_capacity(children.len() / 2);
        let mut children = children.into_iter();
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            pairs.push((key, value));
        }
        Value::Map(pairs)
    } else {
        Value::List(children)
    };
    Rc::new(Node { line, value })
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: usize) -> Result<Value> {
    let short = match tag {
        Some(tag) if tag.handle == "tag:yaml.org,2002:" || tag.handle == "!!" => {
            tag.suffix.as_str()
        }
        Some(_) => "str", // an application's own tag
        None if style == ScalarStyle::Plain => "",
        None => "str",
    };
    let resolved = match short {
        "str" => return Ok(Value::Text(text.to_owned())),
        "binary" => {
            return match write::base64_decode(text.as_bytes()) {
                Ok(data) => Ok(Value::Text(String::from_utf8_lossy(&data).into_owned())),
                Err(_) => fail(format!(
                    "yaml: line {line}: !!binary value contains invalid base64 data"
                )),
            };
        }
        _ => resolve(text),
    };
    let fits = match (short, &resolved) {
        ("", _) | ("bool", Value::Bool(_)) | ("int", Value::Int(_)) | ("null", Value::Null) => true,
        ("float", Value::Float(_)) => true,
        ("float", Value::Int(digits)) => return Ok(Value::Float(digits.parse().unwrap_or(0.0))),
        ("bool" | "int" | "null" | "float", _) => false,
        _ => return Ok(Value::Text(text.to_owned())),
    };
    if !fits {
        return fail(format!(
            "yaml: line {line}: cannot decode !!str `{text}` as a !!{short}"
        ));
    }
    Ok(resolved)
}

/// What a plain scalar means in YAML 1.1, as go-yaml v2 has it (no base 60).
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        "<<" => return Value::Merge,
        _ => {}
    }
    let string = || Value::Text(text.to_owned());
    match text.as_bytes()[0] {
        b'.' => float(text).map_or_else(string, Value::Float),
        b'+' | b'-' | b'0'..=b'9' => {
            let plain = text.replace('_', "");
            match int(&plain) {
                Some(digits) => Value::Int(digits),
                None => float(&plain).map_or_else(string, Value::Float),
            }
        }
        _ => string(),
    }
}

/// Go's `ParseInt(…, 0, 64)` and `ParseUint`: 0x, 0o, 0b and a leading 0 for octal.
fn int(plain: &str) -> Option<String> {
    let negative = plain.starts_with('-');
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return (value <= 1 << 63).then(|| (-i128::from(value)).to_string());
    }
    Some(value.to_string())
}

/// A decimal number that a float64 can hold; what overflows is text.
fn float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok().filter(|_| decimal(text))?;
    value.is_finite().then_some(value)
}

/// Go's `FormatFloat(…, 'g', -1, 32)`, which is how a key becomes a string.
fn short_float(value: f64) -> String {
    let text = format!("{:e}", value as f32);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(e) if !(-4..6).contains(&e) => {
            let sign = if e < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", e.abs())
        }
        _ => (value as f32).to_string(),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn decimal(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['+', '-']).unwrap_or(e))),
        None => (text, None),
    };
    let digits = |s: &str| s.bytes().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole) && digits(fraction) && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

struct Writer {
    out: Vec<u8>,
    duplicate: Vec<String>,
    nodes: u64,
    aliased: u64,
    alias_depth: usize,
}

impl Writer {
    fn count(&mut self) -> Result<()> {
        self.nodes += 1;
        self.aliased += u64::from(self.alias_depth > 0);
        let (nodes, aliased) = (self.nodes as f64, self.aliased as f64);
        let allowed = if nodes <= ALIAS_RANGE_LOW {
            0.99
        } else if nodes >= ALIAS_RANGE_HIGH {
            0.10
        } else {
            0.99 - 0.89 * (nodes - ALIAS_RANGE_LOW) / (ALIAS_RANGE_HIGH - ALIAS_RANGE_LOW)
        };
        if self.aliased > 100 && self.nodes > 1000 && aliased / nodes > allowed {
            return fail("yaml: document contains excessive aliasing");
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        self.count()?;
        match &node.value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(b) => self
                .out
                .extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Int(digits) => self.out.extend_from_slice(digits.as_bytes()),
            Value::Float(value) if value.is_finite() => write::float(&mut self.out, *value),
            Value::Float(value) => {
                let name = if value.is_nan() {
                    "NaN"
                } else if *value > 0.0 {
                    "+Inf"
                } else {
                    "-Inf"
                };
                return fail(format!("json: unsupported value: {name}"));
            }
            Value::Text(text) => write::string(&mut self.out, text.as_bytes()),
            Value::Merge => write::string(&mut self.out, b"<<"),
            Value::List(items) => {
                self.out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                    }
                    self.node(item)?;
                }
                self.out.push(b']');
            }
            Value::Map(pairs) => self.map(pairs)?,
            Value::Alias(target) => {
                self.alias_depth += 1;
                self.node(target)?;
                self.alias_depth -= 1;
            }
        }
        if self.alias_depth > MAX_DEPTH {
            return fail("yaml: exceeded max depth");
        }
        Ok(())
    }

    fn map(&mut self, pairs: &[(Rc<Node>, Rc<Node>)]) -> Result<()> {
        let mut members: BTreeMap<String, &Node> = BTreeMap::new();
        self.members(pairs, &mut members, 0)?;
        self.out.push(b'{');
        for (i, (key, value)) in members.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write::string(&mut self.out, key.as_bytes());
            self.out.push(b':');
            self.node(value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn members<'n>(
        &mut self,
        pairs: &'n [(Rc<Node>, Rc<Node>)],
        into: &mut BTreeMap<String, &'n Node>,
        depth: usize,
    ) -> Result<()> {
        if depth > MAX_DEPTH {
            return fail("yaml: exceeded max depth");
        }
        for (key, value) in pairs {
            if matches!(key.value, Value::Merge) {
                self.merge(value, into, depth)?;
                continue;
            }
            let (name, shown) = key_text(key)?;
            if into.insert(name, value).is_some() && depth == 0 {
                self.duplicate.push(format!(
                    "line {}: key {shown} already set in map",
                    value.line
                ));
            }
        }
        Ok(())
    }

    /// `<<: *other` or `<<: [*one, *two]`.
    fn merge<'n>(
        &mut self,
        value: &'n Node,
        into: &mut BTreeMap<String, &'n Node>,
        depth: usize,
    ) -> Result<()> {
        self.count()?;
        match &value.value {
            Value::Map(pairs) => self.members(pairs, into, depth + 1),
            Value::Alias(target) if matches!(target.value, Value::Map(_)) => {
                self.merge(target, into, depth + 1)
            }
            // The first of a list has the last word.
            Value::List(items) => items.iter().rev().try_for_each(|item| match &item.value {
                Value::Map(_) | Value::Alias(_) => self.merge(item, into, depth + 1),
                _ => fail("yaml: map merge requires map or sequence of maps as the value"),
            }),
            _ => fail("yaml: map merge requires map or sequence of maps as the value"),
        }
    }
}

/// A key as JSON needs it, and as go-yaml shows it in messages.
fn key_text(key: &Node) -> Result<(String, String)> {
    Ok(match &key.value {
        Value::Text(text) => (text.clone(), quote(text)),
        Value::Int(digits) => (digits.clone(), digits.clone()),
        Value::Bool(b) => (b.to_string(), b.to_string()),
        Value::Float(value) => {
            let text = if value.is_nan() {
                ".nan".to_owned()
            } else if value.is_infinite() {
                if *value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
            } else {
                short_float(*value)
            };
            (text.clone(), text)
        }
        Value::Alias(target) => return key_text(target),
        Value::Null => return fail("unsupported map key of type: %!s(<nil>)"),
        Value::Merge | Value::List(_) | Value::Map(_) => {
            return fail(format!("yaml: line {}: invalid map key", key.line));
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn json(text: &str) -> String {
        match to_json(text.as_bytes()) {
            Ok((out, _)) => String::from_utf8(out).unwrap(),
            Err(e) => e.0,
        }
    }

    #[test]
    fn scalars_mean_what_yaml_1_1_says() {
        assert_eq!(
            json(
                "a: yes\nb: 'yes'\nc: 0777\nd: 0x1F\ne: 1_000\nf: 1.50\ng: ~\nh: 2024-01-01\ni: 12:30\nj: 1e3\nk: -0b101\nl: .5"
            ),
            r#"{"a":true,"b":"yes","c":511,"d":31,"e":1000,"f":1.5,"g":null,"h":"2024-01-01","i":"12:30","j":1000,"k":-5,"l":0.5}"#
        );
        assert_eq!(
            json("a: !!str 1\nb: !!float 1\n1: x\ntrue: z"),
            r#"{"1":"x","a":"1","b":1,"true":"z"}"#
        );
        assert_eq!(
            json("a: |\n  x\n  y\nb: >-\n  x\n  y"),
            r#"{"a":"x\ny\n","b":"x y"}"#
        );
        assert_eq!(json("a: .nan"), "json: unsupported value: NaN");
        assert_eq!(json(""), "null");
        assert_eq!(json("a: 1\n---\nb: 2"), r#"{"a":1}"#);
        assert_eq!(
            json(r#"{"a": [1, "x", {"b": null}]}"#),
            r#"{"a":[1,"x",{"b":null}]}"#
        );
    }

    #[test]
    fn aliases_and_merges() {
        assert_eq!(
            json("base: &b {x: 1, z: 2}\nc:\n  <<: *b\n  z: 3\nd: *b"),
            r#"{"base":{"x":1,"z":2},"c":{"x":1,"z":3},"d":{"x":1,"z":2}}"#
        );
        assert!(json("a: &a [*a]").contains("contains itself"));
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..12 {
            let many = vec![format!("*a{}", i - 1); 10].join(",");
            bomb += &format!("a{i}: &a{i} [{many}]\n");
        }
        assert_eq!(json(&bomb), "yaml: document contains excessive aliasing");
    }

    #[test]
    fn duplicates_are_told_by_line() {
        let (out, duplicate) = to_json(b"a: 1\nb:\n  c: 1\n  c: 2\na: 3\n").unwrap();
        assert_eq!(out, br#"{"a":3,"b":{"c":2}}"#);
        assert_eq!(
            duplicate.unwrap(),
            "yaml: unmarshal errors:\n  line 5: key \"a\" already set in map\n  line 4: key \"c\" already set in map"
        );
    }

    #[test]
    fn bad_yaml_has_its_line() {
        assert!(
            json("a: [1\nb: 2").starts_with("yaml: line "),
            "{}",
            json("a: [1\nb: 2")
        );
        let deep = json(&"[".repeat(5000));
        assert!(deep.contains("depth") || deep.contains("limit"), "{deep}");
    }
}
