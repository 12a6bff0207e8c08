//! Paths of fields as field.Path writes them, and as rules name fields.

use super::model::Schema;

/// `base.name`
pub(super) fn child(base: &str, name: &str) -> String {
    if base.is_empty() {
        name.to_owned()
    } else {
        format!("{base}.{name}")
    }
}

/// `base[key]`
pub(super) fn key(base: &str, name: &str) -> String {
    format!("{base}[{name}]")
}

/// `base[3]`
pub(super) fn index(base: &str, at: usize) -> String {
    format!("{base}[{at}]")
}

/// Whether a rule's fieldPath (`.spec['a-b'].c`) leads to a field of the schema.
pub(super) fn leads(schema: &Schema, path: &str) -> bool {
    let mut at = schema;
    let mut rest = path.trim();
    while !rest.is_empty() {
        let (name, after, dotted) = if let Some(below) = rest.strip_prefix('.') {
            let end = below.find(['.', '[']).unwrap_or(below.len());
            (below[..end].to_owned(), &below[end..], true)
        } else if let Some((name, after)) = rest.strip_prefix("['").and_then(quoted) {
            (name, after, false)
        } else {
            return false;
        };
        let found = match at.property(name.as_bytes()) {
            None if !dotted && at.properties.is_empty() => at.additional_schema(),
            found => found,
        };
        let Some(found) = found else {
            return false;
        };
        at = found;
        rest = after;
    }
    true
}

/// The name up to `']`, in which a backslash stands before a quote, and what comes after.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            '\'' => return Some((name, text[at + 1..].strip_prefix(']')?)),
            _ => name.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_path_leads_to_a_field() {
        let schema = Schema::of_json(
            br#"{"type":"object","properties":{"a":{"type":"object","properties":{"b-c":{"type":"string"},
                "it's":{"type":"string"}}},"m":{"type":"object","additionalProperties":{"type":"string"}}}}"#,
        )
        .expect("a schema");
        for path in [
            ".a",
            ".a.b-c",
            ".a['b-c']",
            r".a['it\'s']",
            ".m['x']",
            " .a ",
        ] {
            assert!(leads(&schema, path), "{path}");
        }
        for path in [
            "a",
            ".b",
            ".a.b",
            ".m.x",
            "['c']",
            ".a[",
            ".a['b-c'",
            ".a['b-c'].d",
            ".a..b-c",
        ] {
            assert!(!leads(&schema, path), "{path}");
        }
    }
}
