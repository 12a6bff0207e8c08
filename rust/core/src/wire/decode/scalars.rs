//! Values that hold no others, the types that read themselves, and values of no type.

use super::super::error::Result;
use super::super::go::{parse_float, parse_int};
use super::super::table::{self, Shape, TypeId};
use super::super::text::unescape;
use super::super::{duration, quantity, time, write};
use super::{Decoder, Found, kind_of};

impl Decoder<'_> {
    pub(super) fn text(&mut self) -> Result<Found> {
        let start = self.s.at;
        let text = self.s.string()?;
        if text.plain {
            self.out.extend_from_slice(&self.s.data[start..self.s.at]);
        } else {
            write::string(&mut self.out, &unescape(text.raw));
        }
        Ok(if text.raw.is_empty() {
            Found::Empty
        } else {
            Found::Value
        })
    }

    pub(super) fn int(&mut self, id: TypeId, least: i64, most: i64) -> Result<Found> {
        let number = self.s.number()?;
        match parse_int(number) {
            Some(value) if (least..=most).contains(&value) => {
                write::int(&mut self.out, value);
                Ok(if value == 0 {
                    Found::Empty
                } else {
                    Found::Value
                })
            }
            _ => Ok(self.wrong_number(number, table::get(id).go)),
        }
    }

    pub(super) fn float(&mut self, id: TypeId) -> Result<Found> {
        let number = self.s.number()?;
        match parse_float(number) {
            Some(value) => {
                write::float(&mut self.out, value);
                Ok(if value == 0.0 {
                    Found::Empty
                } else {
                    Found::Value
                })
            }
            None => Ok(self.wrong_number(number, table::get(id).go)),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Found> {
        let text = self.s.string()?;
        match write::base64_decode(&text.value()) {
            Ok(data) => {
                self.out.push(b'"');
                write::base64(&mut self.out, &data);
                self.out.push(b'"');
                Ok(if data.is_empty() {
                    Found::Empty
                } else {
                    Found::Value
                })
            }
            Err(at) => {
                self.save(format!("illegal base64 data at input byte {at}"));
                Ok(Found::Nothing)
            }
        }
    }

    /// Go also takes a list of numbers for a []byte.
    pub(super) fn byte_list(&mut self) -> Result<Found> {
        self.enter()?;
        let mut data = Vec::new();
        let mut more = self.s.first_item();
        while more {
            match self.s.peek() {
                b'n' => {
                    self.s.literal("null")?;
                    data.push(0);
                }
                b'-' | b'0'..=b'9' => {
                    let number = self.s.number()?;
                    match parse_int(number).and_then(|value| u8::try_from(value).ok()) {
                        Some(byte) => data.push(byte),
                        None => {
                            self.wrong_number(number, "uint8");
                        }
                    }
                }
                first => {
                    self.mismatch(first, "uint8")?;
                }
            }
            more = self.s.next_item()?;
        }
        self.depth -= 1;
        self.out.push(b'"');
        write::base64(&mut self.out, &data);
        self.out.push(b'"');
        Ok(if data.is_empty() {
            Found::Empty
        } else {
            Found::Value
        })
    }

    pub(super) fn quantity(&mut self, first: u8) -> Result<Found> {
        let start = self.s.at;
        let raw = match first {
            b'"' => self.s.string()?.raw,
            _ => {
                self.s.skip(self.depth)?;
                &self.s.data[start..self.s.at]
            }
        };
        // Upstream does not look at escapes here.
        let text = std::str::from_utf8(raw).unwrap_or("").trim();
        match quantity::canonical(text) {
            Ok(None) => write::string(&mut self.out, text.as_bytes()),
            Ok(Some(better)) => write::string(&mut self.out, better.as_bytes()),
            Err(message) => return Ok(self.broken(message.to_owned())),
        }
        Ok(Found::Value)
    }

    pub(super) fn time(&mut self, first: u8, micro: bool) -> Result<Found> {
        let Some(text) = self.own_string(first)? else {
            return Ok(Found::Nothing);
        };
        match time::parse(&text, micro) {
            Ok(at) if at == time::ZERO => Ok(Found::Nothing),
            Ok(at) => {
                time::format(&mut self.out, at, micro);
                Ok(Found::Value)
            }
            Err(message) => Ok(self.broken(message)),
        }
    }

    pub(super) fn duration(&mut self, first: u8) -> Result<Found> {
        let Some(text) = self.own_string(first)? else {
            return Ok(Found::Nothing);
        };
        match duration::parse(&text) {
            Ok(nanos) => {
                write::string(&mut self.out, duration::format(nanos).as_bytes());
                Ok(Found::Value)
            }
            Err(message) => Ok(self.broken(message)),
        }
    }

    /// The string that a type which reads itself asks for.
    pub(super) fn own_string(&mut self, first: u8) -> Result<Option<String>> {
        if first == b'"' {
            return Ok(Some(self.s.string()?.string().into_owned()));
        }
        self.s.skip(self.depth)?;
        let message = self.mismatch_message(kind_of(first), "string");
        self.broken(message);
        Ok(None)
    }

    pub(super) fn int_or_string(&mut self, first: u8) -> Result<Found> {
        match first {
            b'"' => {
                self.text()?;
                Ok(Found::Value)
            }
            b'-' | b'0'..=b'9' => {
                let number = self.s.number()?;
                match parse_int(number) {
                    Some(value) if i32::try_from(value).is_ok() => {
                        write::int(&mut self.out, value);
                        Ok(Found::Value)
                    }
                    _ => {
                        let number = format!("number {}", String::from_utf8_lossy(number));
                        let message = self.mismatch_message(&number, "int32");
                        Ok(self.broken(message))
                    }
                }
            }
            _ => {
                self.s.skip(self.depth)?;
                let message = self.mismatch_message(kind_of(first), "int32");
                Ok(self.broken(message))
            }
        }
    }

    /// The three unions of apiextensions, which read themselves and so never complain about unknown fields.
    pub(super) fn props(&mut self, id: TypeId, first: u8) -> Result<Found> {
        let shape = table::get(id).shape;
        let find = |key: &str| table::find(key).unwrap_or(id);
        self.quiet += 1;
        let found = match (first, shape) {
            (b'{', _) => self.value(find("apiextensions/v1.JSONSchemaProps")),
            (b'[', Shape::PropsOrArray) => self.value(find("[]apiextensions/v1.JSONSchemaProps")),
            (b'[', Shape::PropsOrStrings) => self.value(find("[]string")),
            (b't' | b'f', Shape::PropsOrBool) => self.value(find("bool")).map(|_| Found::Value),
            (_, Shape::PropsOrBool) => {
                self.s.skip(self.depth)?;
                Ok(self.broken("boolean or JSON schema expected".to_owned()))
            }
            _ => self.s.skip(self.depth).map(|()| Found::Nothing),
        };
        self.quiet -= 1;
        // An empty list is nil inside, and nil is null.
        match found? {
            Found::Empty => {
                self.out.truncate(self.out.len() - 2);
                Ok(Found::Nothing)
            }
            other => Ok(other),
        }
    }

    pub(super) fn any(&mut self) -> Result<()> {
        match self.s.peek() {
            b'{' => self.members(None).map(|_| ()),
            b'[' => self.items(None).map(|_| ()),
            b'"' => self.text().map(|_| ()),
            b'-' | b'0'..=b'9' => {
                let number = self.s.number()?;
                let int = if number.contains(&b'.') {
                    None
                } else {
                    parse_int(number)
                };
                match (int, parse_float(number)) {
                    (Some(value), _) => write::int(&mut self.out, value),
                    (None, Some(value)) => write::float(&mut self.out, value),
                    (None, None) => {
                        self.wrong_number(number, "float64");
                    }
                }
                Ok(())
            }
            c @ (b't' | b'f' | b'n') => {
                let word = match c {
                    b't' => "true",
                    b'f' => "false",
                    _ => "null",
                };
                self.out.extend_from_slice(word.as_bytes());
                self.s.literal(word)
            }
            _ => self.s.wrong("looking for beginning of value"),
        }
    }
}
