//! `cel`: the Common Expression Language as Kubernetes uses it: parsed, checked against types that schemas give, priced
//! before it is taken and metered while it runs.
//!
//! The language is that of github.com/google/cel-spec; libraries and costs those of k8s.io/apiserver's pkg/cel.

mod ast;
mod authorizer;
mod check;
mod devices;
mod documents;
mod estimate;
mod eval;
mod functions;
mod parse;
mod types;
mod value;

pub(crate) use check::check;
pub use devices::{Device, Selector};
pub use documents::{
    Answer, Document, Done, Expressions, Outcome, Vocabulary, Wanted, issues, wrong,
};
pub(crate) use eval::{Failure, Meter};
pub(crate) use types::{REQUEST_MAX, Type, least};
pub(crate) use value::Value;

use ast::Expr;

/// What one evaluation may cost: k8s.io/apiserver's PerCallLimit.
pub(crate) const CALL_LIMIT: u64 = 1_000_000;
/// What the rules of one object may cost together: RuntimeCELCostBudget.
pub(crate) const OBJECT_LIMIT: u64 = 10_000_000;
/// What one expression may be estimated at: StaticEstimatedCostLimit.
pub(crate) const EXPRESSION_LIMIT: u64 = 10_000_000;
/// What all expressions of a schema may be estimated at: StaticEstimatedCRDCostLimit.
pub(crate) const SCHEMA_LIMIT: u64 = 100_000_000;

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Program {
    root: Expr,
}

impl Program {
    /// Reads an expression. The error says where and why, as cel-go does.
    pub fn parse(text: &str) -> Result<Self, String> {
        match parse::parse(text) {
            Ok(root) => Ok(Program { root }),
            Err(wrong) => Err(wrong.shown(text)),
        }
    }
}

/// Whether a rule holds.
pub(crate) fn evaluate<'v>(
    program: &Program,
    names: Vec<(String, Value<'v>)>,
    meter: &mut Meter,
) -> Result<bool, Failure> {
    match eval::evaluate(program, names, meter)? {
        Value::Bool(value) => Ok(value),
        _ => Err(Failure::Error("no such overload".to_owned())),
    }
}

/// The text that an expression makes.
pub(crate) fn text<'v>(
    program: &Program,
    names: Vec<(String, Value<'v>)>,
    meter: &mut Meter,
) -> Result<String, Failure> {
    match eval::evaluate(program, names, meter)? {
        Value::Text(text) => Ok(text.to_string()),
        _ => Err(Failure::Error("no such overload".to_owned())),
    }
}

/// Something wrong at a place in an expression.
#[derive(Debug, Clone)]
pub(crate) struct Wrong {
    at: usize,
    why: String,
}

impl Wrong {
    fn new(at: usize, why: impl Into<String>) -> Self {
        Wrong {
            at,
            why: why.into(),
        }
    }

    /// `ERROR: <input>:1:6: why`, the line, and a mark under the place.
    fn shown(&self, text: &str) -> String {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or("").chars().count();
        let shown = text.lines().nth(line).unwrap_or("");
        let dots = ".".repeat(column);
        format!(
            "ERROR: <input>:{}:{}: {}\n | {shown}\n | {dots}^",
            line + 1,
            column + 1,
            self.why
        )
    }
}

#[cfg(test)]
mod tests;
