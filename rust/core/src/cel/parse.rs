//! Text to expressions: cel-spec's grammar, by precedence.

use super::Wrong;
use super::ast::{Each, Expr, Node};

/// How deep an expression may nest; cel-go's limit is 250.
const MAX_DEPTH: usize = 200;
/// Characters of an expression; cel-go's limit is 100,000.
const MAX_LENGTH: usize = 100_000;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Name(String),
    Sign(&'static str),
    End,
}

const SIGNS: &[&str] = &[
    "&&", "||", "<=", ">=", "==", "!=", "?", ":", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-",
    "*", "/", "%", "<", ">", "!",
];

type Out<T> = Result<T, Wrong>;

pub(super) fn parse(text: &str) -> Out<Expr> {
    if text.len() > MAX_LENGTH {
        return Err(Wrong::new(0, "expression code point size exceeds limit"));
    }
    let tokens = Lexer { text, at: 0 }.all()?;
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
    };
    let out = parser.ternary()?;
    if *parser.peek() != Token::End {
        return parser.unexpected();
    }
    Ok(out)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn all(mut self) -> Out<Vec<(usize, Token)>> {
        let mut out = Vec::new();
        loop {
            self.blank();
            let at = self.at;
            let token = self.token()?;
            let end = token == Token::End;
            out.push((at, token));
            if end {
                return Ok(out);
            }
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn token(&mut self) -> Out<Token> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            return self.number();
        }
        if let Some((prefix, quote)) = string_start(rest) {
            return self.string(prefix, quote);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let name = rest[..end].to_owned();
            self.at += end;
            return Ok(Token::Name(name));
        }
        if first == '`' {
            let end = rest[1..].find('`').map(|i| i + 1);
            if let Some(end) = end {
                let name = rest[1..end].to_owned();
                self.at += end + 1;
                return Ok(Token::Name(name));
            }
        }
        for sign in SIGNS {
            if rest.starts_with(sign) {
                self.at += sign.len();
                return Ok(Token::Sign(sign));
            }
        }
        Err(Wrong::new(
            self.at,
            format!("Syntax error: token recognition error at: '{first}'"),
        ))
    }

    fn number(&mut self) -> Out<Token> {
        let start = self.at;
        let rest = self.rest();
        let bad = || Wrong::new(start, "invalid int literal");
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let end = hex
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(hex.len());
            let digits = &hex[..end];
            self.at += 2 + end;
            if hex[end..].starts_with(['u', 'U']) {
                self.at += 1;
                return u64::from_str_radix(digits, 16)
                    .map(Token::Uint)
                    .map_err(|_| bad());
            }
            return i64::from_str_radix(digits, 16)
                .map(Token::Int)
                .map_err(|_| bad());
        }
        let bytes = rest.as_bytes();
        let mut end = 0;
        let mut float = false;
        while let Some(&c) = bytes.get(end) {
            let next = bytes.get(end + 1).copied().unwrap_or(0);
            match c {
                b'0'..=b'9' => {}
                b'.' if !float && next.is_ascii_digit() => float = true,
                b'e' | b'E' if next.is_ascii_digit() || matches!(next, b'+' | b'-') => {
                    float = true;
                    end += 1;
                }
                _ => break,
            }
            end += 1;
        }
        let digits = &rest[..end];
        self.at += end;
        if float {
            return digits.parse().map(Token::Double).map_err(|_| bad());
        }
        if rest[end..].starts_with(['u', 'U']) {
            self.at += 1;
            return digits.parse().map(Token::Uint).map_err(|_| bad());
        }
        match digits.parse::<u64>() {
            // The smallest integer is written with a minus that comes before.
            Ok(value) if value <= 1 << 63 => Ok(Token::Int(value as i64)),
            _ => Err(bad()),
        }
    }

    fn string(&mut self, prefix: &'static str, quote: &'static str) -> Out<Token> {
        let start = self.at;
        let (raw, bytes) = (prefix.contains('r'), prefix.contains('b'));
        self.at += prefix.len() + quote.len();
        let mut out: Vec<u8> = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                break;
            }
            let Some(c) = rest.chars().next() else {
                return Err(Wrong::new(start, "Syntax error: unterminated string"));
            };
            if c == '\n' && quote.len() == 1 {
                return Err(Wrong::new(start, "Syntax error: unterminated string"));
            }
            self.at += c.len_utf8();
            if c == '\\' && !raw {
                self.escape(bytes, &mut out)?;
            } else {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if bytes {
            return Ok(Token::Bytes(out));
        }
        String::from_utf8(out)
            .map(Token::Text)
            .map_err(|_| Wrong::new(start, "invalid string literal"))
    }

    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Out<()> {
        let at = self.at;
        let bad = || Wrong::new(at, "unable to unescape string");
        let c = self.rest().chars().next().ok_or_else(bad)?;
        self.at += c.len_utf8();
        let single = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '\'' | '"' | '`' | '?' => c as u8,
            'x' | 'X' | 'u' | 'U' | '0'..='3' => {
                let (size, base, skip) = match c {
                    'x' | 'X' => (2, 16, 0),
                    'u' => (4, 16, 0),
                    'U' => (8, 16, 0),
                    _ => (3, 8, 1),
                };
                self.at -= skip;
                let digits = self.rest().get(..size).ok_or_else(bad)?;
                let code = u32::from_str_radix(digits, base).map_err(|_| bad())?;
                self.at += size;
                if bytes && !matches!(c, 'u' | 'U') {
                    out.push(u8::try_from(code).map_err(|_| bad())?);
                } else {
                    let c = char::from_u32(code).ok_or_else(bad)?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                return Ok(());
            }
            _ => return Err(bad()),
        };
        out.push(single);
        Ok(())
    }
}

fn string_start(rest: &str) -> Option<(&'static str, &'static str)> {
    for (prefix, names) in [
        ("", &[""][..]),
        ("r", &["r", "R"]),
        ("b", &["b", "B"]),
        ("br", &["br", "bR", "Br", "BR", "rb", "rB", "Rb", "RB"]),
    ] {
        for name in names {
            let Some(rest) = rest.strip_prefix(name) else {
                continue;
            };
            for quote in ["\"\"\"", "'''", "\"", "'"] {
                if rest.starts_with(quote) {
                    return Some((prefix, quote));
                }
            }
        }
    }
    None
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

fn expr(at: usize, node: Node) -> Expr {
    Expr { at, node }
}

fn call(at: usize, name: &str, args: Vec<Expr>) -> Expr {
    expr(
        at,
        Node::Call {
            name: name.to_owned(),
            target: None,
            args,
        },
    )
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn place(&self) -> usize {
        self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].1.clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == sign);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Out<()> {
        if self.take(sign) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn unexpected<T>(&self) -> Out<T> {
        let shown = match self.peek() {
            Token::End => "<EOF>".to_owned(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Name(name) => name.clone(),
            Token::Int(value) => value.to_string(),
            Token::Uint(value) => format!("{value}u"),
            Token::Double(value) => value.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Bytes(_) => "b\"\"".to_owned(),
        };
        Err(Wrong::new(
            self.place(),
            format!(
                "Syntax error: mismatched input '{shown}' expecting {{'[', '{{', '(', '.', '-', '!', 'true', 'false', 'null', \
                 NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}}"
            ),
        ))
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Out<T>) -> Out<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Wrong::new(
                self.place(),
                "expression recursion limit exceeded",
            ));
        }
        let out = work(self);
        self.depth -= 1;
        out
    }

    fn ternary(&mut self) -> Out<Expr> {
        self.deeper(|p| {
            let condition = p.binary(0)?;
            let at = p.place();
            if !p.take("?") {
                return Ok(condition);
            }
            let yes = p.binary(0)?;
            p.expect(":")?;
            let no = p.ternary()?;
            Ok(call(at, "_?_:_", vec![condition, yes, no]))
        })
    }

    fn binary(&mut self, level: usize) -> Out<Expr> {
        const LEVELS: &[&[&str]] = &[
            &["||"],
            &["&&"],
            &["<", "<=", ">", ">=", "==", "!=", "in"],
            &["+", "-"],
            &["*", "/", "%"],
        ];
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        loop {
            let found = match self.peek() {
                Token::Sign(sign) if signs.contains(sign) => *sign,
                Token::Name(name) if name == "in" && signs.contains(&"in") => "in",
                _ => return Ok(left),
            };
            let at = self.place();
            self.at += 1;
            let right = self.binary(level + 1)?;
            let name = if found == "in" {
                "@in".to_owned()
            } else {
                format!("_{found}_")
            };
            left = call(at, &name, vec![left, right]);
        }
    }

    fn unary(&mut self) -> Out<Expr> {
        self.deeper(|p| {
            let at = p.place();
            if p.take("!") {
                let of = p.unary()?;
                return Ok(call(at, "!_", vec![of]));
            }
            if p.take("-") {
                match p.peek().clone() {
                    Token::Int(value) => {
                        p.at += 1;
                        let negative = expr(at, Node::Int(value.wrapping_neg()));
                        return p.members(negative);
                    }
                    Token::Double(value) => {
                        p.at += 1;
                        let negative = expr(at, Node::Double(-value));
                        return p.members(negative);
                    }
                    _ => {}
                }
                let of = p.unary()?;
                return Ok(call(at, "-_", vec![of]));
            }
            let first = p.primary()?;
            p.members(first)
        })
    }

    fn members(&mut self, mut of: Expr) -> Out<Expr> {
        loop {
            let at = self.place();
            if self.take(".") {
                let optional = self.take("?");
                let Token::Name(name) = self.next() else {
                    self.at = self.at.saturating_sub(1);
                    return self.unexpected();
                };
                let paren = self.place();
                if !optional && self.take("(") {
                    let args = self.arguments(")")?;
                    of = method(paren, of, name, args)?;
                } else {
                    of = match well_known(&of, &name) {
                        Some(kind) => expr(of.at, Node::Name(kind)),
                        None => expr(
                            at,
                            Node::Select {
                                of: Box::new(of),
                                field: name,
                                optional,
                                test: false,
                            },
                        ),
                    };
                }
            } else if self.take("[") {
                let optional = self.take("?");
                let index = self.ternary()?;
                self.expect("]")?;
                let name = if optional { "_[?_]" } else { "_[_]" };
                of = call(at, name, vec![of, index]);
            } else if matches!(self.peek(), Token::Sign("{"))
                && let Some(name) = dotted(&of)
            {
                self.at += 1;
                of = expr(of.at, Node::Struct(name, self.fields()?));
            } else {
                return Ok(of);
            }
        }
    }

    fn fields(&mut self) -> Out<Vec<(String, Expr)>> {
        let mut fields = Vec::new();
        while !self.take("}") {
            let optional = self.take("?");
            let Token::Name(name) = self.next() else {
                self.at = self.at.saturating_sub(1);
                return self.unexpected();
            };
            self.expect(":")?;
            fields.push((name, self.ternary()?.maybe(optional)));
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(fields)
    }

    fn arguments(&mut self, end: &str) -> Out<Vec<Expr>> {
        let mut out = Vec::new();
        if self.take(end) {
            return Ok(out);
        }
        loop {
            out.push(self.ternary()?);
            if self.take(",") {
                if self.take(end) {
                    return Ok(out);
                }
                continue;
            }
            self.expect(end)?;
            return Ok(out);
        }
    }

    fn primary(&mut self) -> Out<Expr> {
        let at = self.place();
        match self.peek().clone() {
            Token::Int(i64::MIN) => Err(Wrong::new(at, "invalid int literal")),
            Token::Int(value) => self.leaf(at, Node::Int(value)),
            Token::Uint(value) => self.leaf(at, Node::Uint(value)),
            Token::Double(value) => self.leaf(at, Node::Double(value)),
            Token::Text(text) => self.leaf(at, Node::Text(text)),
            Token::Bytes(data) => self.leaf(at, Node::Bytes(data)),
            Token::Name(name) => {
                self.at += 1;
                match name.as_str() {
                    "true" => return Ok(expr(at, Node::Bool(true))),
                    "false" => return Ok(expr(at, Node::Bool(false))),
                    "null" => return Ok(expr(at, Node::Null)),
                    _ => {}
                }
                let paren = self.place();
                if self.take("(") {
                    let args = self.arguments(")")?;
                    return function(paren, name, args);
                }
                Ok(expr(at, Node::Name(name)))
            }
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.ternary()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.take("]") {
                    let optional = self.take("?");
                    items.push(self.ternary()?.maybe(optional));
                    if !self.take(",") {
                        self.expect("]")?;
                        break;
                    }
                }
                Ok(expr(at, Node::List(items)))
            }
            Token::Sign("{") => {
                self.at += 1;
                let mut entries = Vec::new();
                while !self.take("}") {
                    let optional = self.take("?");
                    let key = self.ternary()?;
                    self.expect(":")?;
                    entries.push((key, self.ternary()?.maybe(optional)));
                    if !self.take(",") {
                        self.expect("}")?;
                        break;
                    }
                }
                Ok(expr(at, Node::Map(entries)))
            }
            Token::Sign(".") => {
                self.at += 1;
                self.primary()
            }
            _ => self.unexpected(),
        }
    }

    fn leaf(&mut self, at: usize, node: Node) -> Out<Expr> {
        self.at += 1;
        Ok(expr(at, node))
    }
}

impl Expr {
    fn maybe(self, optional: bool) -> Self {
        if optional {
            expr(self.at, Node::Maybe(Box::new(self)))
        } else {
            self
        }
    }
}

/// The types that have long names.
fn well_known(of: &Expr, name: &str) -> Option<String> {
    (matches!(name, "Timestamp" | "Duration") && dotted(of)? == "google.protobuf")
        .then(|| format!("google.protobuf.{name}"))
}

/// `a.b.c` of an expression that is nothing but that.
fn dotted(of: &Expr) -> Option<String> {
    match &of.node {
        Node::Name(name) => Some(name.clone()),
        Node::Select {
            of,
            field,
            optional: false,
            test: false,
        } => Some(format!("{}.{field}", dotted(of)?)),
        _ => None,
    }
}

fn function(at: usize, name: String, mut args: Vec<Expr>) -> Out<Expr> {
    if name == "has" {
        return match args.pop() {
            Some(Expr {
                node: Node::Select { of, field, .. },
                ..
            }) if args.is_empty() => Ok(expr(
                at,
                Node::Select {
                    of,
                    field,
                    optional: false,
                    test: true,
                },
            )),
            other => Err(Wrong::new(
                other.map_or(at, |of| of.at),
                "invalid argument to has() macro",
            )),
        };
    }
    Ok(expr(
        at,
        Node::Call {
            name,
            target: None,
            args,
        },
    ))
}

fn variable(arg: Expr) -> Out<String> {
    match arg.node {
        Node::Name(name) => Ok(name),
        _ => Err(Wrong::new(arg.at, "argument must be a simple name")),
    }
}

fn method(at: usize, of: Expr, name: String, mut args: Vec<Expr>) -> Out<Expr> {
    let each = match (name.as_str(), args.len()) {
        ("all", 2 | 3) => Some(Each::All),
        ("exists", 2 | 3) => Some(Each::Exists),
        ("exists_one" | "existsOne", 2 | 3) => Some(Each::ExistsOne),
        ("map", 2 | 3) => Some(Each::Map),
        ("filter", 2) => Some(Each::Filter),
        ("transformList", 3 | 4) => Some(Each::TransformList),
        ("transformMap", 3 | 4) => Some(Each::TransformMap),
        ("transformMapEntry", 3 | 4) => Some(Each::TransformMapEntry),
        ("sortBy", 2) => Some(Each::SortBy),
        _ => None,
    };
    if let Some(what) = each
        && let Some(body) = args.pop()
    {
        let mut second = None;
        let mut filter = None;
        let mut rest = args.into_iter();
        let Some(first) = rest.next() else {
            return Err(Wrong::new(at, "argument must be a simple name"));
        };
        let name = variable(first)?;
        if let Some(more) = rest.next() {
            if what == Each::Map {
                filter = Some(Box::new(more));
            } else {
                second = Some(variable(more)?);
            }
        }
        filter = filter.or(rest.next().map(Box::new));
        return Ok(expr(
            at,
            Node::Each {
                what,
                range: Box::new(of),
                name,
                second,
                filter,
                body: Box::new(body),
            },
        ));
    } else if each.is_some() {
        return Err(Wrong::new(at, "argument must be a simple name"));
    }
    let count = args.len();
    if matches!(name.as_str(), "optMap" | "optFlatMap")
        && count == 2
        && let (Some(body), Some(variable_)) = (args.pop(), args.pop())
    {
        return Ok(expr(
            at,
            Node::Bind {
                name: variable(variable_)?,
                value: Box::new(of),
                body: Box::new(body),
                optional: Some(name == "optMap"),
            },
        ));
    }
    if let Node::Name(space) = &of.node {
        if space == "cel" && name == "bind" && count == 3 {
            let (body, value, variable_) = (args.pop(), args.pop(), args.pop());
            if let (Some(body), Some(value), Some(variable_)) = (body, value, variable_) {
                return Ok(expr(
                    at,
                    Node::Bind {
                        name: variable(variable_)?,
                        value: Box::new(value),
                        body: Box::new(body),
                        optional: None,
                    },
                ));
            }
        }
        if matches!(
            space.as_str(),
            "optional"
                | "sets"
                | "strings"
                | "lists"
                | "format"
                | "ip"
                | "cidr"
                | "base64"
                | "jsonpatch"
        ) {
            return Ok(expr(
                at,
                Node::Call {
                    name: format!("{space}.{name}"),
                    target: None,
                    args,
                },
            ));
        }
    }
    Ok(expr(
        at,
        Node::Call {
            name,
            target: Some(Box::new(of)),
            args,
        },
    ))
}
