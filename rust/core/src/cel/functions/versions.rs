//! Semantic versions.

pub(super) fn parse_semver(text: &str) -> Option<([u64; 3], String)> {
    let text = text.split('+').next()?;
    let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut out = [0; 3];
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() != 3 {
        return None;
    }
    for (slot, part) in out.iter_mut().zip(parts) {
        if part.len() > 1 && part.starts_with('0') || !part.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    Some((out, pre.to_owned()))
}
