//! Frontends: which service port holds which, when several claim the same.

use hashbrown::hash_map::Entry;
use slab::Slab;

use super::{Holder, Port, Service, Table};
use crate::forward::model::{Claim, State};

impl Table {
    /// Replaces a port's claims. Other ports that win or lose a frontend by it are added to `touched`.
    pub(super) fn claim(&mut self, port_id: u32, claims: Box<[Claim]>, touched: &mut Vec<u32>) {
        let before = std::mem::replace(&mut self.ports[port_id as usize].claims, claims.clone());
        if before == claims {
            return;
        }
        for claim in before.iter().filter(|claim| !claims.contains(claim)) {
            self.release(port_id, claim, touched);
        }
        for claim in claims.iter().filter(|claim| !before.contains(claim)) {
            let mine = Holder {
                kind: claim.kind,
                port: port_id,
                local: claim.local,
            };
            match self.entries.entry(claim.frontend) {
                Entry::Vacant(place) => {
                    place.insert(mine);
                }
                Entry::Occupied(mut place) => {
                    let theirs = *place.get();
                    let loser = if precedes(&self.ports, &self.services, mine, theirs) {
                        place.insert(mine);
                        theirs
                    } else {
                        mine
                    };
                    self.contested
                        .entry(claim.frontend)
                        .or_default()
                        .push(loser);
                    touched.push(theirs.port);
                }
            }
        }
    }

    fn release(&mut self, port_id: u32, claim: &Claim, touched: &mut Vec<u32>) {
        let frontend = &claim.frontend;
        let waiting = self.contested.get_mut(frontend);
        if self
            .entries
            .get(frontend)
            .is_some_and(|holder| holder.port != port_id)
        {
            if let Some(waiting) = waiting {
                waiting.retain(|holder| holder.port != port_id);
                if waiting.is_empty() {
                    self.contested.remove(frontend);
                }
            }
            return;
        }
        self.entries.remove(frontend);
        let Some(waiting) = waiting else { return };
        let mut best = 0;
        for index in 1..waiting.len() {
            if precedes(&self.ports, &self.services, waiting[index], waiting[best]) {
                best = index;
            }
        }
        let heir = waiting.swap_remove(best);
        if waiting.is_empty() {
            self.contested.remove(frontend);
        }
        self.entries.insert(*frontend, heir);
        touched.push(heir.port);
    }

    /// Puts the frontends that the port holds into its state; without one there is nothing to want.
    pub(super) fn refresh_frontends(&mut self, port_id: u32) {
        let port = &self.ports[port_id as usize];
        let held: Box<[Claim]> = port
            .claims
            .iter()
            .filter(|claim| {
                self.entries
                    .get(&claim.frontend)
                    .is_some_and(|holder| holder.port == port_id)
            })
            .copied()
            .collect();
        let state = match &port.state {
            _ if held.is_empty() => None,
            Some(state) if state.frontends == held => return,
            Some(state) => Some(State {
                frontends: held,
                ..state.clone()
            }),
            None => Some(self.wanted(port, held)),
        };
        self.set_state(port_id, state);
    }
}

fn precedes(ports: &Slab<Port>, services: &Slab<Service>, a: Holder, b: Holder) -> bool {
    let name = |holder: Holder| {
        let port = &ports[holder.port as usize];
        (
            holder.kind,
            &services[port.service as usize].key,
            &port.name,
        )
    };
    name(a) < name(b)
}
