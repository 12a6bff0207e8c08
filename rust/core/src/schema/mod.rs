//! `schema`: structural schemas of custom resources. What an object may hold is pruned, filled in and checked by the
//! schema that its CustomResourceDefinition gives.
//!
//! The rules and words are those of k8s.io/apiextensions-apiserver (pkg/apiserver/schema, pkg/apis/apiextensions/
//! validation) and k8s.io/kube-openapi (pkg/validation).

mod check;
mod compiled;
mod defaults;
mod formats;
mod lists;
mod model;
mod numbers;
mod parse;
mod paths;
mod problem;
mod prune;
mod rules;
mod sound;
mod structural;
mod typed;
mod validate;

pub use check::check;
pub use compiled::{Compiled, find};
pub(crate) use formats::{go_duration, valid as valid_format};
pub use model::Schema;
pub(crate) use model::{ListType, Type};
pub(crate) use problem::quoted;
pub use problem::{Cause, Problem};
