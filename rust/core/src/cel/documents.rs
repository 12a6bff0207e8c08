//! Expressions over whole documents: what admission policies and match conditions ask of a write.

use super::authorizer::{AUTHORIZER, Decision, Question};
use super::eval::{Surroundings, evaluate_in};
use super::functions::shown;
use super::types::Type;
use super::{Failure, Meter, Program, REQUEST_MAX, Value, check};
use crate::schema::Schema;
use crate::wire::apply::tree::Node;
use crate::wire::write;
use std::collections::HashMap;
use std::rc::Rc;

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// Expressions of one policy, and the variables that they share.
#[derive(Debug)]
pub struct Expressions {
    variables: Vec<(String, Result<Program, String>)>,
    all: Vec<Result<Program, String>>,
}

/// What expressions speak of, read once for all of them.
#[derive(Debug)]
pub struct Document(Node<'static>);

impl Document {
    /// # Errors
    /// For what is no JSON.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        Node::parse(json)
            .map(|node| Document(node.into_owned()))
            .map_err(|error| error.to_string())
    }
}

/// What became of an expression.
#[derive(Debug)]
pub enum Outcome {
    /// Its value as JSON.
    Value(Vec<u8>),
    /// Why it has none.
    Error(String),
    /// No budget is left for this and all that follow.
    Spent(String),
}

/// What became of several, and what is left of the budget.
#[derive(Debug)]
pub enum Done {
    /// The outcomes, and what is left.
    All(Vec<Outcome>, u64),
    /// A question to the authorizer, as JSON: all is to be asked again with its answer.
    Asks(String),
}

/// An answer of the authorizer: allowed, reason, error.
pub type Answer = (bool, String, String);

impl Expressions {
    /// Reads the variables, by name and in their order, and the expressions. One that cannot be read has an error for
    /// its outcome.
    pub fn new(variables: Vec<(String, String)>, all: &[String]) -> Self {
        let read =
            |text: &str| Program::parse(text).map_err(|e| format!("compilation failed: {e}"));
        Expressions {
            variables: variables
                .into_iter()
                .map(|(name, text)| (name, read(&text)))
                .collect(),
            all: all.iter().map(|text| read(text)).collect(),
        }
    }

    /// The outcomes of some of the expressions over these documents (none: null).
    pub fn evaluate(
        &self,
        which: &[usize],
        documents: &[(String, Option<&Document>)],
        answers: &HashMap<String, Answer>,
        budget: u64,
    ) -> Done {
        let mut names: Vec<(String, Value<'_>)> = documents
            .iter()
            .map(|(name, document)| {
                let value = document.map_or(Value::Null, |of| Value::of(&of.0, None));
                (name.clone(), value)
            })
            .collect();
        let request = documents.iter().find(|(name, _)| name == "request");
        let own = request
            .and_then(|(_, document)| document.map(|of| own(&of.0)))
            .unwrap_or_default();
        let question = Value::Question(Rc::new(Question::new(own.into())));
        names.push(("authorizer".to_owned(), question));
        let around = Surroundings {
            answers: answers
                .iter()
                .map(|(asked, (allowed, reason, error))| {
                    let decision = Decision {
                        allowed: *allowed,
                        reason: reason.clone(),
                        error: error.clone(),
                    };
                    (asked.clone(), Rc::new(decision))
                })
                .collect(),
            variables: &self.variables,
            names: names.clone(),
            ..Surroundings::default()
        };
        let mut left = budget;
        let mut out = Vec::with_capacity(which.len());
        for at in which {
            let program = match self.all.get(*at) {
                Some(Ok(program)) => program,
                Some(Err(why)) => {
                    out.push(Outcome::Error(why.clone()));
                    continue;
                }
                None => continue,
            };
            let mut meter = Meter::default();
            let value = evaluate_in(program, names.clone(), &mut meter, &around);
            let paid = left.checked_sub(meter.spent);
            left = paid.unwrap_or(0);
            out.push(match value {
                Err(Failure::Asks(question)) => return Done::Asks(question),
                _ if paid.is_none() => Outcome::Spent(OUT_OF_BUDGET.to_owned()),
                Err(Failure::TooCostly) => Outcome::Spent(OUT_OF_BUDGET.to_owned()),
                Err(Failure::Error(why)) => Outcome::Error(why),
                Ok(value) => {
                    let mut json = Vec::new();
                    write_json(&value, &mut json);
                    Outcome::Value(json)
                }
            });
        }
        Done::All(out, left)
    }
}

/// What `authorizer.requestResource` asks about.
fn own(request: &Node<'_>) -> Vec<(&'static str, String)> {
    let text = |node: Option<&Node<'_>>| match node {
        Some(Node::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    let of = |name: &str| {
        request
            .get(b"resource")
            .and_then(|r| r.get(name.as_bytes()))
    };
    vec![
        ("group", text(of("group"))),
        ("resource", text(of("resource"))),
        ("subresource", text(request.get(b"subResource"))),
        ("namespace", text(request.get(b"namespace"))),
        ("name", text(request.get(b"name"))),
    ]
}

/// A value as JSON; what JSON has no form for as text.
fn write_json(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Optional(None) => out.extend_from_slice(b"null"),
        Value::Optional(Some(inner)) => write_json(inner, out),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) => {
            out.extend_from_slice(shown(value).as_bytes());
        }
        Value::Double(v) if v.is_finite() => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Bytes(data) => {
            out.push(b'"');
            write::base64(out, data);
            out.push(b'"');
        }
        Value::Part(node, _) => node.write(out),
        _ => {
            if let Some(items) = value.items() {
                for (i, item) in items.iter().enumerate() {
                    out.push(if i == 0 { b'[' } else { b',' });
                    write_json(item, out);
                }
                out.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
            } else if let Some(entries) = value.entries() {
                for (i, (key, value)) in entries.iter().enumerate() {
                    out.push(if i == 0 { b'{' } else { b',' });
                    write::string(out, shown(key).as_bytes());
                    out.push(b':');
                    write_json(value, out);
                }
                out.extend_from_slice(if entries.is_empty() { b"{}" } else { b"}" });
            } else {
                write::string(out, shown(value).as_bytes());
            }
        }
    }
}

/// What an expression must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// True or false.
    Bool,
    /// Text, or null.
    Text,
    /// A text, and nothing else.
    Message,
    /// An `Object{…}`.
    Object,
    /// A list of `JSONPatch{…}`.
    Patches,
    /// A variable's value.
    Any,
}

/// What expressions may speak of.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// Documents; one with a schema is checked against it.
    pub documents: Vec<(String, Option<Schema>)>,
    /// Questions about access.
    pub authorizer: bool,
    /// Earlier variables, in their order; none where there is no `variables`.
    pub variables: Option<Vec<(String, String)>>,
}

/// What is wrong with an expression, in upstream's words; nothing if it is right.
pub fn wrong(text: &str, wanted: Wanted, vocabulary: &Vocabulary) -> Option<String> {
    let names = vocabulary.names();
    let structs = !matches!(wanted, Wanted::Bool | Wanted::Text | Wanted::Message);
    let checked = Program::parse(text)
        .and_then(|program| check::check_with(&program, text, names, structs).map(|c| c.kind));
    let kind = match checked {
        Ok(kind) => kind,
        Err(why) => return Some(format!("compilation failed: {why}")),
    };
    let got = kind.declared();
    let fits = match wanted {
        Wanted::Bool => matches!(kind, Type::Bool),
        Wanted::Text => matches!(kind, Type::Text(_) | Type::Null),
        Wanted::Message => matches!(kind, Type::Text(_)),
        Wanted::Object => matches!(kind, Type::Dyn),
        Wanted::Patches => matches!(kind, Type::List(..) | Type::Dyn),
        Wanted::Any => true,
    };
    (!fits).then(|| {
        format!(
            "must evaluate to {} but got {got}",
            match wanted {
                Wanted::Bool => "bool",
                Wanted::Text => "one of [string null_type]",
                Wanted::Message => "string",
                Wanted::Object => "Object",
                Wanted::Patches => "list(JSONPatch)",
                Wanted::Any => "dyn",
            }
        )
    })
}

impl Vocabulary {
    fn names(&self) -> Vec<(String, Type<'_>)> {
        let mut names: Vec<(String, Type<'_>)> = self
            .documents
            .iter()
            .map(|(name, schema)| {
                let kind = match (name.as_str(), schema) {
                    (_, Some(schema)) => Type::of(schema, false).unwrap_or(Type::Dyn),
                    ("request", None) => request(),
                    ("namespaceObject", None) => namespace(),
                    _ => Type::Dyn,
                };
                (name.clone(), kind)
            })
            .collect();
        if self.authorizer {
            names.push(("authorizer".to_owned(), Type::Opaque(AUTHORIZER)));
        }
        let Some(earlier) = &self.variables else {
            return names;
        };
        with_variables(names, earlier)
    }
}

/// The names, and `variables` by their types; one that is wrong may be anything.
fn with_variables<'s>(
    mut names: Vec<(String, Type<'s>)>,
    earlier: &[(String, String)],
) -> Vec<(String, Type<'s>)> {
    let mut known: Vec<(String, Type<'s>)> = Vec::new();
    for (name, text) in earlier {
        let mut names = names.clone();
        names.push(("variables".to_owned(), variables(&known)));
        let kind = Program::parse(text)
            .and_then(|program| check::check_with(&program, text, names, true))
            .map_or(Type::Dyn, |checked| checked.kind);
        known.push((name.clone(), kind));
    }
    names.push(("variables".to_owned(), variables(&known)));
    names
}

fn variables<'s>(known: &[(String, Type<'s>)]) -> Type<'s> {
    Type::Record("kubernetes.variables", Rc::new(known.to_vec()))
}

/// What is wrong with each of a policy's expressions where the object is of this type; nothing where it is right.
/// Without a schema, parameters may be anything.
pub fn issues(
    expressions: &[String],
    object: &Schema,
    params: Option<Option<&Schema>>,
    variables: &[(String, String)],
) -> Vec<Option<String>> {
    let mut names = vec![
        ("namespaceObject".to_owned(), namespace()),
        ("request".to_owned(), request()),
        ("object".to_owned(), of(object)),
        ("oldObject".to_owned(), of(object)),
        ("authorizer".to_owned(), Type::Opaque(AUTHORIZER)),
    ];
    if let Some(schema) = params {
        names.push(("params".to_owned(), schema.map_or(Type::Dyn, of)));
    }
    let names = with_variables(names, variables);
    expressions
        .iter()
        .map(|text| {
            Program::parse(text)
                .and_then(|program| check::check(&program, text, names.clone()))
                .err()
        })
        .collect()
}

fn of(schema: &Schema) -> Type<'_> {
    Type::of(schema, false).unwrap_or(Type::Dyn)
}

fn record<'s>(name: &'static str, fields: &[(&str, Type<'s>)]) -> Type<'s> {
    let fields = fields
        .iter()
        .map(|(n, k)| ((*n).to_owned(), k.clone()))
        .collect();
    Type::Record(name, Rc::new(fields))
}

/// What a list or map of no schema holds at most.
const LISTED: u64 = 100;

/// A Namespace, as far as expressions see it.
fn namespace<'s>() -> Type<'s> {
    let text = || Type::Text(REQUEST_MAX);
    let texts = || Type::List(Box::new(text()), LISTED);
    let map = || Type::Map(Box::new(text()), Box::new(text()), LISTED);
    let metadata = record(
        "kubernetes.NamespaceMetadata",
        &[
            ("name", text()),
            ("generateName", text()),
            ("namespace", text()),
            ("labels", map()),
            ("annotations", map()),
            ("UID", text()),
            ("creationTimestamp", Type::Timestamp),
            ("deletionGracePeriodSeconds", Type::Int),
            ("deletionTimestamp", Type::Timestamp),
            ("generation", Type::Int),
            ("resourceVersion", text()),
            ("finalizers", texts()),
        ],
    );
    let condition = record(
        "kubernetes.NamespaceCondition",
        &[
            ("status", text()),
            ("type", text()),
            ("lastTransitionTime", Type::Timestamp),
            ("message", text()),
            ("reason", text()),
        ],
    );
    let status = record(
        "kubernetes.NamespaceStatus",
        &[
            ("conditions", Type::List(Box::new(condition), LISTED)),
            ("phase", text()),
        ],
    );
    let spec = record("kubernetes.NamespaceSpec", &[("finalizers", texts())]);
    record(
        "kubernetes.Namespace",
        &[("metadata", metadata), ("spec", spec), ("status", status)],
    )
}

/// AdmissionRequest, as far as expressions see it.
fn request<'s>() -> Type<'s> {
    let text = || Type::Text(REQUEST_MAX);
    let kind = record(
        "kubernetes.GroupVersionKind",
        &[("group", text()), ("version", text()), ("kind", text())],
    );
    let resource = record(
        "kubernetes.GroupVersionResource",
        &[("group", text()), ("version", text()), ("resource", text())],
    );
    let list = |of| Type::List(Box::new(of), LISTED);
    let user = record(
        "kubernetes.UserInfo",
        &[
            ("username", text()),
            ("uid", text()),
            ("groups", list(text())),
            (
                "extra",
                Type::Map(Box::new(text()), Box::new(list(text())), LISTED),
            ),
        ],
    );
    record(
        "kubernetes.AdmissionRequest",
        &[
            ("kind", kind.clone()),
            ("resource", resource.clone()),
            ("subResource", text()),
            ("requestKind", kind),
            ("requestResource", resource),
            ("requestSubResource", text()),
            ("name", text()),
            ("namespace", text()),
            ("operation", text()),
            ("userInfo", user),
            ("dryRun", Type::Bool),
            ("options", Type::Dyn),
        ],
    )
}
