//! A long answer whose parts are there already.

use std::sync::Arc;

use crate::hub::{Object, shown};

/// A list: what stands before the objects, the objects without their head, what stands after.
#[derive(Debug)]
pub struct Body {
    before: Vec<u8>,
    head: Arc<[u8]>,
    items: std::vec::IntoIter<Arc<Object>>,
    after: Vec<u8>,
    /// What is being sent, and how much of it has been.
    part: Part,
    at: usize,
}

#[derive(Debug)]
enum Part {
    Before,
    /// What is written before an object's bytes, and from where on these are sent.
    Open(&'static [u8], Arc<Object>, usize),
    Item(Arc<Object>, usize),
    After,
    End,
}

impl Body {
    /// The join of all this.
    pub fn new(before: Vec<u8>, items: Vec<Arc<Object>>, head: Arc<[u8]>, after: Vec<u8>) -> Body {
        Body {
            before,
            head,
            items: items.into_iter(),
            after,
            part: Part::Before,
            at: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        let bytes: &[u8] = match &self.part {
            Part::Before => &self.before,
            Part::Open(open, _, _) => open,
            Part::Item(object, from) => &object.value[*from..],
            Part::After => &self.after,
            Part::End => b"",
        };
        &bytes[self.at..]
    }

    fn step(&mut self) {
        self.at = 0;
        let first = matches!(self.part, Part::Before);
        self.part = match std::mem::replace(&mut self.part, Part::End) {
            Part::Before | Part::Item(..) => match self.items.next() {
                Some(object) => {
                    let (open, rest) = shown(first, &object.value, &self.head);
                    let from = object.value.len() - rest.len();
                    Part::Open(open, object, from)
                }
                None => Part::After,
            },
            Part::Open(_, object, from) => Part::Item(object, from),
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
        match &self.part {
            Part::After | Part::End => return size.min(limit),
            Part::Open(_, object, from) => size += object.value.len() - from,
            Part::Before | Part::Item(..) => {}
        }
        let mut first = matches!(self.part, Part::Before);
        for item in self.items.as_slice() {
            if size >= limit {
                return limit;
            }
            let (open, rest) = shown(first, &item.value, &self.head);
            size += open.len() + rest.len();
            first = false;
        }
        (size + self.after.len()).min(limit)
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
        for (values, head, wanted) in [
            (&["{1}", "{22}", "{333}"][..], "", "[{1},{22},{333}]}"),
            (&["{1}"], "", "[{1}]}"),
            (&[], "", "[]}"),
            (
                &["{h,1}", "{x,22}", "{h,333}"],
                "{h,",
                "[{1},{x,22},{333}]}",
            ),
            (&["{x,1}", "{h,22}"], "{h,", "[{x,1},{22}]}"),
        ] {
            for limit in 1..30 {
                let mut body = Body::new(
                    b"[".to_vec(),
                    objects(values),
                    head.as_bytes().into(),
                    b"]}".to_vec(),
                );
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
