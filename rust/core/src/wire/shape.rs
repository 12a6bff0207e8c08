//! What pods have in common that differ in their values: their JSON with holes.
//!
//! A hole is a value that no rule looks at further than is done here: an argument, a variable's value, a label's, a
//! port. Equal ports are one hole, because rules ask whether ports are equal. Whether the object that is made of a body
//! has a value nowhere but in its place is not known here: whoever relies on it compares what two bodies of one shape
//! gave (apiserver/alike.py).

use super::scan::Scanner;
use std::ops::Range;

/// Holes of one body; what comes after them is part of the shape.
const HOLES_MAX: usize = 64;
/// Label values are not longer.
const LABEL_MAX: usize = 63;
/// What stands in a shape where a hole is, before its number: JSON has no such byte.
const MARK: u8 = 0;
/// Keys of annotations that rules read have one of these in them.
const READ_BY_RULES: [&[u8]; 2] = [b"kubernetes.io", b"k8s.io"];
/// How managedFields name a port among its container's.
const PORT_KEY: &[u8] = br#"{\"containerPort\":"#;

/// Where in a pod one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Pod,
    Metadata,
    Labels,
    Annotations,
    Managed,
    Spec,
    Containers,
    Container,
    Texts,
    Env,
    Variable,
    Ports,
    Port,
    Probe,
    Handler,
    Text,
    Label,
    Number,
    Other,
}

impl Place {
    fn member(self, name: &[u8]) -> Place {
        match (self, name) {
            (Place::Pod, b"metadata") => Place::Metadata,
            (Place::Pod, b"spec") => Place::Spec,
            (Place::Metadata, b"labels") => Place::Labels,
            (Place::Metadata, b"annotations") => Place::Annotations,
            (Place::Metadata, b"managedFields") => Place::Managed,
            (Place::Labels, _) => Place::Label,
            (Place::Annotations, _) if !READ_BY_RULES.iter().any(|word| has(name, word)) => {
                Place::Text
            }
            (Place::Spec, b"containers" | b"initContainers") => Place::Containers,
            (Place::Container, b"command" | b"args") => Place::Texts,
            (Place::Container, b"env") => Place::Env,
            (Place::Container, b"ports") => Place::Ports,
            (Place::Container, b"livenessProbe" | b"readinessProbe" | b"startupProbe") => {
                Place::Probe
            }
            (Place::Variable, b"value") => Place::Text,
            (Place::Port, b"containerPort") | (Place::Handler, b"port") => Place::Number,
            (Place::Probe, b"httpGet" | b"tcpSocket" | b"grpc") => Place::Handler,
            _ => Place::Other,
        }
    }

    fn item(self) -> Place {
        match self {
            Place::Containers => Place::Container,
            Place::Texts => Place::Text,
            Place::Env => Place::Variable,
            Place::Ports => Place::Port,
            _ => Place::Other,
        }
    }

    /// Whether a value in this place may be any other that fits: that it is as it is stands in no rule.
    fn fits(self, value: &[u8]) -> bool {
        match self {
            // What has no escape is written as it is read; what is empty is not written.
            Place::Text => inside(value).is_some_and(|text| {
                text.iter()
                    .all(|c| (b' '..=b'~').contains(c) && *c != b'\\')
            }),
            Place::Label => inside(value).is_some_and(|text| {
                text.len() <= LABEL_MAX
                    && text
                        .iter()
                        .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
                    && text[0].is_ascii_alphanumeric()
                    && text[text.len() - 1].is_ascii_alphanumeric()
            }),
            Place::Number => {
                value.len() <= 5
                    && value[0] != b'0'
                    && value.iter().all(u8::is_ascii_digit)
                    && std::str::from_utf8(value).is_ok_and(|text| text.parse::<u16>().is_ok())
            }
            _ => false,
        }
    }
}

fn has(name: &[u8], word: &[u8]) -> bool {
    name.windows(word.len()).any(|part| part == word)
}

fn inside(value: &[u8]) -> Option<&[u8]> {
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!text.is_empty()).then_some(text)
}

/// A value that may differ.
#[derive(Debug, PartialEq, Eq)]
struct Hole {
    /// Where it stands in the object, for comparison.
    path: Vec<u8>,
    /// Where it stands in the text.
    at: Range<usize>,
    number: bool,
}

struct Walk<'a> {
    s: Scanner<'a>,
    path: Vec<u8>,
    /// Whether paths are wanted.
    paths: bool,
    holes: Vec<Hole>,
    managed: Option<Range<usize>>,
}

/// The holes of canonical JSON, in order, and where the owners of fields stand. None: it is no object.
fn walk(json: &[u8], paths: bool) -> Option<(Vec<Hole>, Option<Range<usize>>)> {
    let mut walk = Walk {
        s: Scanner::new(json),
        path: Vec::with_capacity(64),
        paths,
        holes: Vec::with_capacity(16),
        managed: None,
    };
    if walk.s.peek() != b'{' {
        return None;
    }
    walk.value(Place::Pod)?;
    Some((walk.holes, walk.managed))
}

impl Walk<'_> {
    fn value(&mut self, place: Place) -> Option<()> {
        let start = self.s.at;
        match (place, self.s.peek()) {
            (Place::Other, _) => self.s.jump(),
            (Place::Managed, _) => {
                self.s.jump();
                self.managed = Some(start..self.s.at);
            }
            (Place::Text | Place::Label | Place::Number, _) => {
                self.s.jump();
                let at = start..self.s.at;
                if self.holes.len() < HOLES_MAX && place.fits(self.s.data.get(at.clone())?) {
                    self.holes.push(Hole {
                        path: if self.paths {
                            self.path.clone()
                        } else {
                            Vec::new()
                        },
                        at,
                        number: place == Place::Number,
                    });
                }
            }
            (_, b'{') => {
                self.s.at += 1;
                let mut key = self.s.first_key().ok()?;
                while let Some(name) = key {
                    self.below(name.raw, place.member(name.raw))?;
                    key = self.s.next_key().ok()?;
                }
            }
            (_, b'[') => {
                let inner = if place == Place::Ports && !self.single() {
                    // Owners name ports in their order, which the values decide.
                    Place::Other
                } else {
                    place.item()
                };
                self.s.at += 1;
                let mut index = 0_u32;
                if self.s.first_item() {
                    loop {
                        self.below(&index.to_le_bytes(), inner)?;
                        index += 1;
                        if !self.s.next_item().ok()? {
                            break;
                        }
                    }
                }
            }
            _ => self.s.jump(),
        }
        Some(())
    }

    fn below(&mut self, step: &[u8], place: Place) -> Option<()> {
        if !self.paths || place == Place::Other {
            return self.value(place);
        }
        let length = self.path.len();
        self.path.extend_from_slice(step);
        self.path.push(MARK);
        let done = self.value(place);
        self.path.truncate(length);
        done
    }

    /// Whether the list that begins here has one item.
    fn single(&self) -> bool {
        let mut s = Scanner::new(self.s.data);
        s.at = self.s.at + 1;
        s.jump();
        s.peek() == b']'
    }
}

/// Which hole each is a place of: numbers that are equal share one.
fn numbered<'a>(json: &'a [u8], holes: &[Hole]) -> (Vec<usize>, Vec<&'a [u8]>) {
    let mut values: Vec<&[u8]> = Vec::with_capacity(holes.len());
    let ids = holes
        .iter()
        .map(|hole| {
            let text = &json[hole.at.clone()];
            let known = values.iter().position(|v| hole.number && *v == text);
            known.unwrap_or_else(|| {
                values.push(text);
                values.len() - 1
            })
        })
        .collect();
    (ids, values)
}

/// A pod's shape, and what stands in its holes: JSON each.
pub fn pod_shape(json: &[u8]) -> Option<(Vec<u8>, Vec<&[u8]>)> {
    let (holes, _) = walk(json, false)?;
    let (ids, values) = numbered(json, &holes);
    let mut shape = Vec::with_capacity(json.len());
    let mut from = 0;
    for (hole, id) in holes.iter().zip(ids) {
        shape.extend_from_slice(&json[from..hole.at.start]);
        shape.extend_from_slice(&[MARK, id as u8]);
        from = hole.at.end;
    }
    shape.extend_from_slice(&json[from..]);
    Some((shape, values))
}

/// The stored pod that was made of a body, cut at the body's holes: pieces, and the number of the hole behind each; the
/// last piece has none. None where a value of a hole does not stand in the stored pod as it does in the body.
pub fn pod_cut<'s>(body: &[u8], stored: &'s [u8]) -> Option<Vec<(&'s [u8], Option<usize>)>> {
    let (holes, _) = walk(body, true)?;
    let (ids, values) = numbered(body, &holes);
    let (places, managed) = walk(stored, true)?;
    let mut cuts: Vec<(Range<usize>, usize)> = Vec::with_capacity(holes.len());
    for (hole, &id) in holes.iter().zip(&ids) {
        let place = places.iter().find(|place| place.path == hole.path)?;
        if stored[place.at.clone()] != body[hole.at.clone()] {
            return None;
        }
        cuts.push((place.at.clone(), id));
    }
    if let Some(managed) = managed {
        owned_ports(stored, managed, &values, &mut cuts);
    }
    cuts.sort_by_key(|(at, _)| at.start);
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    let mut from = 0;
    for (at, id) in cuts {
        pieces.push((&stored[from..at.start], Some(id)));
        from = at.end;
    }
    pieces.push((&stored[from..], None));
    Some(pieces)
}

/// Ports also stand where their owners are noted.
fn owned_ports(
    stored: &[u8],
    managed: Range<usize>,
    values: &[&[u8]],
    cuts: &mut Vec<(Range<usize>, usize)>,
) {
    let text = &stored[managed.clone()];
    let keys = text
        .windows(PORT_KEY.len())
        .enumerate()
        .filter(|(_, part)| *part == PORT_KEY);
    for (at, _) in keys {
        let start = at + PORT_KEY.len();
        let digits = text[start..].iter().take_while(|c| c.is_ascii_digit());
        let end = start + digits.count();
        if let Some(id) = values.iter().position(|v| *v == &text[start..end]) {
            cuts.push((managed.start + start..managed.start + end, id));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shape(json: &str) -> (String, Vec<String>) {
        let (shape, values) = pod_shape(json.as_bytes()).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            text(&shape).replace('\0', "#"),
            values.iter().map(|v| text(v)).collect(),
        )
    }

    #[test]
    fn what_no_rule_reads_is_a_hole() {
        let (text, values) = shape(
            r#"{"metadata":{"name":"n","labels":{"a":"b","c":""},"annotations":{"x":"y","a.kubernetes.io/b":"z"}},"spec":{"containers":[{"name":"c","command":["a","","ü"],"env":[{"name":"A","value":"1"}],"ports":[{"containerPort":80}],"readinessProbe":{"httpGet":{"port":80}},"livenessProbe":{"tcpSocket":{"port":81}}}]}}"#,
        );
        assert_eq!(
            text.replace(|c: char| c < ' ', "?"),
            r##"{"metadata":{"name":"n","labels":{"a":##,"c":""},"annotations":{"x":#?,"a.kubernetes.io/b":"z"}},"spec":{"containers":[{"name":"c","command":[#?,"","ü"],"env":[{"name":"A","value":#?}],"ports":[{"containerPort":#?}],"readinessProbe":{"httpGet":{"port":#?}},"livenessProbe":{"tcpSocket":{"port":#?}}}]}}"##
        );
        assert_eq!(values, ["\"b\"", "\"y\"", "\"a\"", "\"1\"", "80", "81"]);
    }

    #[test]
    fn what_rules_refuse_or_order_is_none() {
        for kept in [
            r#"{"metadata":{"labels":{"a":"-b"}}}"#,
            r#"{"metadata":{"annotations":{"x":"\n"}}}"#,
            r#"{"spec":{"containers":[{"ports":[{"containerPort":0}]}]}}"#,
            r#"{"spec":{"containers":[{"ports":[{"containerPort":65536}]}]}}"#,
            r#"{"spec":{"containers":[{"ports":[{"containerPort":1},{"containerPort":2}]}]}}"#,
            r#"{"spec":{"containers":[{"readinessProbe":{"httpGet":{"port":"http"}}}]}}"#,
            r#"{"spec":{"containers":[{"env":[{"name":"a","value":null}]}]}}"#,
        ] {
            assert_eq!(shape(kept), (kept.to_owned(), vec![]), "{kept}");
        }
    }

    #[test]
    fn a_stored_pod_is_cut_where_its_body_has_holes() {
        let body = br#"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"args":["x"],"ports":[{"containerPort":80}]}]}}"#;
        let stored = br#"{"metadata":{"uid":"u","labels":{"a":"b","z":"b"},"managedFields":[{"f":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{}}}]},"spec":{"containers":[{"args":["x"],"ports":[{"containerPort":80}]}]}}"#;
        let pieces = pod_cut(body, stored).unwrap();
        let ids: Vec<_> = pieces.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids, [Some(0), Some(2), Some(1), Some(2), None]);
        let joined: Vec<u8> = pieces.iter().fold(Vec::new(), |mut out, (piece, id)| {
            out.extend_from_slice(piece);
            out.extend_from_slice(id.map_or(&b""[..], |id| [&b"\"b\""[..], b"\"x\"", b"80"][id]));
            out
        });
        assert_eq!(joined, stored);
        let changed = String::from_utf8_lossy(stored).replace(r#""a":"b""#, r#""a":"c""#);
        assert_eq!(pod_cut(body, changed.as_bytes()), None);
    }
}
