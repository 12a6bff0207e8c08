//! Slices: from their endpoints to the backends of the service ports that they belong to.

use super::{Port, Slice, Table};
use crate::forward::decode::SliceSpec;
use crate::forward::model::{Claim, Family, State};
use crate::forward::select::{self, Candidate};

impl Table {
    /// Returns whether any service port changed by it.
    pub(super) fn set_slice(&mut self, key: &str, spec: Option<(&str, SliceSpec)>) -> bool {
        let known = self.slice_ids.get(key).copied();
        let Some((service_key, spec)) = spec else {
            let Some(id) = known else { return false };
            self.slice_ids.remove(key);
            let Slice { service, spec } = self.slices.remove(id as usize);
            return self.detach(service, id, spec.family);
        };
        let service = self.service_id(service_key);
        let family = spec.family;
        let mut changed = false;
        if let Some(id) = known {
            let slice = &mut self.slices[id as usize];
            if slice.service == service && slice.spec == spec {
                return false;
            }
            let before = std::mem::replace(slice, Slice { service, spec });
            if before.service == service {
                if before.spec.family != family {
                    changed |= self.refresh_backends(service, Some(before.spec.family));
                }
                return self.refresh_backends(service, Some(family)) | changed;
            }
            changed |= self.detach(before.service, id, before.spec.family);
            self.services[service as usize].slices.push(id);
        } else {
            let id = self.slices.insert(Slice { service, spec }) as u32;
            self.slice_ids.insert(key.into(), id);
            self.services[service as usize].slices.push(id);
        }
        self.refresh_backends(service, Some(family)) | changed
    }

    fn detach(&mut self, service: u32, slice: u32, family: Family) -> bool {
        self.services[service as usize]
            .slices
            .retain(|&id| id != slice);
        let changed = self.refresh_backends(service, Some(family));
        self.free_service(service);
        changed
    }

    /// Chooses anew for the service's ports, of one family or of both.
    pub(super) fn refresh_backends(&mut self, service: u32, family: Option<Family>) -> bool {
        let mut changed = false;
        for index in 0..self.services[service as usize].ports.len() {
            let port_id = self.services[service as usize].ports[index];
            let mut candidates = std::mem::take(&mut self.candidates);
            let port = &self.ports[port_id as usize];
            if let Some(state) = &port.state
                && family.is_none_or(|family| family == port.family)
            {
                let wanted = self.wanted_with(port, &mut candidates);
                let same = wanted.cluster == state.cluster
                    && wanted.local == state.local
                    && wanted.any_endpoint == state.any_endpoint
                    && wanted.affinity_seconds == state.affinity_seconds
                    && wanted.scheduling == state.scheduling
                    && wanted.source_ranges == state.source_ranges
                    && (wanted.health_port, wanted.local_going)
                        == (state.health_port, state.local_going);
                if !same {
                    let frontends = state.frontends.clone();
                    self.set_state(
                        port_id,
                        Some(State {
                            frontends,
                            ..wanted
                        }),
                    );
                    changed = true;
                }
            }
            self.candidates = candidates;
        }
        changed
    }

    pub(super) fn wanted(&self, port: &Port, frontends: Box<[Claim]>) -> State {
        State {
            frontends,
            ..self.wanted_with(port, &mut Vec::new())
        }
    }

    fn wanted_with(&self, port: &Port, candidates: &mut Vec<Candidate>) -> State {
        let service = &self.services[port.service as usize];
        candidates.clear();
        for &slice in &service.slices {
            let spec = &self.slices[slice as usize].spec;
            if spec.family != port.family {
                continue;
            }
            for target in spec
                .ports
                .iter()
                .filter(|p| p.protocol == port.protocol && p.name == port.name)
            {
                let found = spec.endpoints.iter();
                candidates.extend(found.map(|e| Candidate {
                    address: e.address,
                    port: target.port,
                    flags: e.flags,
                }));
            }
        }
        let select::Selection {
            cluster,
            local,
            any_endpoint,
            local_going,
        } = select::select(candidates, service.uses);
        State {
            frontends: Box::default(),
            cluster,
            local,
            affinity_seconds: service.affinity_seconds,
            any_endpoint,
            scheduling: service.scheduling,
            source_ranges: service
                .source_ranges
                .iter()
                .filter(|range| range.family() == port.family)
                .copied()
                .collect(),
            health_port: service.health_port,
            local_going: local_going && service.health_port != 0,
        }
    }

    pub(super) fn set_state(&mut self, port_id: u32, state: Option<State>) {
        let before = std::mem::replace(&mut self.ports[port_id as usize].state, state);
        self.reported.entry(port_id).or_insert(before);
    }
}
