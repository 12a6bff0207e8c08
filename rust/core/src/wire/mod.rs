//! `wire`: request bodies of any media type to canonical JSON, and back to protobuf, by one table of all types.

mod decode;
mod error;
mod peek;
mod quantity;
mod scan;
pub mod table;
mod time;
mod write;

pub use decode::{Decoded, decode as decode_json};
pub use error::{Result, WireError};
pub use peek::peek_json;

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

/// Reads a body as the type with this key; a type the table does not have keeps everything.
pub fn decode(key: &str, media: Media, body: &[u8]) -> Result<Decoded> {
    let kind = table::find(key);
    match media {
        Media::Json => decode_json(kind, body),
        Media::Yaml => error::fail("YAML bodies are not read yet: send application/json"),
        Media::Protobuf => error::fail("protobuf bodies are not read yet: send application/json"),
    }
}

/// The `apiVersion` and `kind` of a body; empty where they are not given.
pub fn peek(media: Media, body: &[u8]) -> Result<(String, String)> {
    match media {
        Media::Json => peek_json(body),
        Media::Yaml => error::fail("YAML bodies are not read yet: send application/json"),
        Media::Protobuf => error::fail("protobuf bodies are not read yet: send application/json"),
    }
}
