//! Labels of pods and namespaces, and the selectors over them (meta/v1 LabelSelector).

use super::Malformed;
use super::object::{self, Map, Text};

/// Labels, sorted by key.
pub type Labels = Box<[(Box<str>, Box<str>)]>;

/// Reads labels.
pub fn labels_of(map: &Map<Text>) -> Labels {
    let mut labels: Vec<(Box<str>, Box<str>)> = map
        .0
        .iter()
        .map(|(k, v)| ((**k).into(), (**v).into()))
        .collect();
    labels.sort_unstable();
    labels.into()
}

/// The value of `key`.
pub fn value_of<'l>(labels: &'l Labels, key: &str) -> Option<&'l str> {
    let at = labels.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
    Some(&labels[at].1)
}

/// What labels must hold.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub enum Selector {
    /// No labels do: the selector is not given.
    #[default]
    Nothing,
    /// All of these; with none, every labels do.
    All(Vec<Requirement>),
}

/// One requirement of a selector.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Operator {
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    Exists,
    DoesNotExist,
}

impl Requirement {
    /// `key` has exactly this value.
    pub fn equal(key: &str, value: &str) -> Self {
        Self {
            key: key.into(),
            operator: Operator::In([value.into()].into()),
        }
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = value_of(labels, &self.key);
        let among =
            |values: &[Box<str>]| value.is_some_and(|value| values.iter().any(|v| **v == *value));
        match &self.operator {
            Operator::In(values) => among(values),
            Operator::NotIn(values) => !among(values),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl Selector {
    /// Reads a selector; the error starts with `path`.
    pub fn of(selector: Option<&object::LabelSelector>, path: &str) -> Result<Self, Malformed> {
        let Some(selector) = selector else {
            return Ok(Self::Nothing);
        };
        let mut all: Vec<_> = selector
            .match_labels
            .0
            .iter()
            .map(|(k, v)| Requirement::equal(k, v))
            .collect();
        for (index, expression) in selector.match_expressions.iter().enumerate() {
            let values: Box<[Box<str>]> = expression
                .values
                .iter()
                .map(|value| (**value).into())
                .collect();
            let operator = match &*expression.operator {
                "In" if !values.is_empty() => Operator::In(values),
                "NotIn" if !values.is_empty() => Operator::NotIn(values),
                "Exists" if values.is_empty() => Operator::Exists,
                "DoesNotExist" if values.is_empty() => Operator::DoesNotExist,
                "In" | "NotIn" => {
                    return Err(Malformed(format!(
                        "{path}.matchExpressions[{index}].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
                    )));
                }
                "Exists" | "DoesNotExist" => {
                    return Err(Malformed(format!(
                        "{path}.matchExpressions[{index}].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    )));
                }
                other => {
                    return Err(Malformed(format!(
                        "{path}.matchExpressions[{index}].operator: Invalid value: {other:?}: not a valid selector operator"
                    )));
                }
            };
            all.push(Requirement {
                key: (*expression.key).into(),
                operator,
            });
        }
        Ok(Self::All(all))
    }

    /// Adds a requirement; what matches nothing goes on to do so.
    pub fn and(&mut self, requirement: Requirement) {
        if let Self::All(all) = self {
            all.push(requirement);
        }
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(all) if all.is_empty())
    }

    /// Whether `labels` are what it asks for.
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Nothing => false,
            Self::All(all) => all.iter().all(|requirement| requirement.matches(labels)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sched::object::decode;

    fn matches(selector: &str) -> bool {
        let labels = labels_of(&decode(br#"{"app":"web","tier":"front"}"#).unwrap());
        Selector::of(Some(&decode(selector.as_bytes()).unwrap()), "s")
            .unwrap()
            .matches(&labels)
    }

    #[test]
    fn every_operator() {
        let one = |key: &str, operator: &str, values: &str| {
            let expression =
                format!(r#"{{"key":"{key}","operator":"{operator}","values":{values}}}"#);
            matches(&format!(r#"{{"matchExpressions":[{expression}]}}"#))
        };
        assert!(matches("{}"));
        assert!(matches(r#"{"matchLabels":{"app":"web"}}"#));
        assert!(!matches(r#"{"matchLabels":{"app":"web","tier":"back"}}"#));
        assert!(one("app", "In", r#"["db","web"]"#) && !one("x", "In", r#"["web"]"#));
        assert!(one("x", "NotIn", r#"["web"]"#) && !one("app", "NotIn", r#"["web"]"#));
        assert!(one("app", "Exists", "[]") && !one("x", "Exists", "[]"));
        assert!(one("x", "DoesNotExist", "[]") && !one("app", "DoesNotExist", "[]"));
        assert!(!Selector::of(None, "s").unwrap().matches(&Labels::default()));
    }

    #[test]
    fn malformed() {
        for expression in [
            r#"{"key":"a","operator":"In"}"#,
            r#"{"key":"a","operator":"Exists","values":["b"]}"#,
            r#"{"key":"a","operator":"Gt","values":["1"]}"#,
        ] {
            let selector = format!(r#"{{"matchExpressions":[{expression}]}}"#);
            assert!(Selector::of(Some(&decode(selector.as_bytes()).unwrap()), "s").is_err());
        }
    }
}
