//! Current objects, the ring of events and the watchers: what lists and watches are served from.
//!
//! The hub is fed with committed changes in the order of revisions, and by nothing else. An object is kept as the
//! bytes that were stored; lists are joins of those bytes and watch frames are those bytes with a few around them.
//! A watcher is a position among the events of its topic (`topic`): one that is slow costs nothing, and one that the
//! ring has moved past is told so.

mod event;
mod form;
mod item;
mod object;
mod pack;
mod resource;
mod scan;
mod schema;
mod selector;
mod topic;
mod watcher;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

pub use event::{Frame, Type};
pub use form::Form;
pub use item::shown;
pub use object::Object;
pub use pack::Packs;
pub use resource::Watch;
pub use watcher::{Ear, State};

use resource::Resource;
use schema::Schema;
use watcher::Bell;

/// What the hub refuses.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The resource was never declared.
    Unknown(String),
    /// A selector cannot be read; the text says why.
    Selector(String),
    /// The ring has moved past the revision asked for.
    Expired {
        /// Asked for.
        since: u64,
        /// What can be asked for.
        oldest: u64,
    },
}

/// A committed change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The scheme's name of the resource.
    pub resource: Arc<str>,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's.
    pub name: String,
    /// Greater than that of every change before.
    pub revision: u64,
    /// It is gone; `value` is its last state with this revision in it.
    pub deleted: bool,
    /// The object's JSON.
    pub value: Arc<[u8]>,
}

/// A page of objects.
#[derive(Debug, Default)]
pub struct List {
    /// In the order of `namespace/name` as one text.
    pub items: Vec<Arc<Object>>,
    /// That of the list: every change up to here is in it, and none after.
    pub revision: u64,
    /// More follow.
    pub more: bool,
    /// How many; only known without selectors.
    pub remaining: Option<usize>,
}

/// A watch held by its owner. Dropping it closes it.
#[derive(Debug)]
pub struct Handle {
    hub: Arc<Hub>,
    resource: Arc<Mutex<Resource>>,
    slot: usize,
    bell: Arc<Bell>,
    closed: AtomicBool,
}

/// The hub. Its methods may be called from any thread.
pub struct Hub {
    ring: usize,
    resources: RwLock<HashMap<Box<str>, Arc<Mutex<Resource>>>>,
    revision: AtomicU64,
    floor: AtomicU64,
    watches: AtomicU64,
    ready: Mutex<Vec<Arc<Bell>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Hub")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// A lock is never left in a bad state: every step under it completes or does not begin.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Keeps the last `ring` events of each resource. `wake` is called when `ready` has something after it had
    /// nothing; it must be quick and must not call the hub.
    pub fn new(ring: usize, wake: impl Fn() + Send + Sync + 'static) -> Hub {
        Hub {
            ring: ring.max(1),
            resources: RwLock::default(),
            revision: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            ready: Mutex::default(),
            wake: Box::new(wake),
        }
    }

    /// Tells of a resource; see `Schema::new` for `fields`. Declaring it again with something else re-reads its
    /// objects and expires its watches.
    pub fn declare(
        &self,
        resource: &str,
        fields: &[(String, String)],
        namespaced: bool,
        api_version: &str,
        kind: &str,
    ) {
        let schema = Schema::new(fields, namespaced, api_version, kind);
        let mut rung = Vec::new();
        match self.find(resource) {
            Some(known) => lock(&known).declare(schema, &mut |bell| rung.push(Arc::clone(bell))),
            None => {
                self.add(resource, schema);
            }
        }
        self.ring(rung);
    }

    fn add(&self, resource: &str, schema: Schema) -> Arc<Mutex<Resource>> {
        let mut resources = self
            .resources
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            Arc::new(Mutex::new(Resource::new(
                schema,
                self.ring,
                self.floor.load(Ordering::Acquire),
            )))
        };
        Arc::clone(resources.entry(resource.into()).or_insert_with(fresh))
    }

    fn find(&self, resource: &str) -> Option<Arc<Mutex<Resource>>> {
        self.resources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(resource)
            .cloned()
    }

    fn known(&self, resource: &str) -> Result<Arc<Mutex<Resource>>, Error> {
        self.find(resource)
            .ok_or_else(|| Error::Unknown(resource.to_owned()))
    }

    /// What is stored is kept, declared or not: a declaration may come later.
    fn kept(&self, resource: &str) -> Arc<Mutex<Resource>> {
        self.find(resource)
            .unwrap_or_else(|| self.add(resource, Schema::new(&[], true, "", "")))
    }

    /// Takes objects as they are at the start, without events.
    pub fn load(
        &self,
        resource: &str,
        items: impl IntoIterator<Item = (String, String, u64, Arc<[u8]>)>,
    ) {
        let resource = self.kept(resource);
        let mut resource = lock(&resource);
        for (namespace, name, revision, value) in items {
            resource.load(&namespace, &name, revision, value);
        }
    }

    /// Everything loaded is the state at `revision`; nothing older can be watched.
    pub fn start(&self, revision: u64) {
        self.floor.fetch_max(revision, Ordering::AcqRel);
        for resource in self
            .resources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            lock(resource).start(revision);
        }
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }

    /// Takes a batch of changes in the order of revisions. Changes it has had are passed over.
    pub fn apply(&self, changes: Vec<Change>) {
        let Some(newest) = changes.last().map(|change| change.revision) else {
            return;
        };
        let mut rung = Vec::new();
        let mut changes = changes.into_iter().peekable();
        while let Some(first) = changes.next() {
            let name = Arc::clone(&first.resource);
            let resource = self.kept(&name);
            let mut resource = lock(&resource);
            let mut ring = |bell: &Arc<Bell>| rung.push(Arc::clone(bell));
            resource.apply(first, &mut ring);
            while let Some(change) = changes.next_if(|change| change.resource == name) {
                resource.apply(change, &mut ring);
            }
        }
        self.revision.fetch_max(newest, Ordering::AcqRel);
        self.ring(rung);
    }

    fn ring(&self, rung: Vec<Arc<Bell>>) {
        let mut ready = lock(&self.ready);
        let quiet = ready.is_empty();
        for bell in rung {
            if bell.rung.swap(true, Ordering::AcqRel) {
                continue;
            }
            match bell.ear.get() {
                Some(ear) => ear.ring(),
                None => ready.push(bell),
            }
        }
        if quiet && !ready.is_empty() {
            drop(ready);
            (self.wake)();
        }
    }

    /// The watches that have something they had not when this was last called, each once.
    pub fn ready(&self) -> Vec<u64> {
        let rung = std::mem::take(&mut *lock(&self.ready));
        rung.iter()
            .map(|bell| {
                bell.rung.store(false, Ordering::Release);
                bell.id
            })
            .collect()
    }

    /// Every change up to here has been applied.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The object of this name.
    pub fn get(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, Error> {
        let resource = self.known(resource)?;
        let resource = lock(&resource);
        Ok(resource.get(namespace, name))
    }

    /// The newest change of a resource; what is found of it stays as it is while this does. 0: not known.
    pub fn newest(&self, resource: &str) -> u64 {
        self.find(resource)
            .map_or(0, |resource| lock(&resource).revision())
    }

    /// How many objects of a resource there are; 0 of one that is not known.
    pub fn count(&self, resource: &str) -> usize {
        self.find(resource)
            .map_or(0, |resource| lock(&resource).len())
    }

    /// A page of what a selection holds now. `limit` 0: everything.
    pub fn list(
        &self,
        resource: &str,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
        limit: usize,
        after: Option<(&str, &str)>,
    ) -> Result<List, Error> {
        // Read before the lock: changes up to here are in, those the lock lets in later are newer than the list.
        let current = self.revision();
        let resource = self.known(resource)?;
        let resource = lock(&resource);
        resource.list(namespace, labels, fields, limit, after, current)
    }

    /// Starts a watch.
    pub fn watch(self: &Arc<Hub>, resource: &str, asked: Watch<'_>) -> Result<Handle, Error> {
        let current = self.revision();
        let resource = self.known(resource)?;
        let id = self.watches.fetch_add(1, Ordering::Relaxed) + 1;
        let bell = Arc::new(Bell {
            id,
            rung: false.into(),
            ear: OnceLock::new(),
        });
        let mut rung = Vec::new();
        let slot = lock(&resource).watch(asked, current, Arc::clone(&bell), &mut |bell| {
            rung.push(Arc::clone(bell))
        })?;
        self.ring(rung);
        Ok(Handle {
            hub: Arc::clone(self),
            resource,
            slot,
            bell,
            closed: AtomicBool::new(false),
        })
    }

    /// Makes a bookmark due on every watch that wants one.
    pub fn bookmark(&self) {
        let mut rung = Vec::new();
        let resources: Vec<_> = self
            .resources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        for resource in resources {
            lock(&resource).bookmark(&mut |bell| rung.push(Arc::clone(bell)));
        }
        self.ring(rung);
    }

    /// Objects and watches by resource.
    pub fn stats(&self) -> Vec<(String, usize, usize)> {
        let resources = self
            .resources
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        resources
            .iter()
            .map(|(name, resource)| {
                let resource = lock(resource);
                (name.to_string(), resource.len(), resource.watchers())
            })
            .collect()
    }
}

impl Handle {
    /// Unique among the hub's watches.
    pub fn id(&self) -> u64 {
        self.bell.id
    }

    /// From now on `ear` hears of what there is to take, and `Hub::ready` does not. Whatever came before counts as
    /// heard: look once. Only the first ear is taken.
    pub fn heard_by(&self, ear: Box<dyn Ear>) {
        let _ = self.bell.ear.set(ear);
        self.look();
    }

    /// Whoever rings from here on rings anew. To be called before `take` by whoever hears by an `Ear`.
    pub fn look(&self) {
        self.bell.rung.store(false, Ordering::Release);
    }

    /// The next frames, until `room` says that there is no more room after one. What stays behind is announced by
    /// `Hub::ready` again.
    pub fn take(&self, room: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        let current = self.hub.revision();
        let mut rung = Vec::new();
        let mut resource = lock(&self.resource);
        // Looked at under the lock: once it is closed the slot may be another's.
        if self.closed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let frames = resource.take(self.slot, current, room, &mut |bell| {
            rung.push(Arc::clone(bell))
        });
        drop(resource);
        if !rung.is_empty() {
            self.hub.ring(rung);
        }
        frames
    }

    /// Makes a bookmark due, if it wants any: who goes on from there misses nothing and sees nothing twice.
    pub fn bookmark(&self) {
        let mut resource = lock(&self.resource);
        if self.closed.load(Ordering::Acquire) || !resource.mark(self.slot) {
            return;
        }
        drop(resource);
        self.hub.ring(vec![Arc::clone(&self.bell)]);
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        let mut resource = lock(&self.resource);
        if self.closed.load(Ordering::Acquire) {
            State::Closed
        } else {
            resource.state(self.slot)
        }
    }

    /// Ends it. Closing twice is fine.
    pub fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            lock(&self.resource).close(self.slot);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
