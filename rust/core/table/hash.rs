// Shared by build.rs, which searches for a seed without collisions, and wire/table.rs, which looks names up.

/// A number from a field's name: its first and last eight bytes and its length, mixed by `seed`.
pub(crate) fn name_hash(name: &[u8], seed: u64) -> u64 {
    let n = name.len();
    let (head, tail) = if n >= 8 {
        (load(&name[..8]), load(&name[n - 8..]))
    } else {
        (load(name), 0)
    };
    let mixed = (head ^ tail.rotate_left(23) ^ (n as u64)).wrapping_mul(seed);
    mixed >> 48 // every bit of the name reaches the top of the product
}

fn load(bytes: &[u8]) -> u64 {
    let mut word = [0_u8; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
