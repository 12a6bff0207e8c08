#![allow(clippy::unwrap_used)]
use super::*;
use std::sync::atomic::AtomicUsize;
use std::thread;

fn hub(ring: usize) -> (Arc<Hub>, Arc<AtomicUsize>) {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&wakes);
    let hub = Arc::new(Hub::new(ring, move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    let fields = [("spec.nodeName".to_owned(), "spec.nodeName".to_owned())];
    hub.declare("pods", &fields, true, "v1", "Pod");
    (hub, wakes)
}

fn change(name: &str, revision: u64, node: &str) -> Change {
    let value = format!(
        r#"{{"metadata":{{"name":"{name}","resourceVersion":"{revision}"}},"spec":{{"nodeName":"{node}"}}}}"#
    );
    Change {
        resource: "pods".into(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
        revision,
        deleted: false,
        value: value.into_bytes().into(),
    }
}

const ALL: Watch<'static> = Watch {
    namespace: None,
    labels: "",
    fields: "",
    since: None,
    initial: false,
    bookmarks: false,
    initial_end: true,
};

fn on_node(node: &str) -> String {
    format!("spec.nodeName={node}")
}

fn kinds(frames: &[Frame]) -> Vec<(Type, u64)> {
    frames
        .iter()
        .map(|frame| (frame.kind, frame.revision))
        .collect()
}

#[test]
fn tells_the_newest_change_of_each_resource() {
    let (hub, _) = hub(100);
    hub.declare("nodes", &[], false, "v1", "Node");
    hub.start(3);
    hub.apply(vec![change("a", 5, "")]);
    assert_eq!((hub.newest("pods"), hub.newest("nodes")), (5, 3));
    assert_eq!(hub.newest("unheard"), 0);
}

#[test]
fn wakes_once_for_many_events() {
    let (hub, wakes) = hub(100);
    let watch = hub.watch("pods", ALL).unwrap();
    hub.apply(vec![change("a", 1, ""), change("b", 2, "")]);
    hub.apply(vec![change("c", 3, "")]);
    assert_eq!(wakes.load(Ordering::Relaxed), 1);
    assert_eq!(hub.ready(), [watch.id()]);
    assert!(hub.ready().is_empty());
    assert_eq!(watch.take(|_| true).len(), 3);
    hub.apply(vec![change("d", 4, "")]);
    assert_eq!(
        (wakes.load(Ordering::Relaxed), hub.ready()),
        (2, vec![watch.id()])
    );
}

#[test]
fn rings_again_for_what_was_left_behind() {
    let (hub, _) = hub(100);
    let watch = hub.watch("pods", ALL).unwrap();
    hub.apply(vec![change("a", 1, ""), change("b", 2, "")]);
    hub.ready();
    assert_eq!(kinds(&watch.take(|_| false)), [(Type::Added, 1)]);
    assert_eq!(hub.ready(), [watch.id()]);
    assert_eq!(kinds(&watch.take(|_| false)), [(Type::Added, 2)]);
    assert!(hub.ready().is_empty());
}

#[test]
fn an_event_rings_only_those_it_concerns() {
    let (hub, _) = hub(100);
    let watches: Vec<_> = (0..100)
        .map(|node| {
            hub.watch(
                "pods",
                Watch {
                    fields: &on_node(&format!("n{node}")),
                    ..ALL
                },
            )
            .unwrap()
        })
        .collect();
    hub.apply(vec![change("a", 1, "n7")]);
    assert_eq!(hub.ready(), [watches[7].id()]);
    hub.apply(vec![change("a", 2, "n8")]);
    assert_eq!(hub.ready(), [watches[8].id()]); // 7 has been told and has not looked
    assert_eq!(
        kinds(&watches[7].take(|_| true)),
        [(Type::Added, 1), (Type::Deleted, 2)]
    );
    assert_eq!(kinds(&watches[8].take(|_| true)), [(Type::Added, 2)]);
    assert!(watches[9].take(|_| true).is_empty());
}

#[test]
fn one_not_concerned_never_expires() {
    let (hub, _) = hub(3);
    let watch = hub
        .watch(
            "pods",
            Watch {
                fields: "spec.nodeName!=n1",
                ..ALL
            },
        )
        .unwrap();
    for revision in 1..50 {
        hub.apply(vec![change("a", revision, "n1")]);
    }
    assert_eq!(watch.state(), State::Live);
    hub.apply(vec![change("a", 50, "n2")]);
    assert_eq!(kinds(&watch.take(|_| true)), [(Type::Added, 50)]);
}

#[test]
fn large_versions_are_kept_for_a_shorter_while() {
    let (hub, _) = hub(1_000_000);
    let large: Arc<[u8]> = vec![b' '; 1 << 20].into();
    for revision in 1..=200 {
        hub.apply(vec![Change {
            value: Arc::clone(&large),
            ..change("a", revision, "")
        }]);
    }
    let since = |since| {
        hub.watch(
            "pods",
            Watch {
                since: Some(since),
                ..ALL
            },
        )
    };
    assert_eq!(
        since(99).unwrap_err(),
        Error::Expired {
            since: 99,
            oldest: 100
        }
    );
    assert_eq!(since(100).unwrap().take(|_| true).len(), 100);
    for revision in 201..=400 {
        hub.apply(vec![change("a", revision, "")]);
    }
    // Of the large ones 31 still fit beside the small.
    assert_eq!(
        since(168).unwrap_err(),
        Error::Expired {
            since: 168,
            oldest: 169
        }
    );
    assert_eq!(since(169).unwrap().take(|_| true).len(), 231);
}

#[test]
fn leaving_a_selection_shows_what_it_was_at_the_new_revision_once() {
    let (hub, _) = hub(100);
    let watches = [(); 2].map(|()| {
        hub.watch(
            "pods",
            Watch {
                fields: "spec.nodeName=n1",
                ..ALL
            },
        )
        .unwrap()
    });
    hub.apply(vec![change("a", 1, "n1"), change("a", 2, "n2")]);
    let [one, other] = watches.map(|watch| watch.take(|_| true).pop().unwrap());
    let wanted = r#"{"metadata":{"name":"a","resourceVersion":"2"},"spec":{"nodeName":"n1"}}"#;
    assert_eq!((one.kind, &*one.value), (Type::Deleted, wanted.as_bytes()));
    assert!(Arc::ptr_eq(&one.value, &other.value));
}

#[test]
fn declared_late_and_declared_otherwise() {
    let (hub, _) = hub(100);
    let load = |name: &str, node: &str| {
        let Change {
            namespace,
            name,
            revision,
            value,
            ..
        } = change(name, 1, node);
        (namespace, name, revision, value)
    };
    hub.load("things", [load("a", "n1"), load("b", "n2")]);
    hub.start(1);
    assert!(
        hub.list("things", None, "", "spec.nodeName=n1", 0, None)
            .is_err()
    );
    let watch = hub.watch("things", ALL).unwrap();
    let fields = [("spec.nodeName".to_owned(), "spec.nodeName".to_owned())];
    for _ in 0..2 {
        hub.declare("things", &fields, true, "v1", "Thing");
        assert_eq!(
            hub.list("things", None, "", "spec.nodeName=n1", 0, None)
                .unwrap()
                .items
                .len(),
            1
        );
    }
    assert_eq!(hub.ready(), [watch.id()]);
    assert_eq!(kinds(&watch.take(|_| true)), [(Type::Error, 1)]);
    assert_eq!(watch.state(), State::Expired);
    assert!(watch.take(|_| true).is_empty());
    // The watch that went on would have been of the other declaration: it must not disturb the new ones.
    drop(watch);
    let watch = hub
        .watch(
            "things",
            Watch {
                fields: "spec.nodeName=n1",
                ..ALL
            },
        )
        .unwrap();
    hub.apply(vec![Change {
        resource: "things".into(),
        ..change("a", 2, "n1")
    }]);
    assert_eq!(kinds(&watch.take(|_| true)), [(Type::Modified, 2)]);
}

#[test]
fn what_was_applied_is_passed_over() {
    let (hub, _) = hub(100);
    let watch = hub.watch("pods", ALL).unwrap();
    hub.apply(vec![change("a", 1, ""), change("a", 2, "")]);
    hub.apply(vec![
        change("a", 1, ""),
        change("a", 2, ""),
        change("a", 3, ""),
    ]);
    assert_eq!(
        kinds(&watch.take(|_| true)),
        [(Type::Added, 1), (Type::Modified, 2), (Type::Modified, 3)]
    );
}

#[test]
fn unknown_resources_and_their_objects() {
    let (hub, _) = hub(100);
    assert_eq!(
        hub.list("none", None, "", "", 0, None).unwrap_err(),
        Error::Unknown("none".to_owned())
    );
    assert!(hub.watch("none", ALL).is_err());
    assert!(hub.get("none", "", "a").is_err());
    hub.apply(vec![Change {
        resource: "none".into(),
        ..change("a", 1, "")
    }]);
    assert!(hub.get("none", "default", "a").unwrap().is_some());
}

#[test]
fn watches_come_and_go_while_events_are_applied_and_listed() {
    let (hub, _) = hub(64);
    const EVENTS: u64 = 20_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            for revision in 1..=EVENTS {
                hub.apply(vec![change(
                    &format!("p{}", revision % 50),
                    revision,
                    &format!("n{}", revision % 3),
                )]);
            }
        });
        for reader in 0..3 {
            let hub = &hub;
            scope.spawn(move || {
                let fields = on_node(&format!("n{reader}"));
                let mut newest = 0;
                while newest < EVENTS - 3 {
                    let list = hub.list("pods", None, "", "", 0, None).unwrap();
                    assert!(
                        list.items
                            .iter()
                            .all(|object| object.revision <= list.revision)
                    );
                    let since = Watch {
                        fields: &fields,
                        since: Some(list.revision),
                        ..ALL
                    };
                    let Ok(watch) = hub.watch("pods", since) else {
                        continue;
                    };
                    let mut last = list.revision;
                    for frame in (0..20).flat_map(|_| watch.take(|_| true)) {
                        if frame.kind == Type::Error {
                            break;
                        }
                        assert!(frame.revision > last);
                        last = frame.revision;
                    }
                    newest = hub.revision();
                }
            });
        }
    });
    assert_eq!(hub.stats(), [("pods".to_owned(), 50, 0)]);
}

#[test]
fn a_bookmark_for_one_watch_alone() {
    let (hub, _) = hub(10);
    let wanting = Watch {
        bookmarks: true,
        ..ALL
    };
    let one = hub.watch("pods", wanting).unwrap();
    let other = hub.watch("pods", wanting).unwrap();
    let without = hub.watch("pods", ALL).unwrap();
    hub.ready();
    for watch in [&one, &without] {
        watch.bookmark();
    }
    assert_eq!(hub.ready(), [one.id()]);
    assert_eq!(kinds(&one.take(|_| true)), [(Type::Bookmark, 0)]);
    assert!(other.take(|_| true).is_empty());
    one.close();
    one.bookmark();
    assert!(hub.ready().is_empty());
}

#[test]
fn frames_are_made_once_for_all_watches() {
    let (hub, _) = hub(10);
    let watches: Vec<_> = (0..20).map(|_| hub.watch("pods", ALL).unwrap()).collect();
    let late = Watch {
        since: Some(1),
        ..ALL
    };
    hub.apply(vec![change("a", 1, "n"), change("b", 2, "n")]);
    let late = hub.watch("pods", late).unwrap();
    let frames: Vec<_> = watches.iter().map(|watch| watch.take(|_| true)).collect();
    let forms = [
        Form::Protobuf("core/v1.Pod".into()),
        Form::Partial {
            version: "v1".into(),
            protobuf: false,
        },
        Form::Partial {
            version: "v1".into(),
            protobuf: true,
        },
    ];
    for (index, first) in frames[0].iter().enumerate() {
        for other in &frames[1..] {
            assert!(Arc::ptr_eq(&first.value, &other[index].value));
            for form in &forms {
                assert!(Arc::ptr_eq(
                    &first.in_form(form),
                    &other[index].in_form(form)
                ));
            }
        }
    }
    // Whoever comes later gets what was made for the others.
    let late = late.take(|_| true);
    assert_eq!(kinds(&late), [(Type::Added, 2)]);
    for form in &forms {
        assert!(Arc::ptr_eq(
            &late[0].in_form(form),
            &frames[0][1].in_form(form)
        ));
    }
}
