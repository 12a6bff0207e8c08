//! `wire`: request bodies of any media type to canonical JSON, and back to protobuf, by one table of all types.

pub mod apply;
mod cut;
mod decode;
mod describe;
mod duration;
pub(crate) mod error;
mod from_proto;
mod go;
mod merge;
mod patched;
mod peek;
mod plain;
mod proto;
mod quantity;
pub(crate) mod scan;
mod shape;
mod strategic;
pub mod table;
mod text;
mod time;
mod to_proto;
pub(crate) mod write;
mod yaml;

pub use decode::{Decoded, decode as decode_json};
pub use describe::describe;
pub use error::{Result, WireError};
pub use merge::json_merge;
pub use patched::{Merge, Patched, patched};
pub use peek::{metadata_of, peek_json};
pub use shape::{pod_cut, pod_shape};

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

impl Media {
    /// By its short name: json, yaml, protobuf.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "yaml" => Some(Self::Yaml),
            "protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }
}

/// Reads a body as the type with this key, built in or a custom resource's; one that nobody knows keeps everything.
pub fn decode(key: &str, media: Media, body: &[u8]) -> Result<Decoded> {
    let kind = table::find(key);
    if kind.is_none()
        && let Some(schema) = crate::schema::find(key)
    {
        return schema.decode(media, body);
    }
    decode_as(kind, media, body)
}

/// Reads a body of no built-in type: everything is kept, in one form.
pub(crate) fn decode_untyped(media: Media, body: &[u8]) -> Result<Decoded> {
    decode_as(None, media, body)
}

fn decode_as(kind: Option<table::TypeId>, media: Media, body: &[u8]) -> Result<Decoded> {
    match media {
        Media::Json => decode_json(kind, body),
        Media::Yaml => {
            let (json, duplicate) = yaml::to_json(body)?;
            let mut decoded = decode_json(kind, &json)?;
            decoded.duplicate.splice(..0, duplicate);
            Ok(decoded)
        }
        Media::Protobuf => match kind {
            Some(kind) => from_proto::decode(kind, body),
            None => {
                error::fail("protobuf is only spoken for built-in types: send application/json")
            }
        },
    }
}

/// The type with this key, or why protobuf cannot be written for it.
fn known(key: &str) -> Result<table::TypeId> {
    match table::find(key) {
        Some(kind) => Ok(kind),
        None => error::fail(format!(
            "object {key:?} does not implement the protobuf marshalling interface"
        )),
    }
}

/// The object after a strategic merge patch; read it with [`decode`] before it is stored.
pub fn strategic_merge(key: &str, current: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    match table::find(key) {
        Some(kind) => strategic::strategic_merge(kind, current, patch),
        None => error::fail("strategic merge patch format is not supported"),
    }
}

/// Canonical JSON to an enveloped protobuf body.
pub fn encode_protobuf(key: &str, json: &[u8]) -> Result<Vec<u8>> {
    to_proto::encode(known(key)?, json)
}

/// A list in protobuf: `list` is the list's JSON without items, `items` the JSON of each object.
pub fn encode_protobuf_list(
    list_key: &str,
    item_key: &str,
    list: &[u8],
    items: &[&[u8]],
) -> Result<Vec<u8>> {
    to_proto::encode_list(known(list_key)?, known(item_key)?, list, items)
}

/// A frame of a protobuf watch.
pub fn watch_frame_protobuf(event: &str, key: &str, json: &[u8]) -> Result<Vec<u8>> {
    to_proto::watch_frame(event, known(key)?, json)
}

/// A body as JSON, as it stands: nothing is checked against a type, nothing is filled in.
pub fn to_json(media: Media, body: &[u8]) -> Result<Vec<u8>> {
    match media {
        Media::Json => Ok(body.to_vec()),
        Media::Yaml => Ok(yaml::to_json(body)?.0),
        Media::Protobuf => error::fail("protobuf has no JSON without a type"),
    }
}

/// The `apiVersion` and `kind` of a body; empty where they are not given.
pub fn peek(media: Media, body: &[u8]) -> Result<(String, String)> {
    match media {
        Media::Json => peek_json(body),
        Media::Yaml => peek_json(&yaml::to_json(body)?.0),
        Media::Protobuf => {
            let envelope = proto::open(body)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok((text(envelope.api_version), text(envelope.kind)))
        }
    }
}
