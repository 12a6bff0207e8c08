//! The one error of this room, in the words Kubernetes' own decoders use.

use std::fmt;

/// Why a body could not be read, as the client should see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError(pub String);

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

/// What this room returns.
pub type Result<T> = std::result::Result<T, WireError>;

/// An error with these words.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(WireError(message.into()))
}
