//! Paths of fields as field.Path writes them.

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
