//! From the API's JSON to the few facts that forwarding needs. Unknown fields are skipped without being kept.

mod service;
mod slice;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer};

pub use service::{PortSpec, ServiceSpec, service};
pub use slice::{Node, SliceSpec, slice};

/// Why an object could not be read at all. Single bad addresses are reported as warnings instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Not JSON, or a field of another type.
    Json(String),
    /// A field without which the object means nothing.
    Missing(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(message) => write!(f, "cannot decode the object: {message}"),
            Self::Missing(field) => write!(f, "{field}: Required value"),
        }
    }
}

impl std::error::Error for Error {}

/// A decoded object: its `namespace/name`, what it says, and what in it was passed over.
pub struct Decoded<T> {
    pub key: String,
    pub spec: T,
    pub warnings: Vec<String>,
}

fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// A text that borrows from the input unless it holds escapes (serde borrows a bare `Cow` only as a direct field).
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

type Text<'a> = Option<Str<'a>>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Labels<'a> {
    #[serde(rename = "kubernetes.io/service-name", borrow)]
    service: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Annotations<'a> {
    #[serde(rename = "endpoints.kubernetes.io/last-change-trigger-time", borrow)]
    triggered: Text<'a>,
    #[serde(rename = "orlop/ipvs-scheduler", borrow)]
    scheduler: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    namespace: Text<'a>,
    #[serde(borrow, deserialize_with = "null_default")]
    labels: Labels<'a>,
    #[serde(borrow, deserialize_with = "null_default")]
    annotations: Annotations<'a>,
}

impl Meta<'_> {
    fn key(&self) -> Result<String, Error> {
        let name = self
            .name
            .as_deref()
            .filter(|n| !n.is_empty())
            .ok_or(Error::Missing("metadata.name"))?;
        Ok(format!("{}/{name}", self.namespace()))
    }

    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}
