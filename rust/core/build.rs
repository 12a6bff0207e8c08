//! Compiles table/types.txt to the static tables that `wire::table` includes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

include!("table/hash.rs");

#[derive(Clone, Default)]
struct Field {
    name: String,
    kind: String,
    pointer: bool,
    number: u32,
    flags: Vec<String>,
    embedded: String,
}

enum Line {
    Field(Field),
    Inline {
        go: String,
        kind: String,
        number: u32,
    },
}

enum Declared {
    /// Whether its fields have one owner, and the lines.
    Struct(bool, Vec<Line>),
    Named {
        is: String,
        message: bool,
        values: Vec<String>,
    },
}

/// Number, first JSON field, embedded type.
type Proto = (u32, usize, Option<usize>);

struct Table {
    declared: BTreeMap<String, Declared>,
    ids: BTreeMap<String, usize>,
}

/// Types that have their own JSON form, by key.
const BUILTIN: &[(&str, &str)] = &[
    ("any", "Any"),
    ("bool", "Bool"),
    ("int", "Int64"),
    ("int32", "Int32"),
    ("int64", "Int64"),
    ("float64", "Float64"),
    ("string", "Str"),
    ("types.UID", "Str"),
    ("types.NodeName", "Str"),
    ("[]byte", "Bytes"),
    ("api/resource.Quantity", "Quantity"),
    ("meta/v1.Time", "Time"),
    ("meta/v1.MicroTime", "MicroTime"),
    ("meta/v1.Duration", "Duration"),
    ("meta/v1.FieldsV1", "Raw"),
    ("util/intstr.IntOrString", "IntOrString"),
    ("runtime.RawExtension", "Raw"),
    ("apiextensions/v1.JSON", "Raw"),
    ("apiextensions/v1.JSONSchemaPropsOrArray", "PropsOrArray"),
    ("apiextensions/v1.JSONSchemaPropsOrBool", "PropsOrBool"),
    (
        "apiextensions/v1.JSONSchemaPropsOrStringArray",
        "PropsOrStrings",
    ),
];

fn main() {
    println!("cargo::rerun-if-changed=table/types.txt");
    println!("cargo::rerun-if-changed=table/hash.rs");
    // Checkouts that share a target folder: cargo would take one's table for the other's.
    println!("cargo::rerun-if-env-changed=ORLOP_CHECKOUT");
    let text = fs::read_to_string("table/types.txt").expect("table/types.txt is readable");
    let mut table = Table {
        declared: parse(&text),
        ids: BTreeMap::new(),
    };
    table.number();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("table.rs"), table.render()).expect("OUT_DIR is writable");
}

fn parse(text: &str) -> BTreeMap<String, Declared> {
    let mut declared = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(body) = line.strip_prefix("  ") {
            let Some(Declared::Struct(_, lines)) = declared.get_mut(&current) else {
                panic!("a field outside a struct: {body}");
            };
            lines.push(parse_field(&words));
        } else if words[0] == "struct" {
            current = words[1].to_owned();
            declared.insert(
                current.clone(),
                Declared::Struct(words.get(2) == Some(&"atomic"), Vec::new()),
            );
        } else {
            let values = words.iter().find_map(|w| w.strip_prefix("enum="));
            declared.insert(
                words[1].to_owned(),
                Declared::Named {
                    is: words[2].to_owned(),
                    message: words.contains(&"message"),
                    values: values
                        .map_or(Vec::new(), |v| v.split(',').map(str::to_owned).collect()),
                },
            );
        }
    }
    declared
}

fn parse_field(words: &[&str]) -> Line {
    if words[0] == "+" {
        return Line::Inline {
            go: words[1].to_owned(),
            kind: words[2].to_owned(),
            number: words[3].parse().expect("a protobuf number"),
        };
    }
    Line::Field(Field {
        name: words[0].to_owned(),
        kind: words[1].trim_start_matches('*').to_owned(),
        pointer: words[1].starts_with('*'),
        number: words[2].parse().expect("a protobuf number"),
        flags: words[3..].iter().map(|w| (*w).to_owned()).collect(),
        embedded: String::new(),
    })
}

/// The element of a list or map type.
fn element(kind: &str) -> Option<&str> {
    if kind == "[]byte" {
        return None;
    }
    kind.strip_prefix("[]").or_else(|| {
        kind.strip_prefix("map[")
            .and_then(|k| k.split_once(']'))
            .map(|(_, v)| v)
    })
}

/// What Go's reflection calls the type.
fn go_name(kind: &str) -> String {
    if kind == "[]byte" {
        return "[]uint8".to_owned();
    }
    if kind == "any" {
        return "interface {}".to_owned();
    }
    if let Some(rest) = kind.strip_prefix("[]") {
        return format!("[]{}", go_name(rest));
    }
    if let Some((key, value)) = kind.strip_prefix("map[").and_then(|k| k.split_once(']')) {
        return format!("map[{}]{}", go_name(key), go_name(value));
    }
    kind.rsplit('/').next().unwrap_or(kind).to_owned()
}

impl Table {
    fn resolve<'a>(&'a self, mut kind: &'a str) -> &'a str {
        while let Some(Declared::Named { is, .. }) = self.declared.get(kind) {
            kind = is;
        }
        kind
    }

    fn number(&mut self) {
        let mut kinds: BTreeSet<String> = BUILTIN.iter().map(|(k, _)| (*k).to_owned()).collect();
        let mut add = |kind: &str| {
            let mut kind = kind;
            while kinds.insert(kind.to_owned()) {
                match element(kind) {
                    Some(inner) => kind = inner,
                    None => break,
                }
            }
        };
        for (key, declared) in &self.declared {
            add(key);
            match declared {
                Declared::Named { is, .. } => add(is),
                Declared::Struct(_, lines) => {
                    for line in lines {
                        match line {
                            Line::Field(f) => add(&f.kind),
                            Line::Inline { kind, .. } => add(kind),
                        }
                    }
                }
            }
        }
        for (id, kind) in kinds.into_iter().enumerate() {
            let resolved = self.resolve(&kind).to_owned();
            assert!(
                element(&resolved).is_some()
                    || BUILTIN.iter().any(|(k, _)| *k == resolved)
                    || self.declared.contains_key(&resolved),
                "{kind} is nowhere declared"
            );
            self.ids.insert(kind, id);
        }
    }

    /// The JSON fields with embedded structs opened, and the protobuf fields (number, first field, embedded type).
    fn open(&self, key: &str) -> (Vec<Field>, Vec<Proto>) {
        let Some(Declared::Struct(_, lines)) = self.declared.get(key) else {
            panic!("{key} is no struct");
        };
        let (mut fields, mut proto) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                Line::Field(f) => {
                    if f.number > 0 {
                        proto.push((f.number, fields.len(), None));
                    }
                    fields.push(f.clone());
                }
                Line::Inline { go, kind, number } => {
                    let kind = self.resolve(kind);
                    let (mut inner, _) = self.open(kind);
                    if *number > 0 {
                        proto.push((*number, fields.len(), Some(self.ids[kind])));
                    } else {
                        inner.iter_mut().for_each(|f| f.number = 0);
                    }
                    if kind == "meta/v1.TypeMeta" {
                        inner.sort_by(|a, b| a.name.cmp(&b.name)); // apiVersion, kind: as people write them
                    } else {
                        for f in &mut inner {
                            f.embedded = format!("{go}.{}", f.embedded);
                        }
                    }
                    fields.append(&mut inner);
                }
            }
        }
        proto.sort_unstable();
        (fields, proto)
    }

    fn is_struct(&self, kind: &str) -> bool {
        matches!(
            self.declared.get(self.resolve(kind)),
            Some(Declared::Struct(..))
        )
    }

    /// What Go writes for the type's zero value; nil lists and maps as empty ones.
    fn zero(&self, kind: &str) -> String {
        let resolved = self.resolve(kind);
        let builtin = BUILTIN
            .iter()
            .find(|(k, _)| *k == resolved)
            .map(|(_, shape)| *shape);
        match builtin {
            Some("Bool" | "PropsOrBool") => "false".to_owned(),
            Some("Int32" | "Int64" | "Float64" | "IntOrString") => "0".to_owned(),
            Some("Str" | "Bytes") => "\"\"".to_owned(),
            Some("Quantity") => "\"0\"".to_owned(),
            Some("Duration") => "\"0s\"".to_owned(),
            Some(_) => "null".to_owned(),
            None if resolved.starts_with("[]") => "[]".to_owned(),
            None if resolved.starts_with("map[") => "{}".to_owned(),
            None => {
                let mut out = String::new();
                for f in &self.open(resolved).0 {
                    let zero = self.absent(f);
                    if !zero.is_empty() {
                        write!(out, ",\"{}\":{zero}", f.name).expect("a string grows");
                    }
                }
                format!("{{{}}}", out.trim_start_matches(','))
            }
        }
    }

    /// What stands for a field that was not given; empty where it is left out.
    fn absent(&self, f: &Field) -> String {
        let has = |flag: &str| f.flags.iter().any(|x| x == flag);
        let resolved = self.resolve(&f.kind);
        let always_struct = self.is_struct(&f.kind)
            || matches!(
                BUILTIN
                    .iter()
                    .find(|(k, _)| *k == resolved)
                    .map(|(_, s)| *s),
                Some(
                    "Quantity"
                        | "Duration"
                        | "Time"
                        | "MicroTime"
                        | "IntOrString"
                        | "Raw"
                        | "PropsOrBool"
                )
            );
        if has("omitzero") || (has("omitempty") && (f.pointer || !always_struct)) {
            String::new()
        } else if f.pointer {
            "null".to_owned()
        } else {
            self.zero(&f.kind)
        }
    }

    fn shape(&self, kind: &str, structs: &mut String) -> String {
        let resolved = self.resolve(kind);
        if let Some((_, shape)) = BUILTIN.iter().find(|(k, _)| *k == resolved) {
            return format!("Shape::{shape}");
        }
        if let Some(inner) = element(resolved) {
            let id = self.ids[inner];
            let which = if resolved.starts_with("[]") {
                "List"
            } else {
                "Map"
            };
            return format!("Shape::{which}({id})");
        }
        let id = self.ids[resolved];
        if kind == resolved {
            self.render_struct(resolved, id, structs);
        }
        format!("Shape::Struct(&S{id})")
    }

    fn render_struct(&self, key: &str, id: usize, out: &mut String) {
        let (fields, proto) = self.open(key);
        let mut rows = String::new();
        let mut always = Vec::new();
        for (i, f) in fields.iter().enumerate() {
            let flag = |prefix: &str| {
                f.flags
                    .iter()
                    .find_map(|x| x.strip_prefix(prefix))
                    .unwrap_or("")
            };
            let has = |flag: &str| f.flags.iter().any(|x| x == flag);
            let absent = self.absent(f);
            let zero = if absent.is_empty() {
                String::new()
            } else {
                always.push(i);
                format!(",\"{}\":{absent}", f.name)
            };
            let keys: Vec<&str> = flag("mapkeys=")
                .split(',')
                .filter(|k| !k.is_empty())
                .collect();
            let list = match flag("list=") {
                "set" => "Set",
                "map" => "Map",
                "atomic" => "Atomic",
                _ => "Unset",
            };
            writeln!(
                rows,
                "Field{{name:{:?},prefix:{:?},absent:{zero:?},embedded:{:?},kind:{},pointer:{},omit_empty:{},\
                 optional:{},number:{},list:ListType::{list},map_type:{:?},map_keys:&{keys:?},\
                 merge:{},replace:{},retain_keys:{},merge_key:{:?},default:{:?}}},",
                f.name,
                format!(",\"{}\":", f.name),
                f.embedded,
                self.ids[&f.kind],
                f.pointer,
                has("omitempty") || has("omitzero"),
                has("optional"),
                f.number,
                flag("map="),
                flag("patch=").contains("merge"),
                flag("patch=").contains("replace"),
                flag("patch=").contains("retainKeys"),
                flag("key="),
                flag("default="),
            )
            .expect("a string grows");
        }
        let atomic = matches!(self.declared.get(key), Some(Declared::Struct(true, _)));
        let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
        let (seed, slots) = perfect(&names);
        let proto: Vec<String> = proto
            .iter()
            .map(|(number, first, inline)| {
                format!("ProtoField{{number:{number},first:{first},inline:{inline:?}}}")
            })
            .collect();
        writeln!(
            out,
            "static S{id}: Struct = Struct{{atomic:{atomic},fields:&[{rows}],always:&{always:?},proto:&[{}],zero:{:?},seed:{seed},slots:&{slots:?}}};",
            proto.join(","),
            self.zero(key),
        )
        .expect("a string grows");
    }

    fn render(&self) -> String {
        let mut structs = String::new();
        let mut rows = String::new();
        for kind in self.ids.keys() {
            let shape = self.shape(kind, &mut structs);
            let (mut message, mut values) = (false, &Vec::new());
            let mut named = kind.as_str();
            while let Some(Declared::Named {
                is,
                message: m,
                values: v,
            }) = self.declared.get(named)
            {
                message |= m;
                if values.is_empty() {
                    values = v;
                }
                named = is;
            }
            writeln!(
                rows,
                "Type{{key:{kind:?},go:{:?},shape:{shape},message:{message},values:&{values:?}}},",
                go_name(kind)
            )
            .expect("a string grows");
        }
        format!(
            "{structs}\n/// Every type, sorted by key.\npub static TYPES: &[Type] = &[\n{rows}];\n"
        )
    }
}

/// A seed under which no two names share a slot, and the slots (255: empty).
fn perfect(names: &[&str]) -> (u64, Vec<u8>) {
    let size = (names.len() * 2).next_power_of_two().max(2);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for attempt in 0..1_000_000_u64 {
        let mut slots = vec![255_u8; size];
        let free = names.iter().enumerate().all(|(i, name)| {
            let at = (name_hash(name.as_bytes(), seed) as usize) & (size - 1);
            let empty = slots[at] == 255;
            slots[at] = i as u8;
            empty
        });
        if free {
            return (seed, slots);
        }
        seed = (seed ^ attempt).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1;
        seed ^= seed >> 29;
        seed |= 1;
    }
    panic!("no seed for {names:?}");
}
