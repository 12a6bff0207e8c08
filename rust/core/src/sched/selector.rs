//! spec.nodeSelector and node affinity, as component-helpers' `nodeaffinity` matches them.

use super::Malformed;
use super::object;
use super::symbols::{Symbol, Symbols};

/// A node's labels, sorted by key.
pub type Labels = Box<[(Symbol, Symbol)]>;

/// The value of `key` in sorted `labels`.
pub fn label(labels: &[(Symbol, Symbol)], key: Symbol) -> Option<Symbol> {
    labels
        .binary_search_by_key(&key, |&(k, _)| k)
        .ok()
        .map(|at| labels[at].1)
}

/// What a selector sees of a node.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    /// Its name.
    pub name: Symbol,
    /// Its labels, sorted by key.
    pub labels: &'a [(Symbol, Symbol)],
    /// The texts behind the symbols.
    pub symbols: &'a Symbols,
}

/// spec.nodeSelector and the required terms of the node affinity, both of which must hold.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelector {
    labels: Labels,
    terms: Option<Box<[Term]>>,
    /// Which nodes the terms name by metadata.name.
    pub named: Named,
}

/// The nodes that the required terms name by `metadata.name`, when every term does.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub enum Named {
    /// Some term names none: every node is eligible.
    #[default]
    Any,
    /// Only these.
    Only(Box<[Symbol]>),
    /// Each term contradicts itself: no node can match.
    Conflict,
}

impl NodeSelector {
    /// Reads both. A term that is malformed matches no node, as upstream has it.
    pub fn of(
        labels: &object::Map<object::Text>,
        required: Option<&object::NodeSelector>,
        symbols: &mut Symbols,
    ) -> Self {
        let mut sorted: Vec<_> = labels
            .0
            .iter()
            .map(|(k, v)| (symbols.intern(k), symbols.intern(v)))
            .collect();
        sorted.sort_unstable();
        let terms = required.map(|r| &r.node_selector_terms[..]);
        Self {
            labels: sorted.into(),
            terms: terms.map(|terms| terms.iter().filter_map(|t| Term::of(t, symbols)).collect()),
            named: Named::of(terms.unwrap_or_default(), symbols),
        }
    }

    /// Whether there is anything to match.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.terms.is_none()
    }

    /// Whether `node` is what the pod asks for.
    pub fn matches(&self, node: NodeView) -> bool {
        self.labels
            .iter()
            .all(|&(key, value)| label(node.labels, key) == Some(value))
            && self
                .terms
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }
}

impl Named {
    fn of(terms: &[object::SelectorTerm], symbols: &mut Symbols) -> Self {
        if terms.is_empty() {
            return Self::Any;
        }
        let mut all = Vec::new();
        for term in terms {
            let mut names: Option<Vec<Symbol>> = None;
            for field in &term.match_fields {
                if &*field.key == NAME_FIELD && &*field.operator == "In" {
                    let values: Vec<_> = field.values.iter().map(|v| symbols.intern(v)).collect();
                    names = Some(match names {
                        None => values,
                        Some(names) => names
                            .into_iter()
                            .filter(|name| values.contains(name))
                            .collect(),
                    });
                }
            }
            match names {
                None => return Self::Any,
                Some(names) => all.extend(names),
            }
        }
        all.sort_unstable();
        all.dedup();
        if all.is_empty() {
            Self::Conflict
        } else {
            Self::Only(all.into())
        }
    }
}

/// The preferred terms of the node affinity with their weights.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct PreferredTerms {
    terms: Box<[(i32, Term)]>,
}

impl PreferredTerms {
    /// Reads them. Unlike in required terms, a malformed one is an error for the pod.
    pub fn of(terms: &[object::PreferredTerm], symbols: &mut Symbols) -> Result<Self, Malformed> {
        let mut read = Vec::new();
        for (index, preferred) in terms.iter().enumerate() {
            if preferred.weight == 0 {
                continue;
            }
            let Some(term) = Term::of(&preferred.preference, symbols) else {
                continue;
            };
            if let Some(error) = &term.malformed {
                let path =
                    "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution";
                return Err(Malformed(format!("{path}[{index}].preference.{error}")));
            }
            read.push((preferred.weight, term));
        }
        Ok(Self { terms: read.into() })
    }

    /// Whether the pod prefers nothing.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The sum of the weights of the terms that `node` matches.
    pub fn score(&self, node: NodeView) -> i32 {
        self.terms
            .iter()
            .filter(|(_, term)| term.matches(node))
            .map(|&(weight, _)| weight)
            .sum()
    }
}

const NAME_FIELD: &str = "metadata.name";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Term {
    labels: Box<[Requirement]>,
    fields: Box<[FieldRequirement]>,
    malformed: Option<Box<str>>,
}

impl Term {
    /// None for an empty term, which matches nothing and is dropped.
    fn of(term: &object::SelectorTerm, symbols: &mut Symbols) -> Option<Self> {
        if term.match_expressions.is_empty() && term.match_fields.is_empty() {
            return None;
        }
        let mut malformed = None;
        let mut keep = |list: &str, index: usize, error: String| {
            malformed.get_or_insert_with(|| format!("{list}[{index}].{error}").into());
        };
        let mut labels = Vec::new();
        for (index, requirement) in term.match_expressions.iter().enumerate() {
            match Requirement::of(requirement, symbols) {
                Ok(requirement) => labels.push(requirement),
                Err(error) => keep("matchExpressions", index, error),
            }
        }
        let mut fields = Vec::new();
        for (index, requirement) in term.match_fields.iter().enumerate() {
            match FieldRequirement::of(requirement, symbols) {
                Ok(requirement) => fields.push(requirement),
                Err(error) => keep("matchFields", index, error),
            }
        }
        Some(Self {
            labels: labels.into(),
            fields: fields.into(),
            malformed,
        })
    }

    fn matches(&self, node: NodeView) -> bool {
        self.malformed.is_none()
            && self
                .labels
                .iter()
                .all(|requirement| requirement.matches(node))
            && self
                .fields
                .iter()
                .all(|requirement| requirement.matches(node.name))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Requirement {
    key: Symbol,
    operator: Operator,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Operator {
    In(Box<[Symbol]>),
    NotIn(Box<[Symbol]>),
    Exists,
    DoesNotExist,
    Gt(i64),
    Lt(i64),
}

impl Requirement {
    fn of(requirement: &object::Requirement, symbols: &mut Symbols) -> Result<Self, String> {
        let values = &requirement.values;
        let operator = match &*requirement.operator {
            "In" | "NotIn" if values.is_empty() => {
                return Err("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".into());
            }
            "In" => Operator::In(values.iter().map(|v| symbols.intern(v)).collect()),
            "NotIn" => Operator::NotIn(values.iter().map(|v| symbols.intern(v)).collect()),
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                return Err(
                    "values: Invalid value: values set must be empty for exists and does not exist"
                        .into(),
                );
            }
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" | "Lt" if values.len() != 1 => {
                return Err("values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required".into());
            }
            "Gt" | "Lt" => {
                let bound = values[0].parse().map_err(|_| {
                    format!("values[0]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer", &*values[0])
                })?;
                if &*requirement.operator == "Gt" {
                    Operator::Gt(bound)
                } else {
                    Operator::Lt(bound)
                }
            }
            other => {
                return Err(format!(
                    "operator: Unsupported value: {other:?}: supported values: \"DoesNotExist\", \"Exists\", \"Gt\", \"In\", \"Lt\", \"NotIn\""
                ));
            }
        };
        Ok(Self {
            key: symbols.intern(&requirement.key),
            operator,
        })
    }

    fn matches(&self, node: NodeView) -> bool {
        let value = label(node.labels, self.key);
        let number = || value.and_then(|v| node.symbols.text(v).parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => value.is_some_and(|v| values.contains(&v)),
            Operator::NotIn(values) => value.is_none_or(|v| !values.contains(&v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt(bound) => number().is_some_and(|n| n > *bound),
            Operator::Lt(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldRequirement {
    /// Only metadata.name has a value; every other field is empty.
    named: bool,
    value: Symbol,
    equal: bool,
}

impl FieldRequirement {
    fn of(requirement: &object::Requirement, symbols: &mut Symbols) -> Result<Self, String> {
        let equal = match &*requirement.operator {
            "In" => true,
            "NotIn" => false,
            other => {
                return Err(format!(
                    "operator: Unsupported value: {other:?}: supported values: \"In\", \"NotIn\""
                ));
            }
        };
        let [value] = &requirement.values[..] else {
            return Err("values: Invalid value: must have one element".into());
        };
        Ok(Self {
            named: &*requirement.key == NAME_FIELD,
            value: symbols.intern(value),
            equal,
        })
    }

    fn matches(&self, name: Symbol) -> bool {
        let actual = if self.named { name } else { Symbol::EMPTY };
        (actual == self.value) == self.equal
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sched::object::decode;

    fn term(json: &str) -> bool {
        let mut symbols = Symbols::default();
        let required = format!(r#"{{"nodeSelectorTerms":[{json}]}}"#);
        let selector = NodeSelector::of(
            &object::Map::default(),
            Some(&decode(required.as_bytes()).unwrap()),
            &mut symbols,
        );
        let mut labels: Vec<_> = [("arch", "arm64"), ("cores", "64"), ("disk", "")]
            .iter()
            .map(|(k, v)| (symbols.intern(k), symbols.intern(v)))
            .collect();
        labels.sort_unstable();
        let name = symbols.intern("n1");
        selector.matches(NodeView {
            name,
            labels: &labels,
            symbols: &symbols,
        })
    }

    fn expression(key: &str, operator: &str, values: &str) -> bool {
        term(&format!(
            r#"{{"matchExpressions":[{{"key":"{key}","operator":"{operator}","values":{values}}}]}}"#
        ))
    }

    #[test]
    fn every_operator() {
        assert!(expression("arch", "In", r#"["amd64","arm64"]"#));
        assert!(!expression("arch", "In", r#"["amd64"]"#));
        assert!(!expression("os", "In", r#"["linux"]"#));
        assert!(expression("os", "NotIn", r#"["linux"]"#));
        assert!(!expression("arch", "NotIn", r#"["arm64"]"#));
        assert!(expression("disk", "Exists", "[]"));
        assert!(expression("os", "DoesNotExist", "[]"));
        assert!(expression("cores", "Gt", r#"["63"]"#));
        assert!(!expression("cores", "Gt", r#"["64"]"#));
        assert!(expression("cores", "Lt", r#"["65"]"#));
        assert!(!expression("arch", "Lt", r#"["65"]"#));
        assert!(!expression("cores", "Gt", r#"["many"]"#));
        assert!(!expression("arch", "Like", r#"["arm64"]"#));
    }

    #[test]
    fn fields_and_empty_terms() {
        let fields = |op: &str, values: &str| {
            term(&format!(
                r#"{{"matchFields":[{{"key":"metadata.name","operator":"{op}","values":{values}}}]}}"#
            ))
        };
        assert!(fields("In", r#"["n1"]"#));
        assert!(!fields("In", r#"["n2"]"#));
        assert!(fields("NotIn", r#"["n2"]"#));
        assert!(!fields("In", r#"["n1","n2"]"#), "two values are malformed");
        assert!(!term("{}"), "an empty term matches nothing");
    }

    #[test]
    fn names_are_intersected_within_a_term_and_joined_between_terms() {
        let mut symbols = Symbols::default();
        let mut named = |json: &str| {
            let selector: object::NodeSelector = decode(json.as_bytes()).unwrap();
            let named = Named::of(&selector.node_selector_terms, &mut symbols);
            match named {
                Named::Any => None,
                Named::Conflict => Some(0),
                Named::Only(names) => Some(names.len()),
            }
        };
        let field = |values: &str| {
            format!(r#"{{"key":"metadata.name","operator":"In","values":[{values}]}}"#)
        };
        let both = format!(
            r#"{{"nodeSelectorTerms":[{{"matchFields":[{}]}},{{"matchFields":[{}]}}]}}"#,
            field("\"a\",\"b\""),
            field("\"c\"")
        );
        assert_eq!(named(&both), Some(3));
        let conflict = format!(
            r#"{{"nodeSelectorTerms":[{{"matchFields":[{},{}]}}]}}"#,
            field("\"a\""),
            field("\"b\"")
        );
        assert_eq!(named(&conflict), Some(0));
        assert_eq!(
            named(
                r#"{"nodeSelectorTerms":[{"matchExpressions":[{"key":"x","operator":"Exists"}]}]}"#
            ),
            None
        );
    }
}
