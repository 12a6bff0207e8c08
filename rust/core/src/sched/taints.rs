//! Taints and tolerations, as core/v1 `Toleration.ToleratesTaint` matches them.

use super::object;
use super::symbols::{Symbol, Symbols};

/// What an untolerated taint does to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It must not be placed there.
    NoSchedule,
    /// It should not be placed there.
    PreferNoSchedule,
    /// It must not be placed there, and is evicted.
    NoExecute,
    /// A word that Kubernetes does not know: no filter looks at it.
    Unknown,
}

impl Effect {
    fn of(text: &str) -> Self {
        match text {
            "NoSchedule" => Self::NoSchedule,
            "PreferNoSchedule" => Self::PreferNoSchedule,
            "NoExecute" => Self::NoExecute,
            _ => Self::Unknown,
        }
    }

    /// Whether an untolerated taint of this effect keeps a pod away.
    pub fn forbids(self) -> bool {
        matches!(self, Self::NoSchedule | Self::NoExecute)
    }
}

/// A taint of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Its key.
    pub key: Symbol,
    /// Its value, often empty.
    pub value: Symbol,
    /// What it does.
    pub effect: Effect,
}

impl Taint {
    /// Reads a taint.
    pub fn of(taint: &object::Taint, symbols: &mut Symbols) -> Self {
        Self {
            key: symbols.intern(&taint.key),
            value: symbols.intern(&taint.value),
            effect: Effect::of(&taint.effect),
        }
    }
}

/// A toleration of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// Empty for every key.
    key: Symbol,
    value: Match,
    /// None for every effect.
    effect: Option<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Match {
    Exists,
    Equal(Symbol),
    /// An operator that is not known. Lt and Gt are behind upstream's TaintTolerationComparisonOperators gate, off
    /// by default in 1.37, and then tolerate nothing either.
    Never,
}

impl Toleration {
    /// Reads a toleration.
    pub fn of(toleration: &object::Toleration, symbols: &mut Symbols) -> Self {
        let value = match &*toleration.operator {
            "" | "Equal" => Match::Equal(symbols.intern(&toleration.value)),
            "Exists" => Match::Exists,
            _ => Match::Never,
        };
        let effect = (!toleration.effect.is_empty()).then(|| Effect::of(&toleration.effect));
        Self {
            key: symbols.intern(&toleration.key),
            value,
            effect,
        }
    }

    /// Whether it tolerates `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key == Symbol::EMPTY || self.key == taint.key)
            && match self.value {
                Match::Exists => true,
                Match::Equal(value) => value == taint.value,
                Match::Never => false,
            }
    }

    /// Whether it can matter for taints of effect PreferNoSchedule.
    pub fn concerns_preference(&self) -> bool {
        matches!(self.effect, None | Some(Effect::PreferNoSchedule))
    }
}

/// Whether any of `tolerations` tolerates `taint`.
pub fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations
        .iter()
        .any(|toleration| toleration.tolerates(taint))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sched::object::decode;

    fn check(toleration: &str, taint: &str) -> bool {
        let mut symbols = Symbols::default();
        let taint = Taint::of(&decode(taint.as_bytes()).unwrap(), &mut symbols);
        Toleration::of(&decode(toleration.as_bytes()).unwrap(), &mut symbols).tolerates(&taint)
    }

    #[test]
    fn tolerates_as_upstream() {
        let taint = r#"{"key":"gpu","value":"a100","effect":"NoSchedule"}"#;
        assert!(check(
            r#"{"key":"gpu","value":"a100","effect":"NoSchedule"}"#,
            taint
        ));
        assert!(check(
            r#"{"key":"gpu","operator":"Equal","value":"a100"}"#,
            taint
        ));
        assert!(check(r#"{"key":"gpu","operator":"Exists"}"#, taint));
        assert!(check(r#"{"operator":"Exists"}"#, taint));
        assert!(!check(r#"{"key":"gpu","value":"h100"}"#, taint));
        assert!(!check(
            r#"{"key":"gpu","operator":"Exists","effect":"NoExecute"}"#,
            taint
        ));
        assert!(!check(
            r#"{"key":"gpu","operator":"Gt","value":"1"}"#,
            taint
        ));
        assert!(!check(r#"{}"#, taint));
    }
}
