//! URLs and their parts.

use crate::cel::value::Value;

pub(super) fn is_url(text: &str) -> bool {
    crate::schema::valid_format("uri", text)
}

/// Scheme, authority, path and query of a URL.
fn url_parts(text: &str) -> (&str, &str, &str, &str) {
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let query = query.split('#').next().unwrap_or("");
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let at = rest.find('/').unwrap_or(rest.len());
            (scheme, &rest[..at], &rest[at..], query)
        }
        None => ("", "", text, query),
    }
}

pub(super) fn url_part(name: &str, text: &str) -> String {
    let (scheme, authority, path, _) = url_parts(text);
    let host = authority.rsplit('@').next().unwrap_or("");
    let (hostname, port) = match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => (&host[..at], &host[at + 1..]),
        _ => (host, ""),
    };
    match name {
        "getScheme" => scheme,
        "getHost" => host,
        "getHostname" => hostname.trim_start_matches('[').trim_end_matches(']'),
        "getPort" => port,
        _ => path,
    }
    .to_owned()
}

pub(super) fn query<'v>(text: &str) -> Value<'v> {
    let mut out: Vec<(Value<'v>, Vec<Value<'v>>)> = Vec::new();
    for pair in url_parts(text).3.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (Value::text(unescaped(name)), Value::text(unescaped(value)));
        match out.iter_mut().find(|(known, _)| known.same(&name)) {
            Some((_, values)) => values.push(value),
            None => out.push((name, vec![value])),
        }
    }
    Value::Map(
        out.into_iter()
            .map(|(k, v)| (k, Value::list(v)))
            .collect::<Vec<_>>()
            .into(),
    )
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let code = text
            .get(i + 1..i + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[i], code) {
            (b'%', Some(code)) => {
                out.push(code);
                i += 2;
            }
            (b'+', _) => out.push(b' '),
            (c, _) => out.push(c),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
