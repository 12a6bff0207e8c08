//! The forms that a watch's frames can be asked for in.

use std::sync::Arc;

use super::event::Type;
use crate::wire;

/// What a watcher wants its frames in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The stored JSON: nothing is made.
    Json,
    /// Protobuf of the type with this key, length-delimited.
    Protobuf(Arc<str>),
    /// The metadata alone, of meta.k8s.io in this version.
    Partial {
        /// "v1" or "v1beta1".
        version: Arc<str>,
        /// In protobuf rather than JSON.
        protobuf: bool,
    },
}

/// The wire's keys of the types that frames hold besides objects.
const STATUS: &str = "meta/v1.Status";
const PARTIAL: &str = "meta/v1.PartialObjectMetadata";

impl Form {
    /// A frame: what happened and the object. Of an object that cannot be written in this form the frame is an ERROR
    /// with the reason, as upstream's.
    pub fn render(&self, kind: Type, value: &[u8]) -> Vec<u8> {
        let made = match self {
            Form::Json => Ok(json(kind, value)),
            Form::Protobuf(key) => {
                let key = if kind == Type::Error { STATUS } else { key };
                wire::watch_frame_protobuf(kind.name(), key, value)
            }
            Form::Partial { version, protobuf } => self.partial(kind, value, version, *protobuf),
        };
        made.unwrap_or_else(|error| self.failed(&error.0))
    }

    fn partial(
        &self,
        kind: Type,
        value: &[u8],
        version: &str,
        protobuf: bool,
    ) -> wire::Result<Vec<u8>> {
        let (key, object) = if kind == Type::Error {
            (STATUS, value.to_vec())
        } else {
            let metadata = wire::metadata_of(value)?;
            let mut object = format!(
                r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}","metadata":"#
            )
            .into_bytes();
            object.extend_from_slice(metadata);
            object.push(b'}');
            (PARTIAL, object)
        };
        if protobuf {
            wire::watch_frame_protobuf(kind.name(), key, &object)
        } else {
            Ok(json(kind, &object))
        }
    }

    fn failed(&self, message: &str) -> Vec<u8> {
        let message = serde_json::Value::from(message);
        let status = format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":{message},"reason":"InternalError","code":500}}"#
        );
        match self {
            Form::Json
            | Form::Partial {
                protobuf: false, ..
            } => json(Type::Error, status.as_bytes()),
            Form::Protobuf(_) | Form::Partial { .. } => {
                wire::watch_frame_protobuf(Type::Error.name(), STATUS, status.as_bytes())
                    .unwrap_or_default()
            }
        }
    }
}

fn json(kind: Type, value: &[u8]) -> Vec<u8> {
    [kind.frame_start(), value, super::event::FRAME_END].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VALUE: &[u8] =
        br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}}"#;

    #[test]
    fn metadata_alone() {
        let form = Form::Partial {
            version: "v1".into(),
            protobuf: false,
        };
        assert_eq!(
            String::from_utf8(form.render(Type::Added, VALUE)).unwrap(),
            "{\"type\":\"ADDED\",\"object\":{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\
             \"metadata\":{\"name\":\"a\"}}}\n"
        );
    }

    #[test]
    fn protobuf_frames_are_delimited() {
        for form in [
            Form::Protobuf("core/v1.ConfigMap".into()),
            Form::Partial {
                version: "v1".into(),
                protobuf: true,
            },
        ] {
            let frame = form.render(Type::Modified, VALUE);
            let (length, rest) = frame.split_at(4);
            assert_eq!(
                u32::from_be_bytes(length.try_into().unwrap()) as usize,
                rest.len()
            );
            assert!(rest.windows(8).any(|part| part == b"MODIFIED"));
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let form = Form::Protobuf("example.com/v1.Widget".into());
        let frame = form.render(Type::Added, VALUE);
        assert!(frame.windows(5).any(|part| part == b"ERROR"));
    }
}
