//! EndpointSlices.

use std::net::IpAddr;

use serde::Deserialize;

use super::super::model::{Family, Protocol};
use super::super::select;
use super::{Decoded, Error, Meta, Str, Text, null_default};

/// One port of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    pub name: Box<str>,
    pub protocol: Protocol,
    pub port: u16,
}

/// One endpoint: its first address (the others are interchangeable with it) and its `select::` flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: IpAddr,
    pub flags: u8,
}

/// What forwarding knows about an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceSpec {
    pub family: Family,
    pub ports: Box<[SlicePort]>,
    pub endpoints: Box<[Endpoint]>,
}

/// A decoded slice: the service it belongs to (`namespace/name`) and when what it tells happened.
pub struct SliceObject {
    pub service: String,
    /// None for a slice of names (addressType FQDN) or of an unknown family.
    pub slice: Option<SliceSpec>,
    pub triggered: Option<Box<str>>,
}

/// The node for which the table is computed.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub name: String,
    pub zone: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSlice<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    address_type: Text<'a>,
    #[serde(borrow, default, deserialize_with = "null_default")]
    endpoints: Vec<RawEndpoint<'a>>,
    #[serde(borrow, default, deserialize_with = "null_default")]
    ports: Vec<RawSlicePort<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawEndpoint<'a> {
    #[serde(borrow, deserialize_with = "null_default")]
    addresses: Vec<Str<'a>>,
    #[serde(deserialize_with = "null_default")]
    conditions: RawConditions,
    #[serde(borrow)]
    node_name: Text<'a>,
    #[serde(borrow, deserialize_with = "null_default")]
    hints: RawHints<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawHints<'a> {
    #[serde(borrow, deserialize_with = "null_default")]
    for_zones: Vec<RawHint<'a>>,
    #[serde(borrow, deserialize_with = "null_default")]
    for_nodes: Vec<RawHint<'a>>,
}

#[derive(Deserialize)]
struct RawHint<'a> {
    #[serde(borrow)]
    name: Str<'a>,
}

#[derive(Deserialize)]
struct RawSlicePort<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    protocol: Text<'a>,
    #[serde(default)]
    port: Option<u16>,
}

/// Reads an EndpointSlice as this node sees it.
pub fn slice(json: &[u8], node: &Node) -> Result<Decoded<SliceObject>, Error> {
    let raw: RawSlice<'_> = serde_json::from_slice(json).map_err(|e| Error::Json(e.to_string()))?;
    let key = raw.metadata.key()?;
    let label = raw
        .metadata
        .labels
        .service
        .as_deref()
        .filter(|s| !s.is_empty());
    let label = label.ok_or(Error::Missing(
        "metadata.labels[kubernetes.io/service-name]",
    ))?;
    let service = format!("{}/{label}", raw.metadata.namespace());
    let triggered = raw.metadata.annotations.triggered.as_deref().map(Box::from);
    let mut warnings = Vec::new();
    let family = match raw.address_type.as_deref() {
        Some("IPv4") => Family::V4,
        Some("IPv6") => Family::V6,
        _ => {
            return Ok(Decoded {
                key,
                spec: SliceObject {
                    service,
                    slice: None,
                    triggered,
                },
                warnings,
            });
        }
    };
    let mut endpoints = Vec::with_capacity(raw.endpoints.len());
    for endpoint in &raw.endpoints {
        let Some(text) = endpoint.addresses.first() else {
            continue;
        };
        match text.parse::<IpAddr>() {
            Ok(address) if Family::of(&address) == family => {
                endpoints.push(Endpoint { address, flags: flags(endpoint, node) });
            }
            _ => warnings.push(format!("endpoints.addresses: Invalid value: {text:?}: must be an address of the slice's addressType")),
        }
    }
    let mut ports = Vec::with_capacity(raw.ports.len());
    for port in &raw.ports {
        // No number means all ports, which only a headless Service can use.
        let Some(number) = port.port.filter(|&n| n != 0) else {
            continue;
        };
        let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else {
            let value = port.protocol.as_deref().unwrap_or_default();
            warnings.push(format!("ports.protocol: Unsupported value: {value:?}: supported values: \"SCTP\", \"TCP\", \"UDP\""));
            continue;
        };
        ports.push(SlicePort {
            name: port.name.as_deref().unwrap_or_default().into(),
            protocol,
            port: number,
        });
    }
    let slice = Some(SliceSpec {
        family,
        ports: ports.into(),
        endpoints: endpoints.into(),
    });
    Ok(Decoded {
        key,
        spec: SliceObject {
            service,
            slice,
            triggered,
        },
        warnings,
    })
}

fn flags(endpoint: &RawEndpoint<'_>, node: &Node) -> u8 {
    let conditions = &endpoint.conditions;
    let hints = &endpoint.hints;
    let here = |wanted: &[RawHint<'_>], name: &str| {
        !name.is_empty() && wanted.iter().any(|hint| &*hint.name == name)
    };
    let mut flags = 0;
    // Absent conditions mean ready, serving and not terminating (EndpointConditions in discovery/v1).
    for (set, flag) in [
        (conditions.ready.unwrap_or(true), select::READY),
        (conditions.serving.unwrap_or(true), select::SERVING),
        (conditions.terminating.unwrap_or(false), select::TERMINATING),
        (
            !node.name.is_empty() && endpoint.node_name.as_deref() == Some(&node.name),
            select::LOCAL,
        ),
        (!hints.for_nodes.is_empty(), select::NODE_HINTS),
        (here(&hints.for_nodes, &node.name), select::NODE_HINT_HERE),
        (!hints.for_zones.is_empty(), select::ZONE_HINTS),
        (here(&hints.for_zones, &node.zone), select::ZONE_HINT_HERE),
    ] {
        if set {
            flags |= flag;
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node() -> Node {
        Node {
            name: "n1".into(),
            zone: "z1".into(),
        }
    }

    #[test]
    fn nulls_are_empty() {
        let text = br#"{"metadata":{"name":"s-1","namespace":"d","labels":{"kubernetes.io/service-name":"s"}},"addressType":"IPv4","endpoints":null,"ports":null}"#;
        let decoded = slice(text, &node()).unwrap();
        assert_eq!(decoded.spec.service, "d/s");
        assert!(decoded.spec.slice.unwrap().endpoints.is_empty());
    }

    #[test]
    fn conditions_default_to_ready_and_serving() {
        let text = br#"{"metadata":{"name":"s-1","namespace":"d","labels":{"kubernetes.io/service-name":"s"}},"addressType":"IPv4",
            "endpoints":[{"addresses":["10.1.0.1"]},{"addresses":["10.1.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true},"nodeName":"n1",
            "hints":{"forZones":[{"name":"z1"}]}}],"ports":[{"name":"","port":8080},{"name":"all"}]}"#;
        let slice = slice(text, &node()).unwrap().spec.slice.unwrap();
        assert_eq!(slice.endpoints[0].flags, select::READY | select::SERVING);
        let wanted = select::SERVING
            | select::TERMINATING
            | select::LOCAL
            | select::ZONE_HINTS
            | select::ZONE_HINT_HERE;
        assert_eq!(slice.endpoints[1].flags, wanted);
        assert_eq!(slice.ports.len(), 1);
    }
}
