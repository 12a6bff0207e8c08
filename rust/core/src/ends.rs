//! Where the values of well-formed JSON end, looked for in blocks of bytes: most of a large object is only stepped over.

/// Bytes of which one word of bits tells something.
const BLOCK: usize = 64;
/// Containers of no more bytes than this are looked through one by one: a block would cost as much.
const SHORT: usize = 24;
/// Bytes that are compared at once.
const PART: usize = 16;

/// What the bytes of a block are, one bit each, the first byte's the lowest.
#[derive(Default)]
struct Marks {
    quote: u64,
    backslash: u64,
    open: u64,
    close: u64,
}

#[cfg(target_arch = "x86_64")]
mod simd {
    use super::{Marks, PART};
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };

    fn load(part: &[u8; PART]) -> __m128i {
        // SAFETY: sixteen bytes are read, which are there; the load asks for no alignment. SSE2 is part of x86_64.
        unsafe { _mm_loadu_si128(part.as_ptr().cast()) }
    }

    /// One bit for each byte that is equal.
    fn equal(bytes: __m128i, byte: u8) -> u64 {
        // SAFETY: SSE2 is part of x86_64.
        let bits =
            unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()))) };
        u64::from(bits.cast_unsigned())
    }

    pub(super) fn marks(part: &[u8; PART]) -> Marks {
        let bytes = load(part);
        // `[` and `{`, `]` and `}` differ in this bit alone.
        // SAFETY: SSE2 is part of x86_64.
        let bare = unsafe { _mm_or_si128(bytes, _mm_set1_epi8(0x20)) };
        Marks {
            quote: equal(bytes, b'"'),
            backslash: equal(bytes, b'\\'),
            open: equal(bare, b'{'),
            close: equal(bare, b'}'),
        }
    }

    /// One bit for each byte that a string's plain text ends at.
    pub(super) fn stops(part: &[u8; PART]) -> u64 {
        let bytes = load(part);
        // SAFETY: SSE2 is part of x86_64.
        let controls = unsafe {
            let low = _mm_min_epu8(bytes, _mm_set1_epi8(0x1f));
            _mm_movemask_epi8(_mm_cmpeq_epi8(low, bytes))
        };
        equal(bytes, b'"') | equal(bytes, b'\\') | u64::from(controls.cast_unsigned())
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod simd {
    use super::{Marks, PART, stops_text};

    fn bits(part: &[u8; PART], is: impl Fn(u8) -> bool) -> u64 {
        let each = part.iter().enumerate();
        each.fold(0, |bits, (i, &byte)| bits | u64::from(is(byte)) << i)
    }

    pub(super) fn marks(part: &[u8; PART]) -> Marks {
        Marks {
            quote: bits(part, |c| c == b'"'),
            backslash: bits(part, |c| c == b'\\'),
            open: bits(part, |c| matches!(c, b'{' | b'[')),
            close: bits(part, |c| matches!(c, b'}' | b']')),
        }
    }

    pub(super) fn stops(part: &[u8; PART]) -> u64 {
        bits(part, stops_text)
    }
}

fn stops_text(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

/// Where the plain text that begins at `at` ends: at a quote, a backslash, a control character, or with the data.
#[inline]
pub(crate) fn text_end(data: &[u8], mut at: usize) -> usize {
    while let Some(part) = data.get(at..).and_then(<[u8]>::first_chunk::<PART>) {
        let stops = simd::stops(part);
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += PART;
    }
    while data.get(at).is_some_and(|&byte| !stops_text(byte)) {
        at += 1;
    }
    at
}

/// Behind the quote that ends the string whose text begins at `at`, where there is one.
pub(crate) fn string_end(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = text_end(data, at);
        match data.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Behind the bracket that closes the object or list that begins at `start`, where it is closed.
pub(crate) fn container_end(data: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_u32);
    while at < start + SHORT {
        match data.get(at)? {
            b'"' => {
                at = string_end(data, at + 1)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    far_end(data, at, depth)
}

/// The same from a place outside of strings, within so many containers.
fn far_end(data: &[u8], mut at: usize, mut depth: u32) -> Option<usize> {
    // All bits set while a string goes on; 1 where the next block's first byte is escaped.
    let (mut inside, mut escaped) = (0_u64, 0_u64);
    loop {
        let rest = data.get(at..).filter(|rest| !rest.is_empty())?;
        let mut last = [0_u8; BLOCK];
        let block = match rest.first_chunk::<BLOCK>() {
            Some(block) => block,
            None => {
                last[..rest.len()].copy_from_slice(rest);
                &last
            }
        };
        let marks = marks(block);
        let quotes = marks.quote & !escapes(marks.backslash, &mut escaped);
        let strings = parity(quotes) ^ inside;
        inside = if strings >> (BLOCK - 1) == 1 {
            u64::MAX
        } else {
            0
        };
        let (open, close) = (marks.open & !strings, marks.close & !strings);
        let closed = close.count_ones();
        if closed >= depth {
            let mut left = close;
            for closed in 1..=closed {
                let bit = left & left.wrapping_neg();
                if closed == depth + (open & (bit - 1)).count_ones() {
                    return Some(at + bit.trailing_zeros() as usize + 1);
                }
                left ^= bit;
            }
        }
        depth = depth + open.count_ones() - closed;
        at += BLOCK;
    }
}

fn marks(block: &[u8; BLOCK]) -> Marks {
    let mut all = Marks::default();
    let (parts, _) = block.as_chunks::<PART>();
    for (i, part) in parts.iter().enumerate() {
        let one = simd::marks(part);
        let shift = PART * i;
        all.quote |= one.quote << shift;
        all.backslash |= one.backslash << shift;
        all.open |= one.open << shift;
        all.close |= one.close << shift;
    }
    all
}

/// Each bit is whether an odd number of bits is set up to it.
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The bytes behind an odd number of backslashes. (J. Keiser and D. Lemire, "Parsing gigabytes of JSON per second", 3.1.)
fn escapes(backslash: u64, before: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    if backslash == 0 {
        return std::mem::take(before);
    }
    let backslash = backslash & !*before;
    let follows = backslash << 1 | *before;
    let odd = backslash & !EVEN & !follows;
    let (runs, over) = odd.overflowing_add(backslash);
    *before = u64::from(over);
    (EVEN ^ (runs << 1)) & follows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// One byte after the other.
    fn slow(data: &[u8], start: usize) -> Option<usize> {
        let (mut depth, mut inside, mut escaped) = (0, false, false);
        for (i, &byte) in data.iter().enumerate().skip(start) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if inside => escaped = true,
                b'"' => inside = !inside,
                b'{' | b'[' if !inside => depth += 1,
                b'}' | b']' if !inside => depth -= 1,
                _ => {}
            }
            if depth == 0 && !inside {
                return Some(i + 1);
            }
        }
        None
    }

    /// Bytes of what ends values, in no order; backslashes within strings alone, as in JSON.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) % n
        };
        let mut out = vec![b'{'];
        while out.len() < len {
            match next(8) {
                0 => out.extend_from_slice(b"{"),
                1 => out.extend_from_slice(b"["),
                2 => out.extend_from_slice(b"}"),
                3 => out.extend_from_slice(b"]"),
                4 | 5 => {
                    out.push(b'"');
                    for _ in 0..next(40) {
                        match next(9) {
                            0 => out.extend_from_slice(b"\\\\"),
                            1 => out.extend_from_slice(b"\\\""),
                            2 => out.push(b'}'),
                            3 => out.push(b'{'),
                            _ => out.extend_from_slice("aé".as_bytes()),
                        }
                    }
                    out.push(b'"');
                }
                _ => out.extend_from_slice(b",1234567890,"),
            }
        }
        out
    }

    #[test]
    fn blocks_end_where_single_bytes_end() {
        let mut far = 0;
        for seed in 0..4000 {
            let data = noise(seed, 20 + (seed as usize * 7) % 900);
            let expected = slow(&data, 0);
            far += usize::from(expected.is_some_and(|end| end > 100));
            assert_eq!(
                container_end(&data, 0),
                expected,
                "{}",
                String::from_utf8_lossy(&data)
            );
        }
        assert!(far > 100, "{far} were longer than a block");
    }

    #[test]
    fn text_ends_at_what_is_not_plain() {
        for before in 0..70 {
            for (stop, plain) in [
                ("\"", false),
                ("\\", false),
                ("\n", false),
                ("\u{1f}", false),
                (" ", true),
                ("é", true),
            ] {
                let text = format!("{}{stop}{}\"", "x".repeat(before), "y".repeat(20));
                let expected = if plain { text.len() - 1 } else { before };
                assert_eq!(text_end(text.as_bytes(), 0), expected, "{text:?}");
            }
        }
        assert_eq!(text_end(b"abc", 0), 3);
        assert_eq!(string_end(b"abc", 0), None);
        assert_eq!(string_end(br#"a\"b\\"c"#, 0), Some(7));
        assert_eq!(string_end(br#"a\""#, 0), None);
    }
}
