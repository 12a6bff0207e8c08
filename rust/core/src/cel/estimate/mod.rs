//! What an expression may cost at most, before it ever runs.
//!
//! The rules are those of github.com/google/cel-go's checker/cost.go with the functions that k8s.io/apiserver's
//! pkg/cel/library/cost.go prices: a rule that one server takes must not be refused by another, so that what looks odd
//! there (a key of a map has no size, a part of what was computed has that of the root) is so here too.

mod calls;
mod place;
mod size;

use super::ast::{Each, Expr, Node};
use super::types::Type;
use crate::schema::Schema;
use place::Place;
use size::{Entry, Size, either, scalar};
use std::collections::HashMap;

/// The types of all parts of an expression, by their places in memory.
pub(super) type Kinds<'s> = HashMap<*const Expr, Type<'s>>;

const LIST: u64 = 10;
const MAP: u64 = 30;
const STRUCT: u64 = 40;
/// A variable of a macro.
struct Local {
    name: String,
    path: Option<Path>,
    size: Option<Size>,
    entry: Option<Entry>,
}

type Path = Vec<String>;

struct Estimate<'k, 's> {
    kinds: &'k Kinds<'s>,
    root: Option<(&'s Schema, bool)>,
    paths: HashMap<*const Expr, Path>,
    sizes: HashMap<*const Expr, Size>,
    entries: HashMap<*const Expr, Entry>,
    locals: Vec<Local>,
}

/// The most that one evaluation of an expression may cost. `root` is the schema of `self`, and whether it is a resource.
pub(super) fn cost<'s>(expr: &Expr, kinds: &Kinds<'s>, root: Option<(&'s Schema, bool)>) -> u64 {
    Estimate {
        kinds,
        root,
        paths: HashMap::new(),
        sizes: HashMap::new(),
        entries: HashMap::new(),
        locals: Vec::new(),
    }
    .cost(expr)
}

impl<'s> Estimate<'_, 's> {
    fn kind(&self, expr: &Expr) -> Option<&Type<'s>> {
        self.kinds.get(&std::ptr::from_ref(expr))
    }

    fn is_text(&self, expr: &Expr) -> bool {
        matches!(self.kind(expr), Some(Type::Text(_)))
    }

    fn cost(&mut self, expr: &Expr) -> u64 {
        match &expr.node {
            Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Uint(_)
            | Node::Double(_)
            | Node::Text(_)
            | Node::Bytes(_) => 0,
            Node::Name(name) => {
                let path = match self.local(name) {
                    Some(local) => local.path.clone(),
                    None => Some(vec![name.clone()]),
                };
                if let Some(path) = path {
                    self.paths.insert(expr, path);
                }
                1
            }
            Node::Select {
                of, optional: true, ..
            } => self.cost(of).saturating_add(1),
            Node::Select { of, test: true, .. } => self.cost(of),
            Node::Select { of, field, .. } => {
                let below = self.cost(of);
                let own = u64::from(!matches!(
                    self.kind(of),
                    None | Some(Type::Dyn | Type::Optional(_))
                ));
                let path = self.under(of, field);
                self.paths.insert(expr, path);
                below.saturating_add(own)
            }
            Node::Call { name, target, args } => self.call(expr, name, target.as_deref(), args),
            Node::List(items) => {
                let mut cost = LIST;
                let mut value = (!items.is_empty()).then_some(Size {
                    min: u64::MAX,
                    max: 0,
                });
                for item in items {
                    cost = cost.saturating_add(self.cost(item));
                    value = value.map(|known| known.or(self.size_or_unknown(item)));
                }
                let entry = Entry {
                    list: true,
                    key: Size::fixed(1),
                    value: value.unwrap_or(Size::fixed(0)),
                };
                self.entries.insert(expr, entry);
                cost
            }
            Node::Map(entries) => {
                let mut cost = MAP;
                let first = if entries.is_empty() {
                    Size::fixed(0)
                } else {
                    Size {
                        min: u64::MAX,
                        max: 0,
                    }
                };
                let (mut keys, mut values) = (first, first);
                for (key, value) in entries {
                    cost = cost
                        .saturating_add(self.cost(key))
                        .saturating_add(self.cost(value));
                    keys = keys.or(self.size_or_unknown(key));
                    values = values.or(self.size_or_unknown(value));
                }
                let entry = Entry {
                    list: false,
                    key: keys,
                    value: values,
                };
                self.entries.insert(expr, entry);
                cost
            }
            Node::Struct(_, fields) => fields.iter().fold(STRUCT, |cost, (_, value)| {
                cost.saturating_add(self.cost(value))
            }),
            Node::Maybe(of) => self.cost(of),
            Node::Each {
                what,
                range,
                name,
                second,
                filter,
                body,
            } => {
                let names = (name.as_str(), second.as_deref());
                self.each(expr, *what, range, names, filter.as_deref(), body)
            }
            Node::Bind {
                name,
                value,
                body,
                optional,
            } => self.bind(expr, name, value, body, *optional),
        }
    }

    /// A macro over a list or map, as cel-go opens it: a start, and for each item a condition and a step.
    fn each(
        &mut self,
        expr: &Expr,
        what: Each,
        range: &Expr,
        names: (&str, Option<&str>),
        filter: Option<&Expr>,
        body: &Expr,
    ) -> u64 {
        let below = self.cost(range);
        let entry = self.entry(range);
        let list = match entry {
            Some(entry) => entry.list,
            None => matches!(self.kind(range), Some(Type::List(..))),
        };
        let before = self.locals.len();
        let first_is_value = list && names.1.is_none();
        self.push_item(names.0, range, entry, list, first_is_value);
        if let Some(second) = names.1 {
            self.push_item(second, range, entry, list, true);
        }
        let inner = self.cost(body);
        let filtered = filter.map(|of| self.cost(of));
        let (start, finish, each) = match what {
            Each::All => (0, 1, inner.saturating_add(3)),
            Each::Exists => (0, 1, inner.saturating_add(4)),
            Each::ExistsOne => (0, 2, inner.saturating_add(2)),
            Each::Filter => (LIST, 1, inner.saturating_add(LIST + 3)),
            Each::Map | Each::TransformList => (LIST, 1, inner.saturating_add(LIST + 2)),
            Each::TransformMap => (MAP, 1, inner.saturating_add(3)),
            Each::TransformMapEntry => (MAP, 1, inner.saturating_add(2)),
            // `cel.bind(name, range, name.@sortByAssociatedKeys(name.map(name, body)))`
            Each::SortBy => (2 * LIST + 1, 2, inner.saturating_add(LIST + 2)),
        };
        let each = each.saturating_add(filtered.unwrap_or(0));
        let made = match what {
            Each::Map | Each::TransformList => Some(self.size_or_unknown(body)),
            Each::Filter => Some(
                self.local(names.0)
                    .and_then(|local| local.size)
                    .or_else(|| {
                        let path = self.local(names.0)?.path.clone()?;
                        self.by_path(&path)
                    })
                    .unwrap_or(Size::UNKNOWN),
            ),
            _ => None,
        };
        self.locals.truncate(before);
        let count = self.size_or_unknown(range);
        let sorting = if what == Each::SortBy {
            self.sorting(count, self.kind(body))
        } else {
            0
        };
        match made {
            Some(value) => {
                self.sizes.insert(expr, count);
                let entry = Entry {
                    list: true,
                    key: Size::fixed(1),
                    value: Size { min: 0, ..value },
                };
                self.entries.insert(expr, entry);
            }
            None => {
                let size = match what {
                    Each::All | Each::Exists | Each::ExistsOne => Size::fixed(1),
                    Each::SortBy => count.times(count),
                    _ => count,
                };
                self.sizes.insert(expr, size);
            }
        }
        below
            .saturating_add(sorting)
            .saturating_add(start + finish)
            .saturating_add(count.max.saturating_mul(each))
    }

    fn push_item(
        &mut self,
        name: &str,
        range: &Expr,
        entry: Option<Entry>,
        list: bool,
        value: bool,
    ) {
        let step = match (list, value) {
            (true, true) => "@items",
            (true, false) => "@indices",
            (false, true) => "@values",
            (false, false) => "@keys",
        };
        let path = self.under(range, step);
        let size = entry.map(|of| if value { of.value } else { of.key });
        self.locals.push(Local {
            name: name.to_owned(),
            path: Some(path),
            size,
            entry: None,
        });
    }

    fn bind(
        &mut self,
        expr: &Expr,
        name: &str,
        value: &Expr,
        body: &Expr,
        optional: Option<bool>,
    ) -> u64 {
        let below = self.cost(value);
        let local = match optional {
            None => Local {
                name: name.to_owned(),
                path: self.path(value),
                size: self.size(value),
                entry: self.entry(value),
            },
            Some(_) => Local {
                name: name.to_owned(),
                path: None,
                size: match self.kind(value) {
                    Some(Type::Optional(of)) => scalar(of),
                    _ => None,
                },
                entry: None,
            },
        };
        self.locals.push(local);
        let inner = self.cost(body);
        let (size, entry) = (self.size(body), self.entry(body));
        self.locals.pop();
        let Some(map) = optional else {
            self.keep(expr, size, entry);
            return below.saturating_add(inner).saturating_add(LIST);
        };
        // `of.hasValue() ? optional.of(cel.bind(name, of.value(), body)) : optional.none()`
        let bound = below.saturating_add(inner).saturating_add(LIST + 1);
        below
            .saturating_add(1)
            .saturating_add(bound)
            .saturating_add(u64::from(map))
    }

    fn call(&mut self, expr: &Expr, name: &str, target: Option<&Expr>, args: &[Expr]) -> u64 {
        if let ("_?_:_", [condition, yes, no]) = (name, args) {
            let (condition, one, other) = (self.cost(condition), self.cost(yes), self.cost(no));
            let size = self.size_or_unknown(yes).or(self.size_or_unknown(no));
            let entry = either(self.entry(yes), self.entry(no));
            self.keep(expr, Some(size), entry);
            return condition.saturating_add(one.max(other));
        }
        let mut below: u64 = 0;
        for arg in target.into_iter().chain(args) {
            below = below.saturating_add(self.cost(arg));
        }
        if let ("dyn", [of]) = (name, args) {
            let (size, entry) = (self.size(of), self.entry(of));
            self.keep(expr, size, entry);
            return below.saturating_add(1);
        }
        let (own, mut size) = self.own(expr, name, target, args);
        if let ("_[_]", [of, _]) = (name, args) {
            let step = match self.kind(of) {
                Some(Type::List(..)) => "@items",
                _ => "@values",
            };
            size = self.entry(of).map(|entry| entry.value);
            let path = self.under(of, step);
            self.paths.insert(expr, path);
        }
        let size = size.or_else(|| self.size(expr));
        self.keep(expr, size, None);
        below.saturating_add(own)
    }

    fn keep(&mut self, expr: &Expr, size: Option<Size>, entry: Option<Entry>) {
        if let Some(size) = size {
            self.sizes.insert(expr, size);
        }
        if let Some(entry) = entry {
            self.entries.insert(expr, entry);
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|local| local.name == name)
    }

    fn path(&self, expr: &Expr) -> Option<Path> {
        if let Node::Name(name) = &expr.node
            && let Some(local) = self.local(name)
        {
            return local.path.clone();
        }
        self.paths.get(&std::ptr::from_ref(expr)).cloned()
    }

    fn under(&self, expr: &Expr, step: &str) -> Path {
        let mut path = self.path(expr).unwrap_or_default();
        path.push(step.to_owned());
        path
    }

    fn entry(&self, expr: &Expr) -> Option<Entry> {
        if let Some(entry) = self.entries.get(&std::ptr::from_ref(expr)) {
            return Some(*entry);
        }
        match &expr.node {
            Node::Name(name) => self.local(name)?.entry,
            _ => None,
        }
    }

    fn size_or_unknown(&self, expr: &Expr) -> Size {
        self.size(expr).unwrap_or(Size::UNKNOWN)
    }

    fn size(&self, expr: &Expr) -> Option<Size> {
        if let Some(size) = self.sizes.get(&std::ptr::from_ref(expr)) {
            return Some(*size);
        }
        let literal = match &expr.node {
            Node::Text(text) => Some(text.chars().count()),
            Node::Bytes(data) => Some(data.len()),
            Node::Null | Node::Bool(_) | Node::Int(_) | Node::Uint(_) | Node::Double(_) => Some(1),
            Node::List(items) => Some(items.len()),
            Node::Map(entries) => Some(entries.len()),
            _ => None,
        };
        if let Some(size) = literal {
            return Some(Size::fixed(size as u64));
        }
        if let Some(size) = self.path(expr).and_then(|path| self.by_path(&path)) {
            return Some(size);
        }
        if let Some(size) = self.kind(expr).and_then(scalar) {
            return Some(size);
        }
        match &expr.node {
            Node::Name(name) => self.local(name)?.size,
            _ => None,
        }
    }

    /// What the schema says of a place in the object. The first step is a variable, and is not looked at.
    fn by_path(&self, path: &[String]) -> Option<Size> {
        let (schema, resource) = self.root?;
        let mut at = Place::Of(schema, resource);
        for step in path.get(1..)? {
            at = at.step(step)?;
        }
        Some(Size {
            min: 0,
            max: at.most(),
        })
    }
}
