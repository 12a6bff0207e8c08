//! Asking FieldsV1 text whether it has some paths, without making a set of it.

use super::set::Set;
use crate::wire::error::Result;
use crate::wire::scan::Scanner;

/// A set with its steps as FieldsV1 writes them.
pub(super) struct Wanted {
    member: bool,
    children: Vec<(Vec<u8>, Wanted)>,
}

impl Wanted {
    pub fn of(set: &Set<'_>) -> Self {
        Wanted {
            member: set.member,
            children: set
                .children
                .iter()
                .map(|(step, below)| {
                    let mut text = Vec::with_capacity(24);
                    step.write(&mut text);
                    // Without its quotes, as the scanner hands keys out.
                    text.pop();
                    text.remove(0);
                    (text, Wanted::of(below))
                })
                .collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Whether any of the paths is in the text.
    pub fn meets(&self, fields: &[u8]) -> bool {
        !self.is_empty()
            && !fields.is_empty()
            && self.meet(&mut Scanner::new(fields)).unwrap_or(true)
    }

    /// Whether all of the paths are in the text.
    pub fn within(&self, fields: &[u8]) -> bool {
        self.is_empty()
            || (!fields.is_empty() && self.cover(&mut Scanner::new(fields)).unwrap_or(false))
    }

    fn find(&self, key: &[u8]) -> Option<&Wanted> {
        self.children
            .iter()
            .find(|(text, _)| text == key)
            .map(|(_, below)| below)
    }

    fn meet(&self, s: &mut Scanner<'_>) -> Result<bool> {
        s.peek();
        s.at += 1;
        let mut found = false;
        let mut key = s.first_key()?;
        if key.is_none() {
            return Ok(self.member);
        }
        while let Some(name) = key {
            match self.find(name.raw) {
                _ if found => s.jump(),
                Some(below) => found = below.meet(s)?,
                None => {
                    found = self.member && name.raw == b".";
                    s.jump();
                }
            }
            key = s.next_key()?;
        }
        Ok(found)
    }

    fn cover(&self, s: &mut Scanner<'_>) -> Result<bool> {
        s.peek();
        s.at += 1;
        let mut left = self.children.len();
        let mut key = s.first_key()?;
        let mut member = key.is_none();
        let mut all = true;
        while let Some(name) = key {
            if let Some(below) = self.find(name.raw) {
                left -= 1;
                all &= below.cover(s)?;
            } else {
                member |= name.raw == b".";
                s.jump();
            }
            key = s.next_key()?;
        }
        Ok(all && left == 0 && (member || !self.member))
    }
}
