//! A long answer whose parts are there already.

use std::sync::Arc;

use crate::hub::Object;

/// A list: what stands before the objects, the objects with commas between them, what stands after.
#[derive(Debug)]
pub struct Body {
    before: Vec<u8>,
    items: std::vec::IntoIter<Arc<Object>>,
    after: Vec<u8>,
    /// What is being sent, and how much of it has been.
    part: Part,
    at: usize,
}

#[derive(Debug)]
enum Part {
    Before,
    Item(Arc<Object>),
    Comma,
    After,
    End,
}

impl Body {
    /// The join of all this.
    pub fn new(before: Vec<u8>, items: Vec<Arc<Object>>, after: Vec<u8>) -> Body {
        Body {
            before,
            items: items.into_iter(),
            after,
            part: Part::Before,
            at: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        let bytes: &[u8] = match &self.part {
            Part::Before => &self.before,
            Part::Item(object) => &object.value,
            Part::Comma => b",",
            Part::After => &self.after,
            Part::End => b"",
        };
        &bytes[self.at..]
    }

    fn step(&mut self) {
        self.at = 0;
        self.part = match self.part {
            Part::Before | Part::Comma => self.items.next().map_or(Part::After, Part::Item),
            Part::Item(_) if self.items.len() > 0 => Part::Comma,
            Part::Item(_) => Part::After,
            Part::After | Part::End => Part::End,
        };
    }

    /// Everything has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self.part, Part::End)
    }

    /// How many bytes `take` can give, up to `limit`.
    pub fn next_size(&self, limit: usize) -> usize {
        let mut size = self.bytes().len();
        let (commas, after) = match self.part {
            Part::Before => (self.items.len().saturating_sub(1), true),
            Part::Item(_) => (self.items.len(), true),
            Part::Comma => (self.items.len().saturating_sub(1), true),
            Part::After | Part::End => (0, false),
        };
        let mut left = commas;
        for item in self.items.as_slice() {
            if size >= limit {
                return limit;
            }
            size += item.value.len() + usize::from(left > 0);
            left = left.saturating_sub(1);
        }
        if after {
            size += self.after.len();
        }
        size.min(limit)
    }

    /// Adds the next `size` bytes.
    pub fn take(&mut self, size: usize, out: &mut Vec<u8>) {
        let mut left = size;
        while left > 0 && !matches!(self.part, Part::End) {
            let bytes = self.bytes();
            let count = bytes.len().min(left);
            out.extend_from_slice(&bytes[..count]);
            left -= count;
            self.at += count;
            if self.bytes().is_empty() {
                self.step();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::hub::Hub;

    fn objects(values: &[&str]) -> Vec<Arc<Object>> {
        let hub = Hub::new(1, || ());
        hub.declare("x", &[], true, "v1", "X");
        let items = values
            .iter()
            .enumerate()
            .map(|(i, value)| ("a".to_owned(), i.to_string(), 1, value.as_bytes().into()));
        hub.load("x", items);
        hub.list("x", None, "", "", 0, None).unwrap().items
    }

    #[test]
    fn any_limit_gives_the_same_bytes() {
        for (values, wanted) in [
            (&["{1}", "{22}", "{333}"][..], "[{1},{22},{333}]}"),
            (&["{1}"], "[{1}]}"),
            (&[], "[]}"),
        ] {
            for limit in 1..30 {
                let mut body = Body::new(b"[".to_vec(), objects(values), b"]}".to_vec());
                let mut out = Vec::new();
                while !body.is_done() {
                    let size = body.next_size(limit);
                    let before = out.len();
                    body.take(size, &mut out);
                    assert_eq!(out.len() - before, size, "{wanted} {limit}");
                    assert!(size > 0 && size <= limit);
                }
                assert_eq!(String::from_utf8(out).unwrap(), wanted);
            }
        }
    }
}
