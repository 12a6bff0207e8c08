//! The protobuf wire format and Kubernetes' envelope around a message.

use super::error::{Result, fail};

/// What every protobuf body begins with.
pub(crate) const PREFIX: &[u8] = b"k8s\0";

/// The value of one field on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

impl Raw<'_> {
    /// The number the wire format has for it.
    pub fn wire_type(&self) -> u8 {
        match self {
            Raw::Varint(_) => 0,
            Raw::Fixed64(_) => 1,
            Raw::Bytes(_) => 2,
            Raw::Fixed32 => 5,
        }
    }
}

/// Reads fields one after the other.
pub(crate) struct Reader<'a> {
    pub data: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for (i, &byte) in self.data.iter().enumerate() {
            if i == 10 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * i as u32).min(63);
            if byte < 0x80 {
                self.data = &self.data[i + 1..];
                return Ok(value);
            }
        }
        if self.data.len() >= 10 {
            fail("proto: integer overflow")
        } else {
            fail("unexpected EOF")
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.data.split_at_checked(n) {
            Some((taken, rest)) => {
                self.data = rest;
                Ok(taken)
            }
            None => fail("unexpected EOF"),
        }
    }

    /// The next field's number and value; groups are stepped over. None at the end.
    pub fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>> {
        let mut group: Vec<u64> = Vec::new();
        loop {
            if self.data.is_empty() {
                return if group.is_empty() {
                    Ok(None)
                } else {
                    fail("unexpected EOF")
                };
            }
            let key = self.varint()?;
            let number = key >> 3;
            if number == 0 || number > u64::from(u32::MAX >> 3) {
                return fail(format!(
                    "proto: illegal tag {number} (wire type {})",
                    key & 7
                ));
            }
            let raw = match key & 7 {
                0 => Raw::Varint(self.varint()?),
                1 => {
                    let mut word = [0; 8];
                    word.copy_from_slice(self.take(8)?);
                    Raw::Fixed64(u64::from_le_bytes(word))
                }
                2 => {
                    let length = self.varint()?;
                    let Ok(length) = usize::try_from(length) else {
                        return fail("proto: negative length found during unmarshaling");
                    };
                    Raw::Bytes(self.take(length)?)
                }
                3 => {
                    group.push(number);
                    continue;
                }
                4 => {
                    if group.pop().is_none() {
                        return fail("proto: wiretype end group for non-group");
                    }
                    continue;
                }
                5 => {
                    self.take(4)?;
                    Raw::Fixed32
                }
                other => return fail(format!("proto: illegal wireType {other}")),
            };
            if group.is_empty() {
                return Ok(Some((number as u32, raw)));
            }
        }
    }
}

/// An enveloped message.
pub(crate) struct Envelope<'a> {
    pub api_version: &'a [u8],
    pub kind: &'a [u8],
    pub raw: &'a [u8],
}

/// Opens `k8s\0` and the `runtime.Unknown` behind it.
pub(crate) fn open(body: &[u8]) -> Result<Envelope<'_>> {
    if body.is_empty() {
        return fail("empty data");
    }
    let Some(data) = body.strip_prefix(PREFIX) else {
        return fail(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        );
    };
    if data.is_empty() {
        return fail("empty body");
    }
    let mut envelope = Envelope {
        api_version: b"",
        kind: b"",
        raw: b"",
    };
    let mut reader = Reader { data };
    while let Some((number, raw)) = reader.next()? {
        match (number, raw) {
            (1, Raw::Bytes(meta)) => {
                let mut meta = Reader { data: meta };
                while let Some((number, raw)) = meta.next()? {
                    match (number, raw) {
                        (1, Raw::Bytes(value)) => envelope.api_version = value,
                        (2, Raw::Bytes(value)) => envelope.kind = value,
                        _ => {}
                    }
                }
            }
            (2, Raw::Bytes(message)) => envelope.raw = message,
            _ => {}
        }
    }
    Ok(envelope)
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field's key.
pub(crate) fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number << 3 | wire_type));
}

/// Appends a field of bytes, a string or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_key(out, number, 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A varint's length.
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// What stands in `out` since `start` becomes the value of a field of bytes.
pub(crate) fn wrap(out: &mut Vec<u8>, start: usize, number: u32) {
    let length = out.len() - start;
    let head = varint_len(u64::from(number << 3)) + varint_len(length as u64);
    let mut key = Vec::with_capacity(head);
    put_key(&mut key, number, 2);
    put_varint(&mut key, length as u64);
    out.splice(start..start, key);
}

/// Puts a message into its envelope.
pub(crate) fn envelope(api_version: &[u8], kind: &[u8], raw: &[u8]) -> Vec<u8> {
    let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 8);
    put_bytes(&mut meta, 1, api_version);
    put_bytes(&mut meta, 2, kind);
    let mut out = Vec::with_capacity(raw.len() + meta.len() + 24);
    out.extend_from_slice(PREFIX);
    put_bytes(&mut out, 1, &meta);
    put_bytes(&mut out, 2, raw);
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn varints_there_and_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(Reader { data: &out }.varint().unwrap(), value);
        }
        assert!(Reader { data: &[0xff; 11] }.varint().is_err());
    }

    #[test]
    fn an_envelope_opens_again() {
        let body = envelope(b"v1", b"Pod", b"\x0a\x00");
        let got = open(&body).unwrap();
        assert_eq!(
            (got.api_version, got.kind, got.raw),
            (&b"v1"[..], &b"Pod"[..], &b"\x0a\x00"[..])
        );
        for end in 0..body.len() {
            let _ = open(&body[..end]);
        }
    }

    #[test]
    fn groups_are_stepped_over() {
        let mut reader = Reader {
            data: &[0x0b, 0x10, 0x01, 0x0c, 0x18, 0x07],
        };
        let (number, raw) = reader.next().unwrap().unwrap();
        assert_eq!((number, raw.wire_type()), (3, 0));
    }
}
