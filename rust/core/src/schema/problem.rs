//! What is wrong with a field, as `metav1.StatusCause` tells it.

use std::fmt::Write as _;

/// The kinds of field errors, by the names that a Status has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cause {
    Required,
    Invalid,
    TypeInvalid,
    Forbidden,
    NotSupported,
    Duplicate,
    TooLong,
    TooMany,
}

impl Cause {
    /// As `StatusCause.reason` has it.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Required => "FieldValueRequired",
            Cause::Invalid => "FieldValueInvalid",
            Cause::TypeInvalid => "FieldValueTypeInvalid",
            Cause::Forbidden => "FieldValueForbidden",
            Cause::NotSupported => "FieldValueNotSupported",
            Cause::Duplicate => "FieldValueDuplicate",
            Cause::TooLong => "FieldValueTooLong",
            Cause::TooMany => "FieldValueTooMany",
        }
    }
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Its kind.
    pub cause: Cause,
    /// `spec.replicas`; `<nil>` for what no field is named of.
    pub path: String,
    /// The value as JSON; empty where there is none.
    pub value: Vec<u8>,
    /// The sentence behind it.
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(
        cause: Cause,
        path: impl Into<String>,
        value: impl Into<Vec<u8>>,
        detail: impl Into<String>,
    ) -> Self {
        Problem {
            cause,
            path: path.into(),
            value: value.into(),
            detail: detail.into(),
        }
    }

    pub(crate) fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Cause::Required, path, Vec::new(), detail)
    }

    pub(crate) fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Cause::Forbidden, path, Vec::new(), detail)
    }

    pub(crate) fn invalid(
        path: impl Into<String>,
        value: impl Into<Vec<u8>>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(Cause::Invalid, path, value, detail)
    }

    /// A value outside a list of what is allowed.
    pub(crate) fn not_supported(
        path: impl Into<String>,
        value: impl Into<Vec<u8>>,
        allowed: &[&str],
    ) -> Self {
        let mut detail = String::from("supported values: ");
        for (i, one) in allowed.iter().enumerate() {
            let _ = write!(detail, "{}{one:?}", if i > 0 { ", " } else { "" });
        }
        Self::new(Cause::NotSupported, path, value, detail)
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    crate::wire::write::string(&mut out, text.as_bytes());
    out
}
