//! The wanted table and what has changed in it.

mod claims;
mod endpoints;

use hashbrown::HashMap;
use slab::Slab;

use super::decode::{self, Decoded, Error, Node, PortSpec, ServiceSpec, SliceSpec};
use super::model::{Backend, Cidr, Claim, Family, Frontend, Kind, PortName, Protocol, State};
use super::scheduling::Scheduling;
use super::select::{Candidate, Uses};

/// What must be programmed to get from what was reported last (or from what a backend says is programmed) to what is
/// wanted. Both lists are sorted by name and each name occurs once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Service ports that are new or differ, in full.
    pub set: Vec<(PortName, State)>,
    /// Service ports that are no longer wanted.
    pub removed: Vec<PortName>,
    /// `endpoints.kubernetes.io/last-change-trigger-time` of the slices that brought changes, for the network
    /// programming latency.
    pub triggered: Vec<Box<str>>,
}

/// A Service, or a name that slices have mentioned before their Service came.
#[derive(Default)]
struct Service {
    key: Box<str>,
    affinity_seconds: u32,
    scheduling: Option<Scheduling>,
    uses: Uses,
    source_ranges: Box<[Cidr]>,
    health_port: u16,
    slices: Vec<u32>,
    ports: Vec<u32>,
}

struct Slice {
    service: u32,
    spec: SliceSpec,
}

struct Port {
    service: u32,
    name: Box<str>,
    protocol: Protocol,
    family: Family,
    claims: Box<[Claim]>,
    /// None when nothing is wanted; the place is freed when that has been reported.
    state: Option<State>,
}

/// Who holds a frontend. The smallest of those that claim it does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Holder {
    kind: Kind,
    port: u32,
    local: bool,
}

/// The wanted table of one node. A node that changes name or zone takes a new one.
#[derive(Default)]
pub struct Table {
    node: Node,
    services: Slab<Service>,
    service_ids: HashMap<Box<str>, u32>,
    slices: Slab<Slice>,
    slice_ids: HashMap<Box<str>, u32>,
    ports: Slab<Port>,
    entries: HashMap<Frontend, Holder>,
    /// Claims that lost to another service port: rare, so kept apart.
    contested: HashMap<Frontend, Vec<Holder>>,
    /// Service ports touched since the last report, with what was reported of them.
    reported: HashMap<u32, Option<State>>,
    triggered: Vec<Box<str>>,
    candidates: Vec<Candidate>,
}

impl Table {
    /// An empty table for the node of this name in this zone (empty if unknown).
    pub fn new(node_name: &str, zone: &str) -> Self {
        Self {
            node: Node {
                name: node_name.to_owned(),
                zone: zone.to_owned(),
            },
            ..Self::default()
        }
    }

    /// Takes a Service as it is now. Returns warnings about parts that were passed over.
    pub fn apply_service(&mut self, json: &[u8]) -> Result<Vec<String>, Error> {
        let Decoded {
            key,
            spec,
            warnings,
        } = decode::service(json)?;
        self.set_service(&key, spec);
        Ok(warnings)
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, namespace: &str, name: &str) {
        let key = format!("{namespace}/{name}");
        if self.service_ids.contains_key(&*key) {
            self.set_service(&key, ServiceSpec::default());
        }
    }

    /// Takes an EndpointSlice as it is now. Returns warnings about parts that were passed over.
    pub fn apply_slice(&mut self, json: &[u8]) -> Result<Vec<String>, Error> {
        let Decoded {
            key,
            spec,
            warnings,
        } = decode::slice(json, &self.node)?;
        if self.set_slice(&key, spec.slice.map(|slice| (&*spec.service, slice))) {
            self.triggered.extend(spec.triggered);
        }
        Ok(warnings)
    }

    /// Forgets an EndpointSlice.
    pub fn delete_slice(&mut self, namespace: &str, name: &str) {
        self.set_slice(&format!("{namespace}/{name}"), None);
    }

    /// Who serves traffic to this frontend: the backends that policy Cluster and policy Local give, and whether the
    /// frontend's policy is Local. None where no Service claims it.
    pub fn lookup(&self, frontend: &Frontend) -> Option<(&[Backend], &[Backend], bool)> {
        let holder = self.entries.get(frontend)?;
        let state = self.ports.get(holder.port as usize)?.state.as_ref()?;
        Some((&state.cluster, &state.local, holder.local))
    }

    /// How many frontends the table has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether [`Table::drain_changes`] may have something to say.
    pub fn has_changes(&self) -> bool {
        !self.reported.is_empty()
    }

    /// What has changed since the last report, coalesced: what went there and back is not mentioned.
    pub fn drain_changes(&mut self) -> Changes {
        let mut changes = Changes {
            triggered: std::mem::take(&mut self.triggered),
            ..Changes::default()
        };
        let mut touched: Vec<_> = self.reported.drain().collect();
        touched.sort_unstable_by_key(|(id, _)| *id);
        for (id, before) in touched {
            let port = &self.ports[id as usize];
            match &port.state {
                state if *state == before => {}
                Some(state) => changes.set.push((self.port_name(port), state.clone())),
                None => changes.removed.push(self.port_name(port)),
            }
            self.free_port(id);
        }
        changes.set.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        changes.removed.sort_unstable();
        changes
    }

    /// What must change when `programmed` is there already, as after a restart. Counts as the last report.
    pub fn difference(&mut self, programmed: Vec<(PortName, State)>) -> Changes {
        // A port may have come and gone unreported, but be programmed from an earlier life: that is decided below.
        let mut changes = Changes {
            triggered: self.drain_changes().triggered,
            ..Changes::default()
        };
        let mut programmed: HashMap<PortName, State> = programmed.into_iter().collect();
        for (_, port) in &self.ports {
            let Some(state) = &port.state else { continue };
            let name = self.port_name(port);
            if programmed.remove(&name).as_ref() != Some(state) {
                changes.set.push((name, state.clone()));
            }
        }
        changes.removed.extend(programmed.into_keys());
        changes.set.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        changes.removed.sort_unstable();
        changes
    }

    fn port_name(&self, port: &Port) -> PortName {
        PortName {
            service: self.services[port.service as usize].key.clone(),
            port: port.name.clone(),
            protocol: port.protocol,
            family: port.family,
        }
    }

    fn service_id(&mut self, key: &str) -> u32 {
        if let Some(&id) = self.service_ids.get(key) {
            return id;
        }
        let id = self.services.insert(Service {
            key: key.into(),
            ..Service::default()
        }) as u32;
        self.service_ids.insert(key.into(), id);
        id
    }

    fn set_service(&mut self, key: &str, spec: ServiceSpec) {
        let id = self.service_id(key);
        let service = &mut self.services[id as usize];
        service.affinity_seconds = spec.affinity_seconds;
        service.scheduling = spec.scheduling;
        service.uses = spec.uses;
        service.source_ranges = spec.source_ranges;
        service.health_port = spec.health_port;
        let mut touched = service.ports.clone();
        for port_id in touched.clone() {
            let port = &self.ports[port_id as usize];
            if !spec.ports.iter().any(|p| {
                (&p.name, p.protocol, p.family) == (&port.name, port.protocol, port.family)
            }) {
                self.claim(port_id, Box::default(), &mut touched);
            }
        }
        for PortSpec {
            name,
            protocol,
            family,
            claims,
        } in spec.ports
        {
            let port_id = self.port_id(id, name, protocol, family);
            self.claim(port_id, claims, &mut touched);
            touched.push(port_id);
        }
        touched.sort_unstable();
        touched.dedup();
        for port_id in touched {
            self.refresh_frontends(port_id);
        }
        self.refresh_backends(id, None);
        self.free_service(id);
    }

    fn port_id(&mut self, service: u32, name: Box<str>, protocol: Protocol, family: Family) -> u32 {
        let ports = &self.services[service as usize].ports;
        let known = ports.iter().copied().find(|&id| {
            let port = &self.ports[id as usize];
            (&port.name, port.protocol, port.family) == (&name, protocol, family)
        });
        known.unwrap_or_else(|| {
            let port = Port {
                service,
                name,
                protocol,
                family,
                claims: Box::default(),
                state: None,
            };
            let id = self.ports.insert(port) as u32;
            self.services[service as usize].ports.push(id);
            id
        })
    }
}

/// What nobody wants any more and has been reported is freed.
impl Table {
    fn free_port(&mut self, id: u32) {
        let port = &self.ports[id as usize];
        // A port that lost all its frontends to others keeps its place: it may inherit one.
        if port.state.is_some() || !port.claims.is_empty() {
            return;
        }
        let service = port.service;
        self.ports.remove(id as usize);
        self.services[service as usize]
            .ports
            .retain(|&port| port != id);
        self.free_service(service);
    }

    fn free_service(&mut self, id: u32) {
        let service = &self.services[id as usize];
        if service.slices.is_empty() && service.ports.is_empty() {
            let service = self.services.remove(id as usize);
            self.service_ids.remove(&service.key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn service(name: &str, spec: &str) -> Vec<u8> {
        format!(r#"{{"metadata":{{"name":"{name}","namespace":"d"}},"spec":{{{spec}}}}}"#)
            .into_bytes()
    }

    fn slice(name: &str, service: &str, addresses: &[&str]) -> Vec<u8> {
        let endpoints: Vec<_> = addresses
            .iter()
            .map(|a| format!(r#"{{"addresses":["{a}"]}}"#))
            .collect();
        let endpoints = endpoints.join(",");
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"d","labels":{{"kubernetes.io/service-name":"{service}"}},
            "annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"T"}}}},"addressType":"IPv4",
            "endpoints":[{endpoints}],"ports":[{{"name":"","port":8080}}]}}"#
        )
        .into_bytes()
    }

    const WEB: &str = r#""clusterIP":"10.0.0.1","ports":[{"port":80,"protocol":"TCP"}]"#;

    fn frontend(address: &str, port: u16) -> Frontend {
        Frontend {
            address: address.parse().unwrap(),
            port,
            protocol: Protocol::Tcp,
        }
    }

    fn addresses(backends: &[Backend]) -> Vec<String> {
        backends
            .iter()
            .map(|b| format!("{}:{}", b.address, b.port))
            .collect()
    }

    #[test]
    fn joins_slices_and_coalesces() {
        let mut table = Table::new("n", "");
        table
            .apply_slice(&slice("a", "web", &["10.1.0.1", "10.1.0.2"]))
            .unwrap();
        assert!(
            !table.has_changes(),
            "slices without their Service want nothing"
        );
        table.apply_service(&service("web", WEB)).unwrap();
        table
            .apply_slice(&slice("b", "web", &["10.1.0.2", "10.1.0.3"]))
            .unwrap();
        let changes = table.drain_changes();
        assert_eq!(changes.set.len(), 1);
        assert_eq!(
            addresses(&changes.set[0].1.cluster),
            ["10.1.0.1:8080", "10.1.0.2:8080", "10.1.0.3:8080"]
        );
        assert_eq!(
            changes.triggered.len(),
            1,
            "only the slice that changed something is timed"
        );
        let (cluster, _, local) = table.lookup(&frontend("10.0.0.1", 80)).unwrap();
        assert_eq!((cluster.len(), local), (3, false));

        table.delete_slice("d", "b");
        table
            .apply_slice(&slice("b", "web", &["10.1.0.3"]))
            .unwrap();
        assert_eq!(
            table.drain_changes().set,
            [],
            "there and back again is no change"
        );
        table.apply_slice(&slice("b", "web", &[])).unwrap();
        assert_eq!(
            addresses(&table.drain_changes().set[0].1.cluster),
            ["10.1.0.1:8080", "10.1.0.2:8080"]
        );
    }

    #[test]
    fn a_service_that_goes_is_reported_once_and_freed() {
        let mut table = Table::new("n", "");
        table.apply_service(&service("web", WEB)).unwrap();
        table
            .apply_slice(&slice("a", "web", &["10.1.0.1"]))
            .unwrap();
        table.drain_changes();
        table.delete_service("d", "web");
        let changes = table.drain_changes();
        assert_eq!((changes.set.len(), changes.removed.len()), (0, 1));
        assert!(table.ports.is_empty() && table.is_empty());
        table.delete_slice("d", "a");
        assert!(
            table.services.is_empty() && table.service_ids.is_empty() && table.slices.is_empty()
        );
        assert_eq!(table.drain_changes(), Changes::default());
        table.apply_service(&service("web", WEB)).unwrap();
        table.delete_service("d", "web");
        assert_eq!(
            table.drain_changes(),
            Changes::default(),
            "nobody had heard of it"
        );
        assert!(table.services.is_empty());
    }

    #[test]
    fn a_cluster_ip_cannot_be_taken_over() {
        let thief = r#""clusterIP":"10.0.0.9","externalIPs":["10.0.0.1","192.0.2.1"],"ports":[{"port":80}]"#;
        let mut table = Table::new("n", "");
        table.apply_service(&service("a-thief", thief)).unwrap();
        table
            .apply_slice(&slice("a", "a-thief", &["10.1.0.66"]))
            .unwrap();
        table
            .apply_slice(&slice("b", "web", &["10.1.0.1"]))
            .unwrap();
        table.apply_service(&service("web", WEB)).unwrap();
        let stolen = |table: &Table| addresses(table.lookup(&frontend("10.0.0.1", 80)).unwrap().0);
        assert_eq!(stolen(&table), ["10.1.0.1:8080"]);
        let changes = table.drain_changes();
        let claims: Vec<_> = changes.set[0]
            .1
            .frontends
            .iter()
            .map(|c| c.frontend.address.to_string())
            .collect();
        assert_eq!(claims, ["10.0.0.9", "192.0.2.1"]);
        table.delete_service("d", "web");
        assert_eq!(
            stolen(&table),
            ["10.1.0.66:8080"],
            "once free, the claim holds"
        );
        assert_eq!(table.drain_changes().set[0].1.frontends.len(), 3);
        table.delete_service("d", "a-thief");
        assert!(table.is_empty() && table.contested.is_empty());
    }

    #[test]
    fn the_difference_names_only_what_is_wrong() {
        let mut table = Table::new("n", "");
        for (name, ip) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
            table
                .apply_service(&service(name, &WEB.replace("10.0.0.1", ip)))
                .unwrap();
            table
                .apply_slice(&slice(name, name, &["10.1.0.1"]))
                .unwrap();
        }
        let mut programmed = table.difference(Vec::new()).set;
        assert_eq!(programmed.len(), 2);
        assert!(!table.has_changes());
        assert_eq!(table.difference(programmed.clone()), Changes::default());
        programmed[0].1.cluster = Box::default();
        let stale = PortName {
            service: "d/gone".into(),
            ..programmed[0].0.clone()
        };
        programmed.push((stale.clone(), State::default()));
        let changes = table.difference(programmed);
        assert_eq!((changes.set.len(), changes.removed), (1, vec![stale]));
        assert_eq!(&*changes.set[0].0.service, "d/a");
    }

    #[test]
    fn a_slice_may_change_its_service_and_ports_their_names() {
        let mut table = Table::new("n", "");
        table.apply_service(&service("web", WEB)).unwrap();
        table
            .apply_service(&service("other", &WEB.replace("10.0.0.1", "10.0.0.2")))
            .unwrap();
        table
            .apply_slice(&slice("a", "web", &["10.1.0.1"]))
            .unwrap();
        table
            .apply_slice(&slice("a", "other", &["10.1.0.1"]))
            .unwrap();
        assert_eq!(table.lookup(&frontend("10.0.0.1", 80)).unwrap().0, []);
        assert_eq!(table.lookup(&frontend("10.0.0.2", 80)).unwrap().0.len(), 1);
        table.drain_changes();
        let renamed = WEB.replace("\"port\":80", "\"name\":\"http\",\"port\":80");
        table.apply_service(&service("web", &renamed)).unwrap();
        let changes = table.drain_changes();
        assert_eq!(
            (&*changes.set[0].0.port, &*changes.removed[0].port),
            ("http", "")
        );
        assert_eq!(table.lookup(&frontend("10.0.0.1", 80)).unwrap().0, []);
    }
}
