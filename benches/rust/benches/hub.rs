//! The hub: events matched and taken, lists joined, plain and compressed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use orlop_benches::Suite;
use orlop_benches::objects::pod;
use orlop_core::front::Body;
use orlop_core::hub::{Change, Frame, Handle, Hub, Packs, Watch};

const ALL: Watch<'static> = Watch {
    namespace: None,
    labels: "",
    fields: "",
    since: None,
    initial: false,
    bookmarks: false,
    initial_end: false,
};

fn hub() -> Arc<Hub> {
    let hub = Hub::new(4096, || ());
    let fields = [("spec.nodeName".to_owned(), "spec.nodeName".to_owned())];
    hub.declare("pods", &fields, true, "v1", "Pod");
    hub.start(1);
    Arc::new(hub)
}

fn change(number: u64, node: &str) -> Change {
    let name = format!("p{number:06}");
    let revision = number + 2;
    let value = pod(&name, revision, node).into();
    Change {
        resource: "pods".into(),
        namespace: "default".into(),
        name,
        revision,
        deleted: false,
        value,
    }
}

fn taken(handle: &Handle) -> usize {
    handle
        .take(|_| true)
        .iter()
        .map(|frame: &Frame| frame.len())
        .sum()
}

struct World {
    hub: Arc<Hub>,
    watchers: Vec<Handle>,
    changes: Vec<Change>,
}

/// So many watchers of everything, or of a node each.
fn world(watchers: u64, events: u64, apart: bool) -> World {
    let hub = hub();
    let nodes = if apart { watchers } else { 1 };
    let watch = |number: u64| {
        let fields = format!("spec.nodeName=n{number}");
        let asked = if apart {
            Watch {
                fields: &fields,
                ..ALL
            }
        } else {
            ALL
        };
        hub.watch("pods", asked).unwrap()
    };
    World {
        watchers: (0..watchers).map(watch).collect(),
        changes: (0..events)
            .map(|n| change(n, &format!("n{}", n % nodes)))
            .collect(),
        hub,
    }
}

const HEAD: &[u8] = br#"{"apiVersion":"v1","kind":"Pod","#;

fn filled(objects: u64) -> Arc<Hub> {
    let hub = hub();
    hub.apply((0..objects).map(|n| change(n, "n1")).collect());
    hub
}

fn main() {
    let mut suite = Suite::new();
    for (name, batch) in [
        ("hub: a delivery, one event at a time", 1),
        ("hub: a delivery, twenty events at a time", 20),
    ] {
        suite.bench(
            name,
            100 * 100,
            || world(100, 100, false),
            |world| {
                let mut size = 0;
                for changes in world.changes.chunks(batch) {
                    world.hub.apply(changes.to_vec());
                    size += world.watchers.iter().map(taken).sum::<usize>();
                }
                assert!(size > 100 * 100 * 2500);
            },
        );
    }
    suite.bench(
        "hub: an event for one of 2,000 watchers by node",
        1000,
        || world(2000, 1000, true),
        |world| {
            for change in &world.changes {
                world.hub.apply(vec![change.clone()]);
            }
            let ready = world.hub.ready();
            assert_eq!(ready.len(), 1000);
        },
    );
    suite.bench(
        "hub: an object of a list, found and joined",
        2000,
        || filled(2000),
        |hub| {
            let list = hub.list("pods", None, "", "", 0, None).unwrap();
            let mut body = Body::new(
                b"{\"items\":[".to_vec(),
                list.items,
                HEAD.into(),
                b"]}".to_vec(),
            );
            let mut out = Vec::new();
            while !body.is_done() {
                let size = body.next_size(1 << 16);
                body.take(size, &mut out);
            }
            assert!(out.len() > 2000 * 2500);
            out
        },
    );
    suite.bench(
        "hub: an object of a list, by a label that a tenth has not",
        2000,
        || filled(2000),
        |hub| {
            let found = hub
                .list("pods", None, "app=web,missing!=x", "", 0, None)
                .unwrap();
            assert_eq!(found.items.len(), 2000);
        },
    );
    suite.bench(
        "hub: an object of a gzip list, compressed first",
        500,
        || (filled(500), Packs::default()),
        |(hub, packs)| zipped(hub, packs),
    );
    suite.bench(
        "hub: an object of a gzip list, compressed before",
        500,
        || {
            let world = (filled(500), Packs::default());
            zipped(&world.0, &world.1);
            world
        },
        |(hub, packs)| zipped(hub, packs),
    );
}

fn zipped(hub: &Hub, packs: &Packs) -> Vec<u8> {
    let list = hub.list("pods", None, "", "", 0, None).unwrap();
    let zipped = packs.gzip(b"{\"items\":[", &list.items, HEAD, b"]}");
    assert_eq!(zipped[..2], [0x1f, 0x8b]);
    let size = u32::from_le_bytes(zipped[zipped.len() - 4..].try_into().unwrap());
    assert!(size > 500 * 2500);
    zipped
}
