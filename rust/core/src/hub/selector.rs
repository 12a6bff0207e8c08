//! Label and field selectors: their text, as in a URL's query, to something that can be asked.

use super::object::Object;
use super::schema::{Field, Schema};

/// What an object must satisfy. All of it.
#[derive(Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Term>,
}

#[derive(Debug, PartialEq)]
struct Requirement {
    key: Box<str>,
    operator: Operator,
}

#[derive(Debug, PartialEq)]
enum Operator {
    In(Vec<Box<str>>),
    NotIn(Vec<Box<str>>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

#[derive(Debug)]
struct Term {
    field: Field,
    equal: bool,
    value: Box<str>,
}

impl Selector {
    /// Reads both selectors. The error is the message for whoever sent them.
    pub fn parse(labels: &str, fields: &str, schema: &Schema) -> Result<Selector, String> {
        Ok(Selector {
            labels: parse_labels(labels)?,
            fields: parse_fields(fields, schema)?,
        })
    }

    /// Whether everything satisfies it.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object satisfies all of it.
    pub fn matches(&self, object: &Object) -> bool {
        self.fields
            .iter()
            .all(|term| (object.field(term.field) == &*term.value) == term.equal)
            && self
                .labels
                .iter()
                .all(|requirement| requirement.matches(object.label(&requirement.key)))
    }

    /// The value that a field must equal, if it must.
    pub fn equals(&self, wanted: Field) -> Option<&str> {
        self.fields
            .iter()
            .find(|term| term.equal && term.field == wanted)
            .map(|term| &*term.value)
    }

    /// A declared field that must equal a value, the first such.
    pub fn declared(&self) -> Option<(usize, &str)> {
        self.fields.iter().find_map(|term| match term.field {
            Field::Declared(index) if term.equal => Some((index, &*term.value)),
            _ => None,
        })
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        match &self.operator {
            Operator::In(values) => {
                value.is_some_and(|value| values.iter().any(|one| &**one == value))
            }
            Operator::NotIn(values) => {
                value.is_none_or(|value| values.iter().all(|one| &**one != value))
            }
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => number(value).is_some_and(|value| value > *bound),
            Operator::LessThan(bound) => number(value).is_some_and(|value| value < *bound),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value.and_then(|value| value.parse().ok())
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

/// The grammar of k8s.io/apimachinery/pkg/labels.Parse.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start();
        for symbol in ["==", "!=", "=", "!", ",", "(", ")", "<", ">"] {
            if let Some(rest) = self.rest.strip_prefix(symbol) {
                let token = Token::Symbol(&self.rest[..symbol.len()]);
                self.rest = rest;
                return token;
            }
        }
        let end = self
            .rest
            .find(|char: char| char.is_whitespace() || "=!,()<>".contains(char))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.is_empty() {
            Token::End
        } else {
            Token::Word(word)
        }
    }

    fn peek(&self) -> Token<'a> {
        Tokens { rest: self.rest }.next()
    }
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let mut tokens = Tokens { rest: text };
    let mut requirements = Vec::new();
    if tokens.peek() == Token::End {
        return Ok(requirements);
    }
    loop {
        requirements.push(
            parse_requirement(&mut tokens)
                .map_err(|error| format!("unable to parse requirement: {error}"))?,
        );
        match tokens.next() {
            Token::End => return Ok(requirements),
            Token::Symbol(",") => {}
            other => {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    spelled(&other)
                ));
            }
        }
        if !matches!(tokens.peek(), Token::Word(_) | Token::Symbol("!")) {
            return Err(format!(
                "found '{}', expected: identifier after ','",
                spelled(&tokens.peek())
            ));
        }
    }
}

fn parse_requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, String> {
    let absent = tokens.peek() == Token::Symbol("!");
    if absent {
        tokens.next();
    }
    let key = match tokens.next() {
        Token::Word(key) => key,
        other => return Err(format!("found '{}', expected: identifier", spelled(&other))),
    };
    let operator = if absent {
        Operator::DoesNotExist
    } else {
        match tokens.peek() {
            Token::End | Token::Symbol(",") => Operator::Exists,
            Token::Symbol("=" | "==") => {
                tokens.next();
                Operator::In(vec![parse_value(tokens)])
            }
            Token::Symbol("!=") => {
                tokens.next();
                Operator::NotIn(vec![parse_value(tokens)])
            }
            Token::Symbol(sign @ ("<" | ">")) => {
                tokens.next();
                let bound = parse_value(tokens);
                let bound = bound.parse().map_err(|_| {
                    format!("for 'Gt', 'Lt' operators, the value must be an integer: '{bound}'")
                })?;
                if sign == ">" {
                    Operator::GreaterThan(bound)
                } else {
                    Operator::LessThan(bound)
                }
            }
            Token::Word("in") => {
                tokens.next();
                Operator::In(parse_values(tokens)?)
            }
            Token::Word("notin") => {
                tokens.next();
                Operator::NotIn(parse_values(tokens)?)
            }
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    spelled(&other)
                ));
            }
        }
    };
    Ok(Requirement {
        key: key.into(),
        operator,
    })
}

fn parse_value(tokens: &mut Tokens<'_>) -> Box<str> {
    match tokens.peek() {
        Token::Word(word) => {
            tokens.next();
            word.into()
        }
        _ => "".into(),
    }
}

fn parse_values(tokens: &mut Tokens<'_>) -> Result<Vec<Box<str>>, String> {
    if tokens.next() != Token::Symbol("(") {
        return Err("expected: '('".to_owned());
    }
    if tokens.peek() == Token::Symbol(")") {
        return Err("for 'in', 'notin' operators, values set can't be empty".to_owned());
    }
    let mut values = vec![parse_value(tokens)];
    loop {
        match tokens.next() {
            Token::Symbol(",") => values.push(parse_value(tokens)),
            Token::Symbol(")") => return Ok(values),
            other => return Err(format!("found '{}', expected: ',' or ')'", spelled(&other))),
        }
    }
}

fn spelled<'a>(token: &Token<'a>) -> &'a str {
    match token {
        Token::Word(text) | Token::Symbol(text) => text,
        Token::End => "",
    }
}

/// The grammar of k8s.io/apimachinery/pkg/fields.ParseSelector.
fn parse_fields(text: &str, schema: &Schema) -> Result<Vec<Term>, String> {
    let mut terms = Vec::new();
    for part in split_unescaped(text, ',') {
        if part.is_empty() {
            continue;
        }
        let (name, equal, value) = split_term(part)
            .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
        let field = schema
            .field(name)
            .ok_or_else(|| format!("field label not supported: {name}"))?;
        terms.push(Term {
            field,
            equal,
            value: unescape(value)?.into(),
        });
    }
    Ok(terms)
}

fn split_unescaped(text: &str, at: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, char) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if char == '\\' {
            escaped = true;
        } else if char == at {
            parts.push(&text[start..index]);
            start = index + char.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn split_term(part: &str) -> Option<(&str, bool, &str)> {
    let index = part.find(['=', '!'])?;
    let (name, rest) = part.split_at(index);
    if let Some(value) = rest.strip_prefix("!=") {
        Some((name, false, value))
    } else if let Some(value) = rest.strip_prefix("==") {
        Some((name, true, value))
    } else {
        rest.strip_prefix('=').map(|value| (name, true, value))
    }
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => out.push(next),
                Some(next) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{next}"
                    ));
                }
                None => {
                    return Err("invalid field selector: invalid escape sequence: \\".to_owned());
                }
            },
            '=' => {
                return Err(format!(
                    "invalid field selector: unescaped '=' in value '{value}'"
                ));
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object(labels: &str, node: &str) -> (Schema, Object) {
        let schema = Schema::new(
            &[("spec.nodeName".into(), "spec.nodeName".into())],
            true,
            "v1",
            "Pod",
        );
        let value =
            format!(r#"{{"metadata":{{"labels":{{{labels}}}}},"spec":{{"nodeName":"{node}"}}}}"#);
        let object = Object::new(&schema, "default", "web", 1, value.as_bytes().into());
        (schema, object)
    }

    fn matches(labels: &str, fields: &str) -> bool {
        let (schema, object) = object(r#""app":"web","tier":"1","empty":"""#, "n,1");
        Selector::parse(labels, fields, &schema)
            .unwrap()
            .matches(&object)
    }

    #[test]
    fn labels() {
        for yes in [
            "",
            " ",
            "app=web",
            "app==web",
            "app = web , tier=1",
            "app!=db",
            "none!=x",
            "app",
            "!none",
            "app in (db, web)",
            "app notin (db)",
            "none notin (x)",
            "tier>0",
            "tier<2",
            "empty=",
            "empty in (,a)",
            "app,tier",
            "! none,app",
        ] {
            assert!(matches(yes, ""), "{yes}");
        }
        for no in [
            "app=db",
            "app!=web",
            "none",
            "!app",
            "app in (db)",
            "app notin (web)",
            "tier>1",
            "app>1",
            "app=",
            "none=",
            "none in (x)",
        ] {
            assert!(!matches(no, ""), "{no}");
        }
    }

    #[test]
    fn fields() {
        for yes in [
            "",
            "metadata.name=web",
            "metadata.name==web,metadata.namespace=default",
            "metadata.name!=x",
            "spec.nodeName=n\\,1",
            ",",
        ] {
            assert!(matches("", yes), "{yes}");
        }
        for no in [
            "metadata.name=x",
            "metadata.name!=web",
            "spec.nodeName=",
            "metadata.namespace=x",
        ] {
            assert!(!matches("", no), "{no}");
        }
    }

    #[test]
    fn refuses_what_upstream_refuses() {
        let (schema, _) = object("", "");
        for bad in [
            "=a", "a in", "a in (", "a in ()", "a in (b", "a b", "a=b c", "!", "a,", ",a", "a>x",
            "(a)", "a=b,,c=d",
        ] {
            assert!(Selector::parse(bad, "", &schema).is_err(), "{bad}");
        }
        for bad in [
            "a",
            "spec.none=x",
            "metadata.name",
            "metadata.name=a\\b",
            "metadata.name=a=b",
        ] {
            assert!(Selector::parse("", bad, &schema).is_err(), "{bad}");
        }
        assert_eq!(
            Selector::parse("", "spec.none=x", &schema).unwrap_err(),
            "field label not supported: spec.none"
        );
    }

    #[test]
    fn knows_what_it_can_be_looked_up_by() {
        let (schema, _) = object("", "");
        let selector = Selector::parse("", "spec.nodeName=n1,metadata.name=web", &schema).unwrap();
        assert_eq!(selector.equals(Field::Name), Some("web"));
        assert_eq!(selector.declared(), Some((0, "n1")));
        assert_eq!(
            Selector::parse("", "spec.nodeName!=n1", &schema)
                .unwrap()
                .declared(),
            None
        );
    }
}
