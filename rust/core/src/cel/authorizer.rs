//! `authorizer`: questions about access. The answer comes from outside, so an expression that asks stops there and is
//! run again with the answer: the same question has the same answer.
//!
//! As k8s.io/apiserver's pkg/cel/library/authz.go.

use super::eval::Failure;
use super::value::Value;
use crate::schema::quoted;
use std::collections::HashMap;
use std::rc::Rc;

pub(super) const AUTHORIZER: &str = "kubernetes.authorization.Authorizer";
pub(super) const PATH_CHECK: &str = "kubernetes.authorization.PathCheck";
pub(super) const GROUP_CHECK: &str = "kubernetes.authorization.GroupCheck";
pub(super) const RESOURCE_CHECK: &str = "kubernetes.authorization.ResourceCheck";
pub(super) const DECISION: &str = "kubernetes.authorization.Decision";
/// What a check costs: it may be an answer from far away.
pub(super) const CHECK_COST: u64 = 350_000;

/// A question as far as it has been put.
#[derive(Debug)]
pub(crate) struct Question {
    pub kind: &'static str,
    asked: Vec<(&'static str, String)>,
    /// What is asked of the request's own resource.
    own: Rc<[(&'static str, String)]>,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decision {
    pub allowed: bool,
    pub reason: String,
    pub error: String,
}

impl Question {
    /// Nothing asked yet.
    pub fn new(own: Rc<[(&'static str, String)]>) -> Self {
        Question {
            kind: AUTHORIZER,
            asked: Vec::new(),
            own,
        }
    }

    pub(super) fn field<'v>(&self, name: &str) -> Result<Value<'v>, Failure> {
        if self.kind != AUTHORIZER || name != "requestResource" {
            return overload();
        }
        let mut asked = self.asked.clone();
        asked.extend(self.own.iter().cloned());
        Ok(self.further(RESOURCE_CHECK, asked))
    }

    fn further<'v>(&self, kind: &'static str, asked: Vec<(&'static str, String)>) -> Value<'v> {
        let own = Rc::clone(&self.own);
        Value::Question(Rc::new(Question { kind, asked, own }))
    }

    fn with<'v>(&self, kind: &'static str, name: &'static str, value: &str) -> Value<'v> {
        let mut asked = self.asked.clone();
        asked.retain(|(known, _)| *known != name);
        asked.push((name, value.to_owned()));
        self.further(kind, asked)
    }

    pub(super) fn method<'v>(
        &self,
        name: &str,
        args: &[Value<'v>],
        answers: &HashMap<String, Rc<Decision>>,
    ) -> Result<Value<'v>, Failure> {
        match (self.kind, name, args) {
            (AUTHORIZER, "path", [Value::Text(path)]) => Ok(self.with(PATH_CHECK, "path", path)),
            (AUTHORIZER, "group", [Value::Text(group)]) => {
                Ok(self.with(GROUP_CHECK, "group", group))
            }
            (AUTHORIZER, "serviceAccount", [Value::Text(namespace), Value::Text(name)]) => {
                Ok(self.with(AUTHORIZER, "serviceAccount", &format!("{namespace}/{name}")))
            }
            (GROUP_CHECK, "resource", [Value::Text(resource)]) => {
                Ok(self.with(RESOURCE_CHECK, "resource", resource))
            }
            (RESOURCE_CHECK, "subresource", [Value::Text(text)]) => {
                Ok(self.with(RESOURCE_CHECK, "subresource", text))
            }
            (RESOURCE_CHECK, "namespace", [Value::Text(text)]) => {
                Ok(self.with(RESOURCE_CHECK, "namespace", text))
            }
            (RESOURCE_CHECK, "name", [Value::Text(text)]) => {
                Ok(self.with(RESOURCE_CHECK, "name", text))
            }
            (RESOURCE_CHECK, "fieldSelector", [Value::Text(text)]) => {
                Ok(self.with(RESOURCE_CHECK, "fieldSelector", text))
            }
            (RESOURCE_CHECK, "labelSelector", [Value::Text(text)]) => {
                Ok(self.with(RESOURCE_CHECK, "labelSelector", text))
            }
            (PATH_CHECK | RESOURCE_CHECK, "check", [Value::Text(verb)]) => {
                let question = self.put(verb);
                match answers.get(&question) {
                    Some(decision) => Ok(Value::Decision(Rc::clone(decision))),
                    None => Err(Failure::Asks(question)),
                }
            }
            _ => overload(),
        }
    }

    /// The question as JSON.
    fn put(&self, verb: &str) -> String {
        let mut out = b"{\"verb\":".to_vec();
        out.extend(quoted(verb));
        for (name, value) in &self.asked {
            out.extend_from_slice(b",");
            out.extend(quoted(name));
            out.extend_from_slice(b":");
            out.extend(quoted(value));
        }
        out.push(b'}');
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn overload<'v>() -> Result<Value<'v>, Failure> {
    Err(Failure::Error("no such overload".to_owned()))
}
