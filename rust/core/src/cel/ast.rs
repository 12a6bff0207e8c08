//! Expressions as trees, macros opened.

/// A part of an expression, with where it stands in the text.
#[derive(Debug)]
pub(super) struct Expr {
    pub at: usize,
    pub node: Node,
}

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Name(String),
    /// `a.b`; `a.?b` is optional; `has(a.b)` tests.
    Select {
        of: Box<Expr>,
        field: String,
        optional: bool,
        test: bool,
    },
    /// A function or operator; the target of a method stands before its arguments.
    Call {
        name: String,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// `Object.spec{replicas: 3}`: a value of a named type.
    Struct(String, Vec<(String, Expr)>),
    /// `?x` in a list, map or named type: what an optional holds, or nothing at all.
    Maybe(Box<Expr>),
    /// `range.all(x, body)` and its like.
    Each {
        what: Each,
        range: Box<Expr>,
        name: String,
        /// The second variable of the macros that have two: index or key, then value.
        second: Option<String>,
        filter: Option<Box<Expr>>,
        body: Box<Expr>,
    },
    /// `cel.bind(name, value, body)`, and the value that `optMap` hands on.
    Bind {
        name: String,
        value: Box<Expr>,
        body: Box<Expr>,
        /// The value is an optional, and the result is one: of the body (optMap), or the body itself (optFlatMap).
        optional: Option<bool>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    /// A list of what the body makes of each item or entry.
    TransformList,
    /// A map of them, by the first variable.
    TransformMap,
    /// A map of the single entries that the body makes.
    TransformMapEntry,
    /// The items in the order of what the body makes of them.
    SortBy,
}
