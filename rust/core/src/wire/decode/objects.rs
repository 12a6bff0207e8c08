//! Objects, maps and lists: members are written as they come and put in order at the closing brace.

use super::super::error::{Result, fail};
use super::super::go::zero;
use super::super::scan::MAX_DEPTH;
use super::super::table::{self, Field, Shape, Struct, TypeId};
use super::super::text::unescape;
use super::super::write;
use super::{Decoder, Found, Part, Segment};

impl Decoder<'_> {
    pub(super) fn enter(&mut self) -> Result<()> {
        self.s.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail("exceeded max depth");
        }
        Ok(())
    }

    pub(super) fn object(&mut self, id: TypeId, s: &'static Struct) -> Result<()> {
        self.enter()?;
        let (start, base) = (self.out.len(), self.segments.len());
        let mut seen = [0_u64; 2];
        let mut key = self.s.first_key()?;
        while let Some(name) = key {
            let found = if name.plain {
                s.find(name.raw)
            } else {
                s.find(&unescape(name.raw))
            };
            match found {
                Some(index) => {
                    let bit = 1_u64 << (index % 64);
                    let again = seen[index / 64] & bit != 0;
                    seen[index / 64] |= bit;
                    if again {
                        self.strict("duplicate field", s.fields[index].name);
                    }
                    self.field(id, &s.fields[index], index, again.then_some(base))?;
                }
                None => {
                    self.strict("unknown field", &name.string());
                    self.s.skip(self.depth)?;
                }
            }
            key = self.s.next_key()?;
        }
        self.depth -= 1;
        self.close_struct(s, start, base);
        Ok(())
    }

    pub(super) fn field(
        &mut self,
        id: TypeId,
        f: &'static Field,
        index: usize,
        again: Option<usize>,
    ) -> Result<()> {
        let from = self.out.len();
        self.out.extend_from_slice(f.prefix.as_bytes());
        self.path.push(Part::Field(id, f));
        let found = self.value(f.kind)?;
        self.path.pop();
        let kept = match found {
            Found::Value => true,
            Found::Empty => !f.omit_empty || f.pointer,
            Found::Nothing => false,
        };
        if let Some(base) = again {
            // The last one wins; null leaves a value that cannot be nil as it was.
            let nil = f.pointer
                || matches!(
                    table::get(f.kind).shape,
                    Shape::List(_) | Shape::Map(_) | Shape::Any
                );
            if found != Found::Nothing || nil {
                let place = self.segments[base..]
                    .iter()
                    .position(|s| s.index as usize == index);
                if let Some(i) = place {
                    self.segments.remove(base + i);
                }
            }
        }
        if kept {
            let to = self.out.len();
            self.segments.push(Segment {
                index: index as u32,
                from,
                key_end: from,
                to,
            });
        } else {
            self.out.truncate(from);
        }
        Ok(())
    }

    pub(super) fn close_struct(&mut self, s: &'static Struct, start: usize, base: usize) {
        let mine = &mut self.segments[base..];
        let ordered = mine.windows(2).all(|w| w[0].index < w[1].index);
        let mut at = start;
        let contiguous = mine
            .iter()
            .all(|seg| std::mem::replace(&mut at, seg.to) == seg.from)
            && at == self.out.len();
        if !ordered {
            mine.sort_unstable_by_key(|seg| seg.index);
        }
        let missing = s.always.iter().any(|i| {
            mine.binary_search_by_key(&u32::from(*i), |seg| seg.index)
                .is_err()
        });
        if ordered && contiguous && !missing {
            self.close(start);
        } else {
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            let mut always = s.always.iter().copied().peekable();
            for seg in mine.iter() {
                while let Some(i) = always.next_if(|i| u32::from(*i) <= seg.index) {
                    if u32::from(i) < seg.index {
                        scratch.extend_from_slice(s.fields[usize::from(i)].absent.as_bytes());
                    }
                }
                scratch.extend_from_slice(&self.out[seg.from..seg.to]);
            }
            for i in always {
                scratch.extend_from_slice(s.fields[usize::from(i)].absent.as_bytes());
            }
            self.replace(start, scratch);
        }
        self.segments.truncate(base);
    }

    /// What stands in the output since `start` becomes `members`.
    pub(super) fn replace(&mut self, start: usize, members: Vec<u8>) {
        self.out.truncate(start);
        self.out.extend_from_slice(&members);
        self.scratch = members;
        self.close(start);
    }

    pub(super) fn close(&mut self, start: usize) {
        match self.out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    pub(super) fn map(&mut self, of: TypeId) -> Result<Found> {
        self.members(Some(of))
    }

    /// A map's members, or those of an object of no type.
    pub(super) fn members(&mut self, of: Option<TypeId>) -> Result<Found> {
        self.enter()?;
        let (start, base) = (self.out.len(), self.segments.len());
        let mut key = self.s.first_key()?;
        while let Some(name) = key {
            let from = self.out.len();
            self.out.extend_from_slice(b",\"");
            if name.plain {
                self.out.extend_from_slice(name.raw);
            } else {
                write::escape_into(&mut self.out, &unescape(name.raw));
            }
            let key_end = self.out.len();
            self.out.extend_from_slice(b"\":");
            self.path.push(Part::Key(name));
            match of {
                Some(of) => {
                    if self.value(of)? == Found::Nothing {
                        self.out.extend_from_slice(zero(of).as_bytes());
                    }
                }
                None => self.any()?,
            }
            self.path.pop();
            self.segments.push(Segment {
                index: (self.segments.len() - base) as u32,
                from,
                key_end,
                to: self.out.len(),
            });
            key = self.s.next_key()?;
        }
        self.depth -= 1;
        let empty = self.segments.len() == base;
        self.close_map(start, base);
        Ok(if empty { Found::Empty } else { Found::Value })
    }

    pub(super) fn close_map(&mut self, start: usize, base: usize) {
        let out = &self.out;
        let key = |seg: &Segment| &out[seg.from + 2..seg.key_end];
        let compare = |a: &Segment, b: &Segment| {
            let (a, b) = (key(a), key(b));
            if a.contains(&b'\\') || b.contains(&b'\\') {
                unescape(a).cmp(&unescape(b))
            } else {
                a.cmp(b)
            }
        };
        let mine = &mut self.segments[base..];
        if !mine.windows(2).all(|w| compare(&w[0], &w[1]).is_lt()) {
            mine.sort_by(compare);
            let mut again = Vec::new();
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            for (i, seg) in mine.iter().enumerate() {
                if mine
                    .get(i + 1)
                    .is_some_and(|next| compare(seg, next).is_eq())
                {
                    again.push((mine[i + 1].index, key(seg).to_vec()));
                } else {
                    scratch.extend_from_slice(&self.out[seg.from..seg.to]);
                }
            }
            again.sort();
            for (_, name) in again {
                self.strict(
                    "duplicate field",
                    &String::from_utf8_lossy(&unescape(&name)),
                );
            }
            self.replace(start, scratch);
        } else {
            self.close(start);
        }
        self.segments.truncate(base);
    }

    pub(super) fn list(&mut self, of: TypeId) -> Result<Found> {
        self.items(Some(of))
    }

    pub(super) fn items(&mut self, of: Option<TypeId>) -> Result<Found> {
        self.enter()?;
        self.out.push(b'[');
        let mut more = self.s.first_item();
        let empty = !more;
        let mut index = 0;
        self.path.push(Part::Index(0));
        while more {
            if index > 0 {
                self.out.push(b',');
                if let Some(last) = self.path.last_mut() {
                    *last = Part::Index(index);
                }
            }
            match of {
                Some(of) => {
                    if self.value(of)? == Found::Nothing {
                        self.out.extend_from_slice(zero(of).as_bytes());
                    }
                }
                None => self.any()?,
            }
            index += 1;
            more = self.s.next_item()?;
        }
        self.path.pop();
        self.depth -= 1;
        self.out.push(b']');
        Ok(if empty { Found::Empty } else { Found::Value })
    }
}
