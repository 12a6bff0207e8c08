//! How an object stands in a list.
//!
//! A list names its items' version and kind once, so the items of built-in kinds do not name them again. Stored bytes
//! begin with both: what a list shows of an object is its bytes from behind this head on.

/// What is written before an object's own bytes, and those of them that follow. An object that does not begin with
/// `head`, or any where that is empty, is shown whole.
pub fn shown<'a>(first: bool, value: &'a [u8], head: &[u8]) -> (&'static [u8], &'a [u8]) {
    match value.strip_prefix(head).filter(|_| !head.is_empty()) {
        Some(rest) if first => (b"{", rest),
        Some(rest) => (b",{", rest),
        None if first => (b"", value),
        None => (b",", value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = br#"{"apiVersion":"v1","kind":"Pod","#;

    fn list(values: &[&str], head: &[u8]) -> String {
        let mut out = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let (open, rest) = shown(index == 0, value.as_bytes(), head);
            out.extend_from_slice(open);
            out.extend_from_slice(rest);
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_head_is_taken_off_and_nothing_else() {
        let values = [
            r#"{"apiVersion":"v1","kind":"Pod","spec":{}}"#,
            r#"{"apiVersion":"v2","kind":"Pod","spec":{}}"#,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{}}"#,
        ];
        assert_eq!(
            list(&values, HEAD),
            r#"{"spec":{}},{"apiVersion":"v2","kind":"Pod","spec":{}},{"metadata":{}}"#
        );
        assert_eq!(
            list(&values[1..], HEAD),
            format!("{},{}", values[1], r#"{"metadata":{}}"#)
        );
        assert_eq!(list(&values, b""), values.join(","));
    }
}
