//! Requests that the front has read itself, and the parts of an answer to one.

use std::io::Write;
use std::sync::Arc;

use super::outbox::Outbox;

/// A header field: its name in lower case, its value.
pub type Field = (Vec<u8>, Vec<u8>);

/// A request. Its answer goes into `outbox`.
#[derive(Debug)]
pub struct Request {
    /// Of the connection (HTTP/1.1) or of the stream (HTTP/2).
    pub outbox: Arc<Outbox>,
    /// The connection's number.
    pub connection: u64,
    /// As sent.
    pub method: String,
    /// Path and query as sent.
    pub target: Vec<u8>,
    /// In the order sent.
    pub headers: Vec<Field>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// More of the body comes as `Input::Data`, up to `Input::Eof`.
    pub more: bool,
    /// How the answer is written.
    pub style: Style,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// HTTP/1.1 text.
    One {
        /// The answer has no body, whatever is said of it.
        head: bool,
    },
    /// Frames of HTTP/2.
    Two,
}

/// The head of an answer in HTTP/1.1, and whether its body is chunked. With `whole`, the body's size where it is known.
pub fn head_of(
    status: u16,
    headers: &[(&[u8], &[u8])],
    whole: Option<usize>,
    close: bool,
) -> (Vec<u8>, bool) {
    let mut sized = matches!(status, 204 | 304);
    let mut out = Vec::with_capacity(256);
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    // Writing to a Vec cannot fail.
    let _ = write!(out, "HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        sized |= name.eq_ignore_ascii_case(b"content-length");
        for part in [name, &b": "[..], value, &b"\r\n"[..]] {
            out.extend_from_slice(part);
        }
    }
    let mut chunked = false;
    match whole {
        _ if sized => {}
        Some(size) => {
            let _ = write!(out, "content-length: {size}\r\n");
        }
        None => {
            chunked = true;
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
    }
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    (out, chunked)
}

/// The head of an answer in HTTP/2, without the fields that only HTTP/1.1 has (RFC 9113, 8.2.2).
pub fn head_of_two(
    status: u16,
    headers: &[(&[u8], &[u8])],
) -> Result<http::Response<()>, http::Error> {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name)?;
        if !CONNECTION_FIELDS.contains(&name.as_str()) {
            builder = builder.header(name, *value);
        }
    }
    builder.body(())
}

const CONNECTION_FIELDS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field may stand in an answer: a name is a token, a value has no line in it.
pub fn is_field(name: &[u8], value: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let text = |byte: &u8| *byte >= b' ' && *byte != 0x7f || *byte == b'\t';
    !name.is_empty() && name.iter().all(token) && value.iter().all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let (head, chunked) = head_of(200, &[(b"a", b"b")], Some(3), false);
        assert_eq!(
            String::from_utf8_lossy(&head),
            "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 3\r\n\r\n"
        );
        assert!(!chunked);
        let (head, chunked) = head_of(410, &[], None, true);
        assert_eq!(
            String::from_utf8_lossy(&head),
            "HTTP/1.1 410 Gone\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        assert!(chunked);
        assert!(!head_of(204, &[], None, false).1);
    }

    #[test]
    fn nothing_splits_an_answer() {
        assert!(is_field(b"x-a", b"text; q=1"));
        for (name, value) in [
            (&b"a b"[..], &b"c"[..]),
            (b"", b"c"),
            (b"a", b"b\r\nc: d"),
            (b"a:", b"b"),
        ] {
            assert!(!is_field(name, value));
        }
    }
}
