//! What is wrong with a body, in the words of Go's encoding/json and sigs.k8s.io/json.

use super::super::error::Result;
use super::super::go::quote;
use super::super::table;
use super::{Decoder, Found, INTERPRET, Part, kind_of};

/// More strict errors than this are not collected (as in sigs.k8s.io/json).
const MAX_STRICT_ERRORS: usize = 100;

impl Decoder<'_> {
    /// A value of another JSON type than the field's: stepped over.
    #[cold]
    pub(super) fn mismatch(&mut self, first: u8, go: &str) -> Result<Found> {
        self.s.skip(self.depth)?;
        let message = self.mismatch_message(kind_of(first), go);
        self.save(message);
        Ok(Found::Nothing)
    }

    #[cold]
    pub(super) fn wrong_number(&mut self, number: &[u8], go: &str) -> Found {
        let message =
            self.mismatch_message(&format!("number {}", String::from_utf8_lossy(number)), go);
        self.save(message);
        Found::Nothing
    }

    pub(super) fn mismatch_message(&self, value: &str, go: &str) -> String {
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

    pub(super) fn save(&mut self, message: String) {
        if message.starts_with(INTERPRET) {
            self.nameless.get_or_insert(message);
        } else {
            self.wrong_type.get_or_insert(message);
        }
    }

    pub(super) fn broken(&mut self, message: String) -> Found {
        self.broken.get_or_insert(message);
        Found::Nothing
    }

    #[cold]
    pub(super) fn strict(&mut self, what: &str, name: &str) {
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
        let message = format!("{what} {}", quote(&format!("{path}{dot}{name}")));
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
