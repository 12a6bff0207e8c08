//! Services.

use std::net::IpAddr;

use serde::Deserialize;

use super::super::model::{Cidr, Claim, Family, Frontend, Kind, Protocol};
use super::super::scheduling::Scheduling;
use super::super::select;
use super::{Decoded, Error, Meta, Str, Text, null_default};

/// `spec.sessionAffinityConfig.clientIP.timeoutSeconds` where it is absent: 3 hours (API default).
const DEFAULT_AFFINITY_SECONDS: u32 = 10800;

/// One `spec.ports[]` in one family, with the frontends that it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    pub name: Box<str>,
    pub protocol: Protocol,
    pub family: Family,
    pub claims: Box<[Claim]>,
}

/// What forwarding knows about a Service. Without ports it is not forwarded (headless, ExternalName, no address yet).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSpec {
    pub ports: Vec<PortSpec>,
    pub affinity_seconds: u32,
    pub scheduling: Option<Scheduling>,
    pub uses: select::Uses,
    /// Of both families, sorted.
    pub source_ranges: Box<[Cidr]>,
    pub health_port: u16,
}

#[derive(Deserialize)]
struct RawService<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default, deserialize_with = "null_default")]
    spec: RawServiceSpec<'a>,
    #[serde(borrow, default, deserialize_with = "null_default")]
    status: RawServiceStatus<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawServiceSpec<'a> {
    #[serde(rename = "type", borrow)]
    type_: Text<'a>,
    #[serde(rename = "clusterIP", borrow)]
    cluster_ip: Text<'a>,
    #[serde(rename = "clusterIPs", borrow, deserialize_with = "null_default")]
    cluster_ips: Vec<Str<'a>>,
    #[serde(rename = "externalIPs", borrow, deserialize_with = "null_default")]
    external_ips: Vec<Str<'a>>,
    #[serde(borrow, deserialize_with = "null_default")]
    ports: Vec<RawServicePort<'a>>,
    #[serde(borrow)]
    session_affinity: Text<'a>,
    #[serde(deserialize_with = "null_default")]
    session_affinity_config: RawAffinityConfig,
    #[serde(borrow)]
    internal_traffic_policy: Text<'a>,
    #[serde(borrow)]
    external_traffic_policy: Text<'a>,
    #[serde(borrow, deserialize_with = "null_default")]
    load_balancer_source_ranges: Vec<Str<'a>>,
    #[serde(deserialize_with = "null_default")]
    health_check_node_port: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawServicePort<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    protocol: Text<'a>,
    port: u16,
    #[serde(default, deserialize_with = "null_default")]
    node_port: u16,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawAffinityConfig {
    #[serde(rename = "clientIP", deserialize_with = "null_default")]
    client_ip: RawClientIp,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawClientIp {
    timeout_seconds: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawServiceStatus<'a> {
    #[serde(borrow, deserialize_with = "null_default")]
    load_balancer: RawLoadBalancer<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawLoadBalancer<'a> {
    #[serde(borrow, deserialize_with = "null_default")]
    ingress: Vec<RawIngress<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct RawIngress<'a> {
    #[serde(borrow)]
    ip: Text<'a>,
    #[serde(borrow)]
    ip_mode: Text<'a>,
}

/// Reads a Service.
pub fn service(json: &[u8]) -> Result<Decoded<ServiceSpec>, Error> {
    let raw: RawService<'_> =
        serde_json::from_slice(json).map_err(|e| Error::Json(e.to_string()))?;
    let key = raw.metadata.key()?;
    let mut warnings = Vec::new();
    let mut spec = ServiceSpec::default();
    let raw_spec = &raw.spec;
    let cluster_ips: &[Str<'_>] = match (&raw_spec.cluster_ip, &*raw_spec.cluster_ips) {
        (Some(single), []) => std::slice::from_ref(single),
        (_, several) => several,
    };
    let headless = cluster_ips.is_empty()
        || cluster_ips
            .iter()
            .any(|ip| ip.is_empty() || &**ip == "None");
    if headless || raw_spec.type_.as_deref() == Some("ExternalName") {
        return Ok(Decoded {
            key,
            spec,
            warnings,
        });
    }
    let mut addresses = |field: &str, texts: &mut dyn Iterator<Item = &str>| -> Vec<IpAddr> {
        let mut read = Vec::new();
        for text in texts {
            match text.parse::<IpAddr>() {
                Ok(ip) if !ip.is_unspecified() => read.push(ip),
                _ => warnings.push(format!(
                    "{field}: Invalid value: {text:?}: must be a valid IP address"
                )),
            }
        }
        read
    };
    let cluster_ips = addresses("spec.clusterIPs", &mut cluster_ips.iter().map(|ip| &**ip));
    let external_ips = addresses(
        "spec.externalIPs",
        &mut raw_spec.external_ips.iter().map(|ip| &**ip),
    );
    // A load balancer of mode Proxy delivers to node ports itself, so its address must not be short-circuited here.
    let ingress = raw
        .status
        .load_balancer
        .ingress
        .iter()
        .filter(|i| i.ip_mode.as_deref() != Some("Proxy"));
    let mut ingress_ips = addresses(
        "status.loadBalancer.ingress",
        &mut ingress
            .filter_map(|i| i.ip.as_deref())
            .filter(|ip| !ip.is_empty()),
    );
    let mut ranges = Vec::new();
    for text in &raw_spec.load_balancer_source_ranges {
        match Cidr::parse(text) {
            Some(range) => ranges.push(range),
            None => warnings.push(format!(
                "spec.loadBalancerSourceRanges: Invalid value: {:?}: must be a valid CIDR value",
                &**text
            )),
        }
    }
    if ranges.is_empty() && !raw_spec.load_balancer_source_ranges.is_empty() {
        // Without a filter this would open what its owner closed.
        ingress_ips.clear();
    }
    ranges.sort_unstable();
    ranges.dedup();
    spec.source_ranges = ranges.into();
    if raw_spec.session_affinity.as_deref() == Some("ClientIP") {
        let timeout = raw_spec.session_affinity_config.client_ip.timeout_seconds;
        spec.affinity_seconds = timeout
            .filter(|&s| s > 0)
            .unwrap_or(DEFAULT_AFFINITY_SECONDS);
    }
    if let Some(text) = raw.metadata.annotations.scheduler.as_deref() {
        match Scheduling::parse(text) {
            Ok(scheduling) => spec.scheduling = Some(scheduling),
            Err(wrong) => warnings.push(format!(
                "metadata.annotations[orlop/ipvs-scheduler]: {wrong}: the node's own is used"
            )),
        }
    }
    let internal_local = raw_spec.internal_traffic_policy.as_deref() == Some("Local");
    let external_local = raw_spec.external_traffic_policy.as_deref() == Some("Local");
    if external_local {
        spec.health_port = raw_spec.health_check_node_port;
    }
    let node_ports = matches!(raw_spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"));
    let mut external = !external_ips.is_empty() || !ingress_ips.is_empty();
    for family in [Family::V4, Family::V6] {
        // A Service has a family when it has a cluster IP of it.
        if !cluster_ips.iter().any(|ip| Family::of(ip) == family) {
            continue;
        }
        for port in &raw_spec.ports {
            let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else {
                let value = port.protocol.as_deref().unwrap_or_default();
                warnings.push(format!("spec.ports.protocol: Unsupported value: {value:?}: supported values: \"SCTP\", \"TCP\", \"UDP\""));
                continue;
            };
            let mut claims = Vec::new();
            let lists = [
                (Kind::ClusterIp, &cluster_ips, internal_local),
                (Kind::LoadBalancer, &ingress_ips, external_local),
                (Kind::ExternalIp, &external_ips, external_local),
            ];
            for (kind, list, local) in lists {
                for &address in list.iter().filter(|ip| Family::of(ip) == family) {
                    claims.push(Claim {
                        kind,
                        frontend: Frontend {
                            address,
                            port: port.port,
                            protocol,
                        },
                        local,
                    });
                }
            }
            if node_ports && port.node_port != 0 {
                external = true;
                let frontend = Frontend {
                    address: family.unspecified(),
                    port: port.node_port,
                    protocol,
                };
                claims.push(Claim {
                    kind: Kind::NodePort,
                    frontend,
                    local: external_local,
                });
            }
            claims.sort_unstable();
            // The same address under two kinds is one frontend: the first kind by precedence keeps it.
            let mut seen = Vec::with_capacity(claims.len());
            claims.retain(|claim| {
                !seen.contains(&claim.frontend) && (seen.push(claim.frontend), true).1
            });
            let name = port.name.as_deref().unwrap_or_default().into();
            spec.ports.push(PortSpec {
                name,
                protocol,
                family,
                claims: claims.into(),
            });
        }
    }
    spec.uses = select::Uses {
        cluster: !internal_local || external,
        local: internal_local || (external && external_local),
    };
    Ok(Decoded {
        key,
        spec,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nulls_and_absent_fields_are_empty() {
        let text = br#"{"metadata":{"name":"s","namespace":"d","labels":null},"spec":{"clusterIP":"10.0.0.1","ports":null}}"#;
        let decoded = service(text).unwrap();
        assert_eq!(decoded.key, "d/s");
        assert!(decoded.spec.ports.is_empty());
    }

    #[test]
    fn load_balancer_addresses_count_unless_a_proxy_stands_before() {
        let kinds = |spec: &str, ingress: &str| {
            let text = format!(
                r#"{{"metadata":{{"name":"s","namespace":"d"}},"spec":{{"type":"LoadBalancer","clusterIP":"10.0.0.1",{spec}
                "ports":[{{"port":80}}]}},"status":{{"loadBalancer":{{"ingress":[{{"ip":"192.0.2.1"{ingress}}}]}}}}}}"#
            );
            let decoded = service(text.as_bytes()).unwrap();
            (
                decoded.spec.ports[0]
                    .claims
                    .iter()
                    .map(|c| c.kind)
                    .collect::<Vec<_>>(),
                decoded.warnings.len(),
            )
        };
        assert_eq!(
            kinds("", ""),
            (vec![Kind::ClusterIp, Kind::LoadBalancer], 0)
        );
        assert_eq!(
            kinds("", r#","ipMode":"Proxy""#),
            (vec![Kind::ClusterIp], 0)
        );
        assert_eq!(
            kinds(r#""loadBalancerSourceRanges":["nonsense"],"#, ""),
            (vec![Kind::ClusterIp], 1),
            "nobody may ask, as nothing says who may"
        );
    }

    #[test]
    fn source_ranges_are_read_without_host_bits_and_the_health_port_for_policy_local() {
        let text = br#"{"metadata":{"name":"s","namespace":"d"},"spec":{"type":"LoadBalancer","clusterIP":"10.0.0.1",
            "externalTrafficPolicy":"Local","healthCheckNodePort":30500,"ports":[{"port":80}],
            "loadBalancerSourceRanges":["192.0.2.77/24","fd00::1/16"," 10.0.0.0/8","0.0.0.0/0","1.2.3.4/33"]}}"#;
        let decoded = service(text).unwrap();
        let ranges = decoded.spec.source_ranges.iter();
        assert_eq!(
            ranges.map(ToString::to_string).collect::<Vec<_>>(),
            ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/24", "fd00::/16"]
        );
        assert_eq!(
            (decoded.warnings.len(), decoded.spec.health_port),
            (1, 30500)
        );
        let cluster = String::from_utf8_lossy(text).replace("Local", "Cluster");
        assert_eq!(service(cluster.as_bytes()).unwrap().spec.health_port, 0);
    }

    #[test]
    fn headless_and_external_name_are_left_out() {
        for spec in [
            r#"{"clusterIP":"None","ports":[{"port":80}]}"#,
            r#"{"type":"ExternalName","externalName":"x"}"#,
            r#"{"clusterIP":"","ports":[{"port":80}]}"#,
        ] {
            let text = format!(r#"{{"metadata":{{"name":"s","namespace":"d"}},"spec":{spec}}}"#);
            assert!(
                service(text.as_bytes()).unwrap().spec.ports.is_empty(),
                "{spec}"
            );
        }
    }

    #[test]
    fn dual_stack_with_node_port_and_external_ip() {
        let text = br#"{"metadata":{"name":"s","namespace":"d"},"spec":{"type":"NodePort","clusterIPs":["10.0.0.1","fd00::1"],
            "externalIPs":["192.0.2.7"],"externalTrafficPolicy":"Local","sessionAffinity":"ClientIP",
            "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":60}},"ports":[{"name":"p","protocol":"UDP","port":53,"nodePort":30053}]}}"#;
        let spec = service(text).unwrap().spec;
        assert_eq!(spec.affinity_seconds, 60);
        assert_eq!(
            spec.uses,
            select::Uses {
                cluster: true,
                local: true
            }
        );
        let kinds: Vec<_> = spec
            .ports
            .iter()
            .map(|p| {
                p.claims
                    .iter()
                    .map(|c| (c.kind, c.local))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(
            kinds[0],
            [
                (Kind::ClusterIp, false),
                (Kind::NodePort, true),
                (Kind::ExternalIp, true)
            ]
        );
        assert_eq!(kinds[1], [(Kind::ClusterIp, false), (Kind::NodePort, true)]);
    }

    #[test]
    fn bad_input_is_named() {
        assert_eq!(
            service(b"{\"metadata\":{}}").err(),
            Some(Error::Missing("metadata.name"))
        );
        assert!(matches!(service(b"[").err(), Some(Error::Json(_))));
        let text = br#"{"metadata":{"name":"s","namespace":"d"},"spec":{"clusterIP":"10.0.0.1","externalIPs":["nonsense"],"ports":[{"port":80}]}}"#;
        let decoded = service(text).unwrap();
        assert_eq!(decoded.spec.ports.len(), 1);
        assert_eq!(
            decoded.warnings,
            ["spec.externalIPs: Invalid value: \"nonsense\": must be a valid IP address"]
        );
    }
}
