//! Expressions that choose devices: `device` with its driver, and with attributes and capacity by domain and name.
//!
//! The types are those of k8s.io/dynamic-resource-allocation/cel: versions are semantic ones, capacity is a quantity,
//! and a domain that a device has nothing of is empty instead of an error.

use super::eval::evaluate;
use super::functions::{parse_quantity, parse_semver};
use super::{Failure, Meter, Program, Value};
use crate::wire::apply::tree::Node;
use std::rc::Rc;

/// One expression that says of a device whether it is wanted.
#[derive(Debug)]
pub struct Selector(Result<Program, String>);

/// A device as expressions see it, read once for all of them.
#[derive(Debug)]
pub struct Device {
    driver: String,
    shared: bool,
    attributes: Domains<Attribute>,
    capacity: Domains<i128>,
}

/// Values by domain, and by name within it.
type Domains<T> = Vec<(String, Vec<(String, T)>)>;

#[derive(Debug)]
enum Attribute {
    Int(i64),
    Bool(bool),
    Text(String),
    Version([u64; 3], String),
    /// What an expression hears that looks at the device.
    Unknown(String),
}

impl Selector {
    /// Reads an expression; one that cannot be read tells so when it is asked.
    pub fn new(text: &str) -> Self {
        Selector(Program::parse(text).map_err(|why| format!("CEL compile error: {why}")))
    }

    /// Whether the expression holds for the device.
    ///
    /// # Errors
    /// Where it cannot be read, does not come to true or false, or costs more than one expression may.
    pub fn matches(&self, device: &Device) -> Result<bool, String> {
        let program = self.0.as_ref().map_err(Clone::clone)?;
        let failed = |why: &str| format!("CEL runtime error: {why}");
        let names = vec![("device".to_owned(), device.value().map_err(|e| failed(&e))?)];
        match evaluate(program, names, &mut Meter::default()) {
            Ok(Value::Bool(matches)) => Ok(matches),
            Ok(other) => Err(failed(&format!(
                "CEL result of type {} could not be converted to bool",
                other.kind()
            ))),
            Err(Failure::Error(why)) => Err(failed(&why)),
            Err(_) => Err(failed("operation cancelled: actual cost limit exceeded")),
        }
    }
}

impl Device {
    /// Reads a device of a ResourceSlice; `driver` is the domain of names without one.
    ///
    /// # Errors
    /// For what is no JSON object, and for a capacity that is no quantity.
    pub fn read(driver: &str, json: &[u8]) -> Result<Self, String> {
        let node = Node::parse(json).map_err(|error| error.to_string())?;
        let mut attributes = Vec::new();
        for (name, value) in entries(node.get(b"attributes")) {
            put(&mut attributes, driver, &name, attribute(&name, value));
        }
        let mut capacity = Vec::new();
        for (name, value) in entries(node.get(b"capacity")) {
            let text = text(value.get(b"value")).unwrap_or_default();
            let amount = parse_quantity(&text)
                .ok_or_else(|| format!("capacity {name}: {text:?} is no quantity"))?;
            put(&mut capacity, driver, &name, amount);
        }
        Ok(Device {
            driver: driver.to_owned(),
            shared: matches!(
                node.get(b"allowMultipleAllocations"),
                Some(Node::Bool(true))
            ),
            attributes,
            capacity,
        })
    }

    fn value(&self) -> Result<Value<'static>, String> {
        let attributes = domains(&self.attributes, |attribute| match attribute {
            Attribute::Int(value) => Ok(Value::Int(*value)),
            Attribute::Bool(value) => Ok(Value::Bool(*value)),
            Attribute::Text(value) => Ok(Value::text(value.as_str())),
            Attribute::Version(numbers, pre) => {
                Ok(Value::Semver(Rc::new(*numbers), pre.as_str().into()))
            }
            Attribute::Unknown(why) => Err(why.clone()),
        })?;
        let capacity = domains(&self.capacity, |amount| Ok(Value::Quantity(*amount)))?;
        Ok(Value::Map(Rc::new(vec![
            (Value::text("driver"), Value::text(self.driver.as_str())),
            (
                Value::text("allowMultipleAllocations"),
                Value::Bool(self.shared),
            ),
            (Value::text("attributes"), attributes),
            (Value::text("capacity"), capacity),
        ])))
    }
}

fn domains<T>(
    of: &Domains<T>,
    value: impl Fn(&T) -> Result<Value<'static>, String>,
) -> Result<Value<'static>, String> {
    let mut out = Vec::with_capacity(of.len());
    for (domain, names) in of {
        let mut inner = Vec::with_capacity(names.len());
        for (name, one) in names {
            inner.push((Value::text(name.as_str()), value(one)?));
        }
        out.push((Value::text(domain.as_str()), Value::Map(Rc::new(inner))));
    }
    Ok(Value::Domains(Rc::new(out)))
}

fn put<T>(all: &mut Domains<T>, driver: &str, name: &str, value: T) {
    let (domain, id) = name.split_once('/').unwrap_or((driver, name));
    match all.iter_mut().find(|(known, _)| known == domain) {
        Some((_, names)) => names.push((id.to_owned(), value)),
        None => all.push((domain.to_owned(), vec![(id.to_owned(), value)])),
    }
}

fn entries<'n>(node: Option<&'n Node<'n>>) -> Vec<(String, &'n Node<'n>)> {
    match node {
        Some(Node::Map(entries)) => entries
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value))
            .collect(),
        _ => Vec::new(),
    }
}

fn text(node: Option<&Node<'_>>) -> Option<String> {
    match node {
        Some(Node::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

fn attribute(name: &str, node: &Node<'_>) -> Attribute {
    if let Some(Node::Number(number)) = node.get(b"int") {
        let number = std::str::from_utf8(number)
            .ok()
            .and_then(|n| n.parse().ok());
        if let Some(number) = number {
            return Attribute::Int(number);
        }
    }
    if let Some(Node::Bool(value)) = node.get(b"bool") {
        return Attribute::Bool(*value);
    }
    if let Some(value) = text(node.get(b"string")) {
        return Attribute::Text(value);
    }
    if let Some(value) = text(node.get(b"version")) {
        return match parse_semver(&value, false) {
            Ok((numbers, pre)) => Attribute::Version(numbers, pre),
            Err(why) => {
                Attribute::Unknown(format!("attribute {name}: parse semantic version: {why}"))
            }
        };
    }
    Attribute::Unknown(format!("attribute {name}: unsupported attribute value"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DEVICE: &[u8] = br#"{"name":"gpu-0","allowMultipleAllocations":true,
        "attributes":{"model":{"string":"a100"},"cores":{"int":80},"ecc":{"bool":true},
            "driverVersion":{"version":"1.10.2"},"numa.example.com/node":{"int":1}},
        "capacity":{"memory":{"value":"40Gi"}}}"#;

    fn matches(text: &str) -> Result<bool, String> {
        Selector::new(text).matches(&Device::read("gpu.example.com", DEVICE).unwrap())
    }

    #[test]
    fn what_expressions_say_of_a_device() {
        for text in [
            "device.driver == 'gpu.example.com'",
            "device.attributes['gpu.example.com'].model == 'a100'",
            "device.attributes['gpu.example.com'].cores >= 80 && device.attributes['gpu.example.com'].ecc",
            "device.attributes['numa.example.com'].node == 1",
            "device.attributes['gpu.example.com'].driverVersion.isGreaterThan(semver('1.9.0'))",
            "device.capacity['gpu.example.com'].memory.compareTo(quantity('40Gi')) == 0",
            "device.capacity['gpu.example.com'].memory.isGreaterThan(quantity('39Gi'))",
            "!('model' in device.attributes['other.example.com'])",
            "!('other.example.com' in device.attributes) && 'gpu.example.com' in device.attributes",
            "!has(device.attributes['other.example.com'].model)",
            "device.attributes[?'gpu.example.com'][?'model'].orValue('') == 'a100'",
            "cel.bind(dra, device.attributes['gpu.example.com'], dra.ecc && dra.cores == 80)",
            "device.allowMultipleAllocations",
        ] {
            assert_eq!(matches(text), Ok(true), "{text}");
        }
    }

    #[test]
    fn what_has_no_answer_says_why() {
        let missing = matches("device.attributes['gpu.example.com'].nothing == 1");
        assert_eq!(
            missing,
            Err("CEL runtime error: no such key: nothing".to_owned())
        );
        assert!(
            matches("device.")
                .unwrap_err()
                .starts_with("CEL compile error: ")
        );
        assert!(
            matches("'text'")
                .unwrap_err()
                .contains("could not be converted to bool")
        );
        let odd = Device::read("d", br#"{"attributes":{"a":{"strings":["x"]}}}"#).unwrap();
        assert_eq!(
            Selector::new("true").matches(&odd),
            Err("CEL runtime error: attribute a: unsupported attribute value".to_owned())
        );
        assert!(Device::read("d", br#"{"capacity":{"m":{"value":"lots"}}}"#).is_err());
    }
}
