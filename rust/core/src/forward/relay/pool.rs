//! The backends of one listener: which is next for a client, which are out of order, who stays where.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pick::{Load, Picker, Question};
use crate::forward::scheduling::Scheduling;

/// For so long a backend that refused or did not answer is only chosen where no other can be.
const PENALTY: Duration = Duration::from_secs(5);
/// Clients that are remembered for session affinity, as many as the nftables mode remembers for each endpoint.
const CLIENTS_MAX: usize = 65_535;

/// One destination, and what is known of it.
#[derive(Debug)]
pub struct Backend {
    pub address: SocketAddr,
    weight: AtomicU32,
    key: u64,
    /// Connections or flows that it has.
    pub active: AtomicU32,
    /// All that it was ever given.
    pub total: AtomicU64,
    /// Tries that it refused or did not answer.
    pub failed: AtomicU64,
    /// Bytes towards it, and from it.
    pub sent: AtomicU64,
    pub received: AtomicU64,
    /// Taken away: what it has goes on, but for datagrams, which know no end.
    gone: AtomicBool,
    out_until: Mutex<Option<Instant>>,
}

impl Backend {
    pub fn gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    fn out(&self, now: Instant) -> bool {
        let until = self
            .out_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| now < until)
    }

    /// It refused, or did not answer.
    pub fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.set_out(Some(Instant::now() + PENALTY));
    }

    /// It answers.
    pub fn works(&self) {
        self.set_out(None);
    }

    fn set_out(&self, until: Option<Instant>) {
        *self
            .out_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Counts a connection or a flow for as long as it is there.
pub struct Use(pub Arc<Backend>);

impl Use {
    pub fn of(backend: Arc<Backend>) -> Self {
        backend.active.fetch_add(1, Ordering::Relaxed);
        backend.total.fetch_add(1, Ordering::Relaxed);
        Self(backend)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See the module.
pub struct Pool {
    inner: Mutex<Inner>,
}

struct Inner {
    backends: Vec<Arc<Backend>>,
    picker: Picker,
    affinity: Duration,
    clients: HashMap<IpAddr, (SocketAddr, Instant)>,
    next_key: u64,
}

impl Pool {
    pub fn new(scheduling: Scheduling) -> Self {
        Self {
            inner: Mutex::new(Inner {
                backends: Vec::new(),
                picker: Picker::new(scheduling),
                affinity: Duration::ZERO,
                clients: HashMap::new(),
                next_key: 0,
            }),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // A panic leaves nothing half made that a choice could not live with.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is to have from now on. Who stays keeps what is known of it.
    pub fn set(&self, scheduling: Scheduling, affinity: Duration, wanted: &[(SocketAddr, u32)]) {
        let mut inner = self.locked();
        let mut known: HashMap<SocketAddr, Arc<Backend>> =
            inner.backends.drain(..).map(|b| (b.address, b)).collect();
        for &(address, weight) in wanted {
            let backend = known.remove(&address).unwrap_or_else(|| {
                inner.next_key += 1;
                Arc::new(Backend {
                    address,
                    weight: AtomicU32::new(weight),
                    key: inner.next_key,
                    active: AtomicU32::new(0),
                    total: AtomicU64::new(0),
                    failed: AtomicU64::new(0),
                    sent: AtomicU64::new(0),
                    received: AtomicU64::new(0),
                    gone: AtomicBool::new(false),
                    out_until: Mutex::new(None),
                })
            });
            backend.weight.store(weight, Ordering::Relaxed);
            inner.backends.push(backend);
        }
        for backend in known.values() {
            backend.gone.store(true, Ordering::Relaxed);
        }
        inner
            .clients
            .retain(|_, (address, _)| !known.contains_key(address));
        if affinity.is_zero() {
            inner.clients.clear();
        }
        inner.affinity = affinity;
        if inner.picker.scheduling() != scheduling {
            inner.picker = Picker::new(scheduling);
        }
    }

    /// The backend for a new connection or flow, not one of those tried. None where there is no other.
    pub fn choose(
        &self,
        client: SocketAddr,
        asked: Option<IpAddr>,
        tried: &[SocketAddr],
    ) -> Option<Arc<Backend>> {
        let now = Instant::now();
        let mut inner = self.locked();
        let inner = &mut *inner;
        let sticky = !inner.affinity.is_zero();
        if sticky
            && let Some((address, until)) = inner.clients.get_mut(&client.ip())
            && now < *until
            && !tried.contains(address)
            && let Some(backend) = inner.backends.iter().find(|b| b.address == *address)
        {
            *until = now + inner.affinity;
            return Some(backend.clone());
        }
        let open = |backend: &Backend| backend.weight() > 0 && !tried.contains(&backend.address);
        let all = || {
            inner
                .backends
                .iter()
                .enumerate()
                .filter(|(_, b)| open(b))
                .map(|(i, _)| i)
        };
        let mut eligible: Vec<usize> = all().filter(|&i| !inner.backends[i].out(now)).collect();
        if eligible.is_empty() {
            eligible = all().collect();
        }
        if eligible.is_empty() {
            return None;
        }
        let loads: Vec<Load> = inner
            .backends
            .iter()
            .map(|b| Load {
                weight: b.weight(),
                active: b.active.load(Ordering::Relaxed),
                key: b.key,
            })
            .collect();
        let chosen = inner.picker.pick(&Question {
            client,
            asked,
            loads: &loads,
            eligible: &eligible,
        });
        let backend = inner.backends[chosen].clone();
        if sticky {
            if inner.clients.len() >= CLIENTS_MAX {
                inner.clients.retain(|_, (_, until)| now < *until);
            }
            if inner.clients.len() < CLIENTS_MAX {
                let until = now + inner.affinity;
                inner.clients.insert(client.ip(), (backend.address, until));
            }
        }
        Some(backend)
    }

    /// All there are.
    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.locked().backends.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const AFFINITY: Duration = Duration::from_secs(60);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 1, 0, last], 80))
    }

    fn client(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 2, 0, last], 4000))
    }

    fn pool(affinity: Duration, lasts: &[u8]) -> Pool {
        let pool = Pool::new(Scheduling::default());
        set(&pool, affinity, lasts);
        pool
    }

    fn set(pool: &Pool, affinity: Duration, lasts: &[u8]) {
        let all: Vec<_> = lasts.iter().map(|&last| (address(last), 1)).collect();
        pool.set(Scheduling::default(), affinity, &all);
    }

    #[test]
    fn who_failed_is_passed_over_until_nobody_else_is_left() {
        let pool = pool(Duration::ZERO, &[1, 2]);
        pool.backends()[0].fail();
        for _ in 0..4 {
            assert_eq!(
                pool.choose(client(1), None, &[]).unwrap().address,
                address(2)
            );
        }
        let tried = [address(2)];
        let left = pool.choose(client(1), None, &tried).unwrap();
        assert_eq!(left.address, address(1));
        assert!(
            pool.choose(client(1), None, &[address(1), address(2)])
                .is_none()
        );
        left.works();
        let all: Vec<_> = (0..2)
            .map(|_| pool.choose(client(1), None, &[]).unwrap().address)
            .collect();
        assert!(all.contains(&address(1)) && all.contains(&address(2)));
    }

    #[test]
    fn a_client_stays_until_its_backend_fails_or_goes() {
        let pool = pool(AFFINITY, &[1, 2, 3]);
        let first = pool.choose(client(1), None, &[]).unwrap().address;
        for _ in 0..5 {
            assert_eq!(pool.choose(client(1), None, &[]).unwrap().address, first);
        }
        assert_ne!(pool.choose(client(2), None, &[]).unwrap().address, first);
        let second = pool.choose(client(1), None, &[first]).unwrap().address;
        assert_ne!(second, first);
        assert_eq!(pool.choose(client(1), None, &[]).unwrap().address, second);
        let left: Vec<u8> = [1, 2, 3]
            .into_iter()
            .filter(|&l| address(l) != second)
            .collect();
        set(&pool, AFFINITY, &left);
        assert_ne!(pool.choose(client(1), None, &[]).unwrap().address, second);
    }

    #[test]
    fn who_stays_keeps_its_counts_and_who_goes_is_told() {
        let pool = pool(Duration::ZERO, &[1, 2]);
        let [one, two]: [Arc<Backend>; 2] = pool.backends().try_into().unwrap();
        let held = Use::of(one.clone());
        set(&pool, Duration::ZERO, &[1, 3]);
        assert!(two.gone() && !one.gone());
        assert_eq!(pool.backends()[0].active.load(Ordering::Relaxed), 1);
        drop(held);
        assert_eq!(one.active.load(Ordering::Relaxed), 0);
        pool.set(Scheduling::default(), Duration::ZERO, &[(address(1), 0)]);
        assert!(
            pool.choose(client(1), None, &[]).is_none(),
            "weight 0 takes nothing new"
        );
    }
}
