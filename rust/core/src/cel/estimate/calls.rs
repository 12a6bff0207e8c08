//! What functions and operators cost besides their arguments.

use super::size::{CHARACTER, Size, either, scaled, traversed};
use super::{Estimate, LIST};
use crate::cel::ast::{Expr, Node};
use crate::cel::authorizer::CHECK_COST;
use crate::cel::functions;
use crate::cel::types::Type;

/// Of one character of a regular expression.
const PATTERN: f64 = 0.25;
/// k8s.io/apiserver's MaxNameFormatRegexSize and MaxFormatSize.
const NAME_PATTERN: f64 = 128.0;
const FORMAT: u64 = 64;
/// An address of version 6 in bytes.
const ADDRESS: u64 = 16;

impl Estimate<'_, '_> {
    /// What a call costs besides its arguments, and the size of its result where that is known.
    pub(super) fn own(
        &mut self,
        expr: &Expr,
        name: &str,
        target: Option<&Expr>,
        args: &[Expr],
    ) -> (u64, Option<Size>) {
        let traverse = |size: Size| (traversed(size), None);
        match (name, target, args) {
            ("_&&_" | "_||_", ..) => (0, None),
            ("_==_" | "_!=_", _, [a, b]) => (self.equality(name == "_==_", a, b), None),
            ("_<_" | "_<=_" | "_>_" | "_>=_", _, [a, b]) => {
                let long = |kind: Option<&Type<'_>>| {
                    matches!(kind, Some(Type::Text(_) | Type::Bytes(_) | Type::Dyn))
                };
                if long(self.kind(a)) && long(self.kind(b)) {
                    (self.shorter(a, b), None)
                } else {
                    (1, None)
                }
            }
            ("_+_", _, [a, b]) => self.sum(expr, a, b),
            ("@in", _, [_, of]) => match self.kind(of) {
                Some(Type::Map(..)) => (1, None),
                _ => (self.size_or_unknown(of).max, None),
            },
            ("startsWith" | "endsWith", Some(_), [part]) => traverse(self.size_or_unknown(part)),
            ("contains", Some(of), [part]) => {
                let cost = traversed(self.size_or_unknown(of));
                let part = traversed(self.size_or_unknown(part));
                (cost.saturating_mul(part), None)
            }
            ("matches" | "find" | "findAll", Some(of), [pattern, ..])
            | ("matches", None, [of, pattern]) => {
                let size = self.size_or_unknown(of);
                let text = traversed(size.plus(Size::fixed(1)));
                let pattern = scaled(self.size_or_unknown(pattern).max, PATTERN);
                let found = Size { min: 0, ..size };
                let result = (name != "matches").then_some(found);
                (text.saturating_mul(pattern), result)
            }
            ("format", Some(of), _) => traverse(self.size_or_unknown(of)),
            ("bytes", None, [of]) if self.is_text(of) => {
                let size = self.size_or_unknown(of);
                let max = size.max.saturating_mul(4);
                (traversed(size), Some(Size { max, ..size }))
            }
            ("string", None, [of]) if matches!(self.kind(of), Some(Type::Bytes(_))) => {
                let size = self.size_or_unknown(of);
                let min = size.min / 4;
                (traversed(size), Some(Size { min, ..size }))
            }
            ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(of), _) => {
                let size = self.size_or_unknown(of);
                match self.kind(of) {
                    Some(Type::List(item, _)) => {
                        let long = matches!(**item, Type::Text(_) | Type::Bytes(_));
                        let each = if long { traversed(self.item(of)) } else { 0 };
                        (size.max.saturating_mul(each.saturating_add(1)), None)
                    }
                    _ => traverse(size),
                }
            }
            ("url", None, [of]) => {
                let size = self.size_or_unknown(of);
                (traversed(size), Some(size))
            }
            (
                "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver",
                None,
                [of, ..],
            ) => traverse(self.size_or_unknown(of)),
            ("ip", None, [of]) => traverse(self.size_or_unknown(of)),
            ("ip.isCanonical", _, [of]) => {
                (scaled(self.size_or_unknown(of).max, 2.0 * CHARACTER), None)
            }
            ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(of), _) => {
                let size = self.size_or_unknown(of);
                (traversed(size), Some(size))
            }
            ("replace", Some(of), [part, with, ..]) => self.replace(of, part, with),
            ("split", Some(of), _) => {
                let size = self.size_or_unknown(of);
                let max = match args.get(1).map(|limit| &limit.node) {
                    Some(Node::Int(limit)) => *limit as u64,
                    _ => size.max,
                };
                (
                    scaled(size.max, 2.0 * CHARACTER),
                    Some(Size { min: 0, max }),
                )
            }
            ("join", Some(of), _) => {
                let list = self.size_or_unknown(of);
                let mut size = list.times(self.item(of));
                if let Some(between) = args.first() {
                    let gaps = Size {
                        min: list.min.saturating_sub(1),
                        max: list.max.saturating_sub(1),
                    };
                    size = size.plus(self.size_or_unknown(between).times(gaps));
                }
                (traversed(size), Some(size))
            }
            ("containsIP" | "containsCIDR", Some(_), [part]) => {
                let mut cost = scaled(2 * ADDRESS, CHARACTER);
                if name == "containsCIDR" {
                    cost += scaled(ADDRESS, CHARACTER) + 1;
                }
                if self.is_text(part) {
                    cost = cost.saturating_add(traversed(self.size_or_unknown(part)));
                }
                (cost, None)
            }
            ("validate", Some(_), [of]) => {
                let cost = traversed(self.size_or_unknown(of));
                (scaled(cost, NAME_PATTERN * PATTERN), None)
            }
            ("check", Some(_), _) => (CHECK_COST, None),
            ("sets.contains" | "sets.intersects" | "sets.equivalent", _, [a, b]) => {
                let all = self.size_or_unknown(a).times(self.size_or_unknown(b)).max;
                let twice = if name == "sets.equivalent" { 2 } else { 1 };
                (all.saturating_mul(twice).saturating_add(1), None)
            }
            ("slice" | "flatten" | "lists.range" | "reverse" | "distinct" | "sort", ..) => {
                self.lists(name, target, args)
            }
            _ => (1, None),
        }
    }

    fn equality(&self, equal: bool, left: &Expr, right: &Expr) -> u64 {
        if equal
            && let (Some(Type::Opaque(a)), Some(Type::Opaque(b))) =
                (self.kind(left), self.kind(right))
            && a == b
        {
            return match *a {
                functions::FORMAT => scaled(FORMAT, CHARACTER),
                functions::URL => traversed(self.size(right).unwrap_or(Size::fixed(1))),
                _ => 1,
            };
        }
        self.shorter(left, right)
    }

    fn shorter(&self, a: &Expr, b: &Expr) -> u64 {
        let most = self.size_or_unknown(a).max.min(self.size_or_unknown(b).max);
        scaled(most, CHARACTER)
    }

    fn sum(&mut self, expr: &Expr, a: &Expr, b: &Expr) -> (u64, Option<Size>) {
        let any =
            |found: fn(&Type<'_>) -> bool| [a, b].iter().any(|of| self.kind(of).is_some_and(found));
        let all_dyn = [a, b]
            .iter()
            .all(|of| matches!(self.kind(of), Some(Type::Dyn)));
        let text = all_dyn || any(|kind| matches!(kind, Type::Text(_) | Type::Bytes(_)));
        let list = any(|kind| matches!(kind, Type::List(..)));
        if !text && !list {
            return (1, None);
        }
        let size = self.size_or_unknown(a).plus(self.size_or_unknown(b));
        if let Some(entry) = either(self.entry(a), self.entry(b)) {
            self.entries.insert(expr, entry);
        }
        (if text { traversed(size) } else { 1 }, Some(size))
    }

    fn replace(&self, of: &Expr, part: &Expr, with: &Expr) -> (u64, Option<Size>) {
        let (size, part, with) = (
            self.size_or_unknown(of),
            self.size_or_unknown(part),
            self.size_or_unknown(with),
        );
        let (mut count, mut kept) = (Size::fixed(0), Size::fixed(0));
        if part.min == 0 {
            count.max = size.max.saturating_add(1);
            kept.max = size.max;
        } else if with.max <= part.min {
            kept.max = size.max;
        } else {
            count.max = size.max.div_ceil(part.min);
        }
        if part.max == 0 {
            count.min = size.min.saturating_add(1);
            kept.min = size.min;
        } else if part.max <= with.min {
            kept.min = size.min;
        } else {
            count.min = size.min.div_ceil(part.max);
        }
        let made = count.times(with).plus(kept);
        (scaled(size.max, 2.0 * CHARACTER), Some(made))
    }

    fn lists(&self, name: &str, target: Option<&Expr>, args: &[Expr]) -> (u64, Option<Size>) {
        let number = |of: Option<&Expr>, other: u64| match of.map(|of| &of.node) {
            Some(Node::Int(value)) => u64::try_from(*value).unwrap_or(0),
            _ => other,
        };
        let size = target.map_or(Size::UNKNOWN, |of| self.size_or_unknown(of));
        let (factor, made) = match (name, target) {
            ("lists.range", _) => (1.0, Size::fixed(number(args.first(), u64::MAX))),
            (_, None) => return (1, None),
            ("reverse", Some(of)) if !matches!(self.kind(of), Some(Type::List(..))) => {
                return (1, None);
            }
            ("slice", _) => {
                let start = number(args.first(), 0);
                let end = number(args.get(1), size.max);
                (1.0, Size::fixed(end.saturating_sub(start)))
            }
            ("flatten", _) => {
                let depth = if args.is_empty() {
                    1
                } else {
                    number(args.first(), u64::MAX)
                };
                (depth as f64, size)
            }
            ("distinct", _) => (2.0, size.times(size)),
            ("sort", Some(of)) => {
                let item = match self.kind(of) {
                    Some(Type::List(item, _)) => Some(&**item),
                    _ => None,
                };
                return (self.sorting(size, item), Some(size.times(size)));
            }
            _ => (1.0, size),
        };
        let cost = scaled(made.max, factor).saturating_add(1 + LIST);
        (cost, Some(made))
    }

    /// Every item of a list beside every other.
    pub(super) fn sorting(&self, count: Size, item: Option<&Type<'_>>) -> u64 {
        let long = matches!(item, Some(Type::Text(_) | Type::Bytes(_)));
        let each = if long { 2.0 + CHARACTER } else { 2.0 };
        scaled(count.times(count).max, each).saturating_add(1 + LIST)
    }

    /// The size of an item of a list, by the schema or by its type.
    fn item(&self, list: &Expr) -> Size {
        match self.path(list) {
            Some(mut path) => {
                path.push("@items".into());
                self.by_path(&path).unwrap_or(Size::UNKNOWN)
            }
            None => Size::UNKNOWN,
        }
    }
}
