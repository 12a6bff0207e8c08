//! Lists in gzip as joins of blocks that were compressed before.
//!
//! A block is a run of objects. Where it ends its last object's name decides, so that an object that comes, changes or
//! goes makes one block anew and no other. Blocks are deflate streams cut at byte borders; between a header and a
//! trailer with the combined checksum they are one valid gzip member (RFC 1952).

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex};

use flate2::{Compress, Compression, FlushCompress, Status};

use super::item::shown;
use super::lock;
use super::object::Object;

/// One of so many objects ends a block.
const OBJECTS: u64 = 64;
/// And the last of so many does, whatever its name.
const OBJECTS_MOST: usize = 256;
/// Bytes of compressed blocks that are kept. What has not been used for as many is forgotten.
const KEPT: usize = 16 << 20;
/// As negotiated for whole bodies.
const LEVEL: u32 = 1;

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
const END: [u8; 2] = [3, 0];

#[derive(Debug)]
struct Block {
    packed: Box<[u8]>,
    crc: u32,
    size: u32,
}

#[derive(Debug, Default)]
struct Kept {
    young: HashMap<u128, Arc<Block>>,
    size: usize,
    old: HashMap<u128, Arc<Block>>,
}

/// The blocks that were made.
#[derive(Debug, Default)]
pub struct Packs {
    kept: Mutex<Kept>,
    state: (RandomState, RandomState),
}

impl Packs {
    /// `before`, the objects with commas between them and without their `head`, `after`, as one gzip member.
    pub fn gzip(
        &self,
        before: &[u8],
        objects: &[Arc<Object>],
        head: &[u8],
        after: &[u8],
    ) -> Vec<u8> {
        let mut out = Out {
            bytes: HEADER.to_vec(),
            crc: crc32fast::Hasher::new(),
            size: 0,
        };
        out.plain(before);
        let mut packer = Packer::default();
        let mut rest = objects;
        while !rest.is_empty() {
            let (run, behind) = rest.split_at(self.run(rest));
            out.block(&self.block(run, head, &mut packer));
            if !behind.is_empty() {
                out.plain(b",");
            }
            rest = behind;
        }
        out.plain(after);
        out.end()
    }

    /// How many objects the first block has.
    fn run(&self, objects: &[Arc<Object>]) -> usize {
        let last =
            |object: &Arc<Object>| self.state.0.hash_one(&object.name).is_multiple_of(OBJECTS);
        let found = objects.iter().take(OBJECTS_MOST).position(last);
        found.map_or(objects.len().min(OBJECTS_MOST), |at| at + 1)
    }

    /// Objects of the same revisions, places and sizes in the same order without the same head are the same bytes.
    fn key(&self, run: &[Arc<Object>], head: &[u8]) -> u128 {
        let mut hashers = (self.state.0.build_hasher(), self.state.1.build_hasher());
        hashers.0.write(head);
        hashers.1.write(head);
        for object in run {
            for hasher in [&mut hashers.0, &mut hashers.1] {
                hasher.write_u64(object.revision);
                // Two objects of one revision are two states of none: the value's place tells them apart.
                hasher.write_usize(Arc::as_ptr(&object.value).cast::<u8>() as usize);
                hasher.write_usize(object.value.len());
            }
        }
        u128::from(hashers.0.finish()) << 64 | u128::from(hashers.1.finish())
    }

    fn block(&self, run: &[Arc<Object>], head: &[u8], packer: &mut Packer) -> Arc<Block> {
        let key = self.key(run, head);
        let mut kept = lock(&self.kept);
        if let Some(block) = kept.young.get(&key) {
            return Arc::clone(block);
        }
        let found = kept.old.remove(&key);
        drop(kept);
        let block = found.unwrap_or_else(|| Arc::new(packer.pack(run, head)));
        let mut kept = lock(&self.kept);
        kept.size += block.packed.len();
        kept.young.insert(key, Arc::clone(&block));
        if kept.size > KEPT / 2 {
            kept.old = std::mem::take(&mut kept.young);
            kept.size = 0;
        }
        block
    }
}

/// What one list's blocks are made with. What is kept of a block has its own size: were room for each made anew, the
/// blocks would stand far apart in memory.
#[derive(Default)]
struct Packer {
    engine: Option<Compress>,
    bytes: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    fn pack(&mut self, run: &[Arc<Object>], head: &[u8]) -> Block {
        self.bytes.clear();
        for (index, object) in run.iter().enumerate() {
            let (open, rest) = shown(index == 0, &object.value, head);
            self.bytes.extend_from_slice(open);
            self.bytes.extend_from_slice(rest);
        }
        self.deflate();
        Block {
            packed: self.packed.as_slice().into(),
            crc: crc32fast::hash(&self.bytes),
            size: self.bytes.len() as u32,
        }
    }

    /// A deflate stream without its end, cut at a byte's border.
    fn deflate(&mut self) {
        let engine = self
            .engine
            .get_or_insert_with(|| Compress::new(Compression::new(LEVEL), false));
        engine.reset();
        let (bytes, out) = (&self.bytes, &mut self.packed);
        out.clear();
        out.reserve(bytes.len() / 4 + 64);
        loop {
            let from = engine.total_in() as usize;
            // Compression cannot fail but for want of room.
            let status = engine.compress_vec(&bytes[from..], out, FlushCompress::Sync);
            let whole = engine.total_in() as usize == bytes.len() && out.len() < out.capacity();
            if whole && !matches!(status, Ok(Status::StreamEnd)) {
                return;
            }
            out.reserve(out.capacity().max(64));
        }
    }
}

struct Out {
    bytes: Vec<u8>,
    crc: crc32fast::Hasher,
    size: u32,
}

impl Out {
    fn block(&mut self, block: &Block) {
        self.bytes.extend_from_slice(&block.packed);
        let crc = crc32fast::Hasher::new_with_initial_len(block.crc, block.size.into());
        self.crc.combine(&crc);
        self.size = self.size.wrapping_add(block.size);
    }

    /// Bytes as they are: RFC 1951, 3.2.4.
    fn plain(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(usize::from(u16::MAX)) {
            let size = part.len() as u16;
            self.bytes.push(0);
            self.bytes.extend_from_slice(&size.to_le_bytes());
            self.bytes.extend_from_slice(&(!size).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.crc.update(bytes);
        self.size = self.size.wrapping_add(bytes.len() as u32);
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&END);
        self.bytes
            .extend_from_slice(&self.crc.finalize().to_le_bytes());
        self.bytes.extend_from_slice(&self.size.to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::hub::{Change, Hub};
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn unpacked(bytes: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_list_is_what_it_was_before_it_was_compressed() {
        let hub = Hub::new(10, || ());
        hub.declare("x", &[], true, "v1", "X");
        let packs = Packs::default();
        let mut revision = 1;
        for count in [0, 1, 700, 3000] {
            for index in 0..count {
                revision += 1;
                hub.apply(vec![Change {
                    resource: "x".into(),
                    namespace: "a".to_owned(),
                    name: format!("n{}", index * 7 % count),
                    revision,
                    deleted: false,
                    value: format!(r#"{{"n":{index},"r":{revision}}}"#)
                        .into_bytes()
                        .into(),
                }]);
            }
            let items = hub.list("x", None, "", "", 0, None).unwrap().items;
            let values: Vec<_> = items
                .iter()
                .map(|object| String::from_utf8_lossy(&object.value).into_owned())
                .collect();
            let before = "[".repeat(70_000 * usize::from(count == 700) + 1);
            let wanted = format!("{before}{}]}}", values.join(","));
            for (head, open) in [("", ""), (r#"{"n":"#, "{"), ("", "")] {
                assert_eq!(
                    unpacked(&packs.gzip(before.as_bytes(), &items, head.as_bytes(), b"]}")),
                    wanted.replace(if head.is_empty() { "none" } else { head }, open)
                );
            }
        }
    }

    #[test]
    fn a_change_makes_one_block_anew() {
        let hub = Hub::new(10, || ());
        hub.declare("x", &[], true, "v1", "X");
        let change = |name: usize, revision| Change {
            resource: "x".into(),
            namespace: "a".to_owned(),
            name: format!("n{name:05}"),
            revision,
            deleted: false,
            value: format!(r#"{{"r":{revision}}}"#).into_bytes().into(),
        };
        hub.apply((0..5000).map(|i| change(i, i as u64 + 1)).collect());
        let packs = Packs::default();
        let blocks = || lock(&packs.kept).young.len();
        let list = || hub.list("x", None, "", "", 0, None).unwrap().items;
        packs.gzip(b"[", &list(), b"", b"]");
        let before = blocks();
        assert!(before > 20);
        packs.gzip(b"[", &list(), b"", b"]");
        assert_eq!(blocks(), before);
        hub.apply(vec![change(2500, 6000)]);
        packs.gzip(b"[", &list(), b"", b"]");
        assert_eq!(blocks(), before + 1);
    }
}
