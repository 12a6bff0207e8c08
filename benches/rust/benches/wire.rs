//! The wire: bodies read, encoded, merged and applied, and who owns which fields.
#![allow(missing_docs, clippy::unwrap_used)]

use orlop_benches::Suite;
use orlop_benches::objects::pod;
use orlop_core::wire::apply::{Applied, Writer, apply, update};
use orlop_core::wire::{Media, decode, encode_protobuf, json_merge, strategic_merge};

const POD: &str = "core/v1.Pod";
const TIMES: u64 = 100;

fn writer(manager: &str) -> Writer<'_> {
    Writer {
        manager,
        version: "v1",
        subresource: "",
        time: "2026-01-01T00:00:00Z",
        ignored: &["status"],
    }
}

fn main() {
    let mut suite = Suite::new();
    let json = pod("p1", 7, "n1");
    let proto = encode_protobuf(POD, &json).unwrap();
    let back = decode(POD, Media::Protobuf, &proto).unwrap();
    let read = decode(POD, Media::Json, &json).unwrap();
    assert!(read.unknown.is_empty() && read.duplicate.is_empty());
    assert_eq!(
        encode_protobuf(POD, &back.json).unwrap(),
        proto,
        "nothing is lost on the way"
    );
    let mut each = |name: &str, work: &mut dyn FnMut() -> usize| {
        suite.bench(
            name,
            TIMES,
            || (),
            |()| (0..TIMES).map(|_| work()).sum::<usize>(),
        );
    };
    each("wire: a pod read from JSON", &mut || {
        decode(POD, Media::Json, &json).unwrap().json.len()
    });
    each("wire: a pod read from protobuf", &mut || {
        decode(POD, Media::Protobuf, &proto).unwrap().json.len()
    });
    each("wire: a pod written as protobuf", &mut || {
        encode_protobuf(POD, &json).unwrap().len()
    });
    let patch = br#"{"metadata":{"labels":{"tier":"front"}},"spec":{"containers":[{"name":"web","image":"web:2"}]}}"#;
    let merged = strategic_merge(POD, &json, patch).unwrap();
    assert!(String::from_utf8(merged).unwrap().contains("web:2"));
    each("wire: a strategic merge into a pod", &mut || {
        strategic_merge(POD, &json, patch).unwrap().len()
    });
    let status = br#"{"status":{"phase":"Running","podIP":"10.0.0.1"}}"#;
    each("wire: a merge patch of a pod", &mut || {
        json_merge(&json, status).unwrap().len()
    });
    each("wire: the owners of a created pod", &mut || {
        update(POD, None, &json, &writer("manager"))
            .unwrap()
            .unwrap()
            .len()
    });
    let managed = update(POD, None, &json, &writer("manager"))
        .unwrap()
        .unwrap();
    let managed = String::from_utf8(managed).unwrap();
    let text = String::from_utf8(json.clone()).unwrap();
    let live = text.replacen(
        r#""namespace":"default","#,
        &format!(r#""namespace":"default","managedFields":{managed},"#),
        1,
    );
    let labelled = live.replacen(r#""app":"web""#, r#""app":"web","more":"yes""#, 1);
    each("wire: the owners of an updated pod", &mut || {
        update(
            POD,
            Some(live.as_bytes()),
            labelled.as_bytes(),
            &writer("other"),
        )
        .unwrap()
        .unwrap()
        .len()
    });
    let config = br#"{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"mine":"yes"}}}"#;
    each("wire: an apply of a label to a pod", &mut || match apply(
        POD,
        Some(live.as_bytes()),
        config,
        &writer("me"),
        false,
    )
    .unwrap()
    {
        Applied::Done { object, .. } => object.len(),
        Applied::Conflicts(_) => unreachable!("nobody else has this label"),
    });
}
