//! How much values hold, and what it costs to look at it all.

use crate::cel::types::Type;

/// Of looking at one character.
pub(super) const CHARACTER: f64 = 0.1;
/// How much a value holds: characters, items, entries; one for what is no more than itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub min: u64,
    pub max: u64,
}

impl Size {
    pub(super) const UNKNOWN: Self = Size {
        min: 0,
        max: u64::MAX,
    };

    pub(super) fn fixed(size: u64) -> Self {
        Size {
            min: size,
            max: size,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Size {
            min: self.min.saturating_add(other.min),
            max: self.max.saturating_add(other.max),
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Size {
            min: self.min.saturating_mul(other.min),
            max: self.max.saturating_mul(other.max),
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Size {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// The sizes of what a list or map holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub list: bool,
    pub key: Size,
    pub value: Size,
}

pub(super) fn either(a: Option<Entry>, b: Option<Entry>) -> Option<Entry> {
    let (a, b) = (a?, b?);
    Some(Entry {
        list: a.list,
        key: a.key.or(b.key),
        value: a.value.or(b.value),
    })
}

pub(super) fn scaled(size: u64, factor: f64) -> u64 {
    let cost = (size as f64 * factor).ceil();
    if cost >= u64::MAX as f64 {
        u64::MAX
    } else {
        cost as u64
    }
}

pub(super) fn traversed(size: Size) -> u64 {
    scaled(size.max, CHARACTER)
}

pub(super) fn scalar(kind: &Type<'_>) -> Option<Size> {
    match kind {
        Type::Bool | Type::Int | Type::Uint | Type::Double | Type::Duration | Type::Timestamp => {
            Some(Size::fixed(1))
        }
        Type::Optional(of) => scalar(of),
        _ => None,
    }
}
