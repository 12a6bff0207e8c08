//! What the hub needs to know of an object, read in one pass over its JSON without building anything.

use crate::ends::{container_end, string_end, text_end};

/// A text in an object: where it stands in the object's bytes, or the text itself if it was written with escapes.
#[derive(Clone, Debug)]
pub enum Text {
    /// Start and end in the bytes.
    Span(u32, u32),
    /// Unescaped.
    Own(Box<str>),
}

impl Text {
    /// The text of an absent field.
    pub const EMPTY: Text = Text::Span(0, 0);

    /// The text; `value` is the object it was found in.
    pub fn get<'a>(&'a self, value: &'a [u8]) -> &'a str {
        match self {
            Text::Span(start, end) => value
                .get(*start as usize..*end as usize)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .unwrap_or(""),
            Text::Own(text) => text,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Text::Span(start, end) => start == end,
            Text::Own(text) => text.is_empty(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    Slot(usize),
    Labels,
    Revision,
}

#[derive(Debug, Default)]
struct Node {
    name: Box<str>,
    want: Option<Want>,
    children: Vec<Node>,
}

impl Node {
    fn add(&mut self, path: &str, want: Want) {
        let mut node = self;
        for name in path.split('.') {
            let index = match node.children.iter().position(|child| &*child.name == name) {
                Some(index) => index,
                None => {
                    node.children.push(Node {
                        name: name.into(),
                        ..Node::default()
                    });
                    node.children.len() - 1
                }
            };
            node = &mut node.children[index];
        }
        node.want = Some(want);
    }
}

/// The paths to read, as a tree, so that everything else in an object is only skipped.
#[derive(Debug)]
pub struct Paths {
    root: Node,
    slots: Vec<Box<str>>,
}

/// What was found in one object.
#[derive(Debug, Default)]
pub struct Found {
    /// By slot; `Text::EMPTY` where there was nothing.
    pub slots: Vec<Text>,
    /// metadata.labels in the order written.
    pub labels: Vec<(Text, Text)>,
    /// Where the text of metadata.resourceVersion stands.
    pub revision: Option<(u32, u32)>,
}

impl Default for Paths {
    fn default() -> Paths {
        let mut root = Node::default();
        root.add("metadata.labels", Want::Labels);
        root.add("metadata.resourceVersion", Want::Revision);
        Paths {
            root,
            slots: Vec::new(),
        }
    }
}

impl Paths {
    /// Adds a dotted path and says at which slot its text will be.
    pub fn slot(&mut self, path: &str) -> usize {
        if let Some(slot) = self.slots.iter().position(|known| &**known == path) {
            return slot;
        }
        self.slots.push(path.into());
        self.root.add(path, Want::Slot(self.slots.len() - 1));
        self.slots.len() - 1
    }

    /// Reads an object. Of what is not JSON it finds what stands before the fault.
    pub fn read(&self, value: &[u8]) -> Found {
        let mut found = Found {
            slots: vec![Text::EMPTY; self.slots.len()],
            ..Found::default()
        };
        if value.len() < u32::MAX as usize {
            let _ = Scan {
                bytes: value,
                at: 0,
            }
            .members(&self.root, true, &mut found);
        }
        found
    }
}

/// A position in JSON. Every step gives None at a fault or at the end.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Goes through an object's members, into those that `node` knows. At the root it stops when all are found.
    fn members(&mut self, node: &Node, root: bool, found: &mut Found) -> Option<()> {
        self.expect(b'{')?;
        let mut left = node.children.len();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            let name = key.get(self.bytes);
            match node.children.iter().find(|child| &*child.name == name) {
                Some(child) => {
                    self.value(child, found)?;
                    left -= usize::from(left > 0);
                    if root && left == 0 {
                        return Some(());
                    }
                }
                None => self.skip()?,
            }
            if !self.more(b'}')? {
                return Some(());
            }
        }
    }

    fn value(&mut self, node: &Node, found: &mut Found) -> Option<()> {
        let first = self.peek()?;
        match node.want {
            Some(Want::Labels) if first == b'{' => return self.labels(&mut found.labels),
            Some(Want::Revision) if first == b'"' => {
                if let Text::Span(start, end) = self.string()? {
                    found.revision = Some((start, end));
                }
                return Some(());
            }
            Some(Want::Slot(slot)) if !matches!(first, b'{' | b'[') => {
                let text = if first == b'"' {
                    self.string()?
                } else {
                    self.bare()?
                };
                if let Some(place) = found.slots.get_mut(slot) {
                    *place = text;
                }
                return Some(());
            }
            _ => {}
        }
        if first == b'{' && !node.children.is_empty() {
            self.members(node, false, found)
        } else {
            self.skip()
        }
    }

    fn labels(&mut self, labels: &mut Vec<(Text, Text)>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            if self.peek()? == b'"' {
                let value = self.string()?;
                labels.push((key, value));
            } else {
                self.skip()?;
            }
            if !self.more(b'}')? {
                return Some(());
            }
        }
    }

    /// After a member or element: whether another follows.
    fn more(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => {
                self.peek()?;
                Some(true)
            }
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Text> {
        self.expect(b'"')?;
        let start = self.at;
        let mut end = text_end(self.bytes, start);
        let escaped = *self.bytes.get(end)? != b'"';
        if escaped {
            end = string_end(self.bytes, end)? - 1;
        }
        self.at = end + 1;
        if escaped {
            return Some(Text::Own(unescape(self.bytes.get(start..end)?).into()));
        }
        Some(Text::Span(start as u32, end as u32))
    }

    /// A number, true or false as its text; null as none.
    fn bare(&mut self) -> Option<Text> {
        let start = self.at;
        self.skip_bare();
        let token = self.bytes.get(start..self.at)?;
        Some(if token == b"null" {
            Text::EMPTY
        } else {
            Text::Span(start as u32, self.at as u32)
        })
    }

    fn skip_bare(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r') {
                return;
            }
            self.at += 1;
        }
    }

    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' | b'[' => self.at = container_end(self.bytes, self.at)?,
            b'"' => self.at = string_end(self.bytes, self.at + 1)?,
            _ => self.skip_bare(),
        }
        Some(())
    }
}

fn unescape(raw: &[u8]) -> String {
    let mut units: Vec<u16> = Vec::new();
    let text = String::from_utf8_lossy(raw);
    let mut chars = text.chars();
    let mut buffer = [0_u16; 2];
    while let Some(char) = chars.next() {
        if char != '\\' {
            units.extend_from_slice(char.encode_utf16(&mut buffer));
            continue;
        }
        units.push(match chars.next() {
            Some('n') => u16::from(b'\n'),
            Some('t') => u16::from(b'\t'),
            Some('r') => u16::from(b'\r'),
            Some('b') => 8,
            Some('f') => 12,
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                u16::from_str_radix(&digits, 16).unwrap_or(0xFFFD)
            }
            Some(other) => {
                units.extend_from_slice(other.encode_utf16(&mut buffer));
                continue;
            }
            None => break,
        });
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(paths: &[&str], value: &str) -> (Vec<String>, Vec<(String, String)>, Option<String>) {
        let mut all = Paths::default();
        for path in paths {
            all.slot(path);
        }
        let bytes = value.as_bytes();
        let found = all.read(bytes);
        let text = |text: &Text| text.get(bytes).to_owned();
        (
            found.slots.iter().map(text).collect(),
            found
                .labels
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
            found
                .revision
                .map(|(start, end)| value[start as usize..end as usize].to_owned()),
        )
    }

    #[test]
    fn finds_what_was_asked_for_and_skips_the_rest() {
        let pod = r#"{"kind":"Pod","metadata":{"name":"a","annotations":{"x":"}{\"]["},"labels":{"app":"web","n":""},
            "resourceVersion":"17"},"spec":{"list":[{"nodeName":"no"},[1,2,{"a":"]"}]],"nodeName":"n1","hostNetwork":true},
            "status":{"phase":"Running","n":-1.5e3,"nothing":null}}"#;
        let (slots, labels, revision) = read(
            &[
                "spec.nodeName",
                "status.phase",
                "status.n",
                "spec.hostNetwork",
                "status.nothing",
                "a.b",
            ],
            pod,
        );
        assert_eq!(slots, ["n1", "Running", "-1.5e3", "true", "", ""]);
        assert_eq!(
            labels,
            [("app".into(), "web".into()), ("n".into(), String::new())]
        );
        assert_eq!(revision.unwrap(), "17");
    }

    #[test]
    fn unescapes() {
        let (slots, labels, _) = read(
            &["a"],
            r#"{"a":"x\u003c\"\\\ud83d\ude00\n","metadata":{"labels":{"k\/":"\u00e9"}}}"#,
        );
        assert_eq!(slots, ["x<\"\\😀\n"]);
        assert_eq!(labels, [("k/".into(), "é".into())]);
    }

    #[test]
    fn what_is_not_json_does_no_harm() {
        for value in [
            "",
            "{",
            "{}",
            "[]",
            "{\"metadata\":",
            "{\"metadata\":{\"labels\":{\"a\":\"b",
            "{\"a\":\"\\",
            "}",
            "{\"x\":]}",
        ] {
            let (slots, labels, revision) = read(&["a.b"], value);
            assert_eq!(
                (slots.len(), labels.len(), revision),
                (1, 0, None),
                "{value}"
            );
        }
    }

    #[test]
    fn a_path_may_be_the_beginning_of_another() {
        let (slots, ..) = read(&["a", "a.b"], r#"{"a":{"b":"c"}}"#);
        assert_eq!(slots, ["", "c"]);
    }
}
