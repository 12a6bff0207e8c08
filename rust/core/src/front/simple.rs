//! The requests of HTTP/1.1 that the front reads itself: those that leave nothing open.
//!
//! A whole request within `LIMIT` bytes, its body of a known length, no upgrade, no expectation. Every other one, and
//! everything after it on its connection, is read by the app's own protocol.

use super::request::Field;

/// Bytes of a request, head and body.
pub const LIMIT: usize = 64 * 1024;
/// Header fields of a request.
const FIELDS: usize = 64;

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of something.
    Partial,
    /// A request.
    Simple(Simple),
    /// Something for the app's protocol.
    Other,
}

/// A request that has been read.
#[derive(Debug, PartialEq, Eq)]
pub struct Simple {
    /// As sent.
    pub method: String,
    /// As sent.
    pub target: Vec<u8>,
    /// Names in lower case.
    pub headers: Vec<Field>,
    /// Where the body stands.
    pub body: std::ops::Range<usize>,
    /// The client ends the connection after it.
    pub close: bool,
}

/// Reads what `data` begins with.
pub fn parse(data: &[u8]) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let size = match request.parse(data) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) if data.len() < LIMIT => return Parsed::Partial,
        _ => return Parsed::Other,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
    else {
        return Parsed::Other;
    };
    if !target.starts_with('/') || method == "CONNECT" {
        return Parsed::Other;
    }
    let mut length = None;
    let mut close = false;
    let mut headers = Vec::with_capacity(request.headers.len());
    for field in request.headers.iter() {
        let name = field.name.to_ascii_lowercase();
        match name.as_str() {
            "content-length" => {
                let digits = std::str::from_utf8(field.value)
                    .ok()
                    .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
                let Some(value) = digits.and_then(|text| text.parse::<usize>().ok()) else {
                    return Parsed::Other;
                };
                if length.replace(value).is_some() {
                    return Parsed::Other;
                }
            }
            "transfer-encoding" | "upgrade" | "expect" => return Parsed::Other,
            "connection" => {
                if field.value.eq_ignore_ascii_case(b"close") {
                    close = true;
                } else if !field.value.eq_ignore_ascii_case(b"keep-alive") {
                    return Parsed::Other;
                }
            }
            _ => {}
        }
        headers.push((name.into_bytes(), field.value.to_vec()));
    }
    let end = size.saturating_add(length.unwrap_or(0));
    if end > LIMIT {
        Parsed::Other
    } else if data.len() < end {
        Parsed::Partial
    } else {
        Parsed::Simple(Simple {
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            headers,
            body: size..end,
            close,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_with_a_body() {
        let data = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET ";
        for cut in 0..data.len() - 4 {
            assert_eq!(parse(&data[..cut]), Parsed::Partial, "{cut}");
        }
        let Parsed::Simple(simple) = parse(data) else {
            panic!("not read");
        };
        assert_eq!(
            (simple.method.as_str(), simple.target.as_slice()),
            ("POST", &b"/a?b"[..])
        );
        assert_eq!(simple.headers[0], (b"host".to_vec(), b"x".to_vec()));
        assert_eq!(&data[simple.body.clone()], b"abc");
        assert_eq!(&data[simple.body.end..], b"GET ");
    }

    #[test]
    fn what_leaves_something_open_is_not_read_here() {
        for head in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: upgrade, close\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "\0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
        ] {
            assert_eq!(parse(head.as_bytes()), Parsed::Other, "{head}");
        }
        let endless = [b"GET / HTTP/1.1\r\na: ".to_vec(), vec![b'a'; LIMIT]].concat();
        assert_eq!(parse(&endless), Parsed::Other);
    }
}
