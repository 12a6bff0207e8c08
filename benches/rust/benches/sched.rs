//! The scheduler's core: pods read and decided on, equal ones and different ones.
#![allow(missing_docs, clippy::unwrap_used)]

use orlop_benches::Suite;
use orlop_core::sched::{Core, Decision};

const NODES: u64 = 1000;
const PODS: u64 = 500;

fn node(index: u64) -> Vec<u8> {
    format!(
        r#"{{"metadata":{{"name":"n{index}","labels":{{"kubernetes.io/hostname":"n{index}","topology.kubernetes.io/zone":"z{}"}}}},"status":{{"allocatable":{{"cpu":"32","memory":"256Gi","pods":"500"}}}}}}"#,
        index % 3
    )
    .into_bytes()
}

fn pod(index: u64, different: bool, owned: bool) -> Vec<u8> {
    let (cpu, memory) = if different {
        (100 + index * 7919 % 900, 256 + index * 104_729 % 9973)
    } else {
        (100, 256)
    };
    let owner = if owned {
        r#","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"rs","controller":true}]"#
    } else {
        ""
    };
    format!(
        r#"{{"metadata":{{"namespace":"default","name":"p{index}","uid":"u{index}"{owner}}},"spec":{{"schedulerName":"default-scheduler","containers":[{{"name":"c","image":"app:1","resources":{{"requests":{{"cpu":"{cpu}m","memory":"{memory}Mi"}}}}}}]}}}}"#
    )
    .into_bytes()
}

fn core(different: bool, owned: bool) -> Core {
    let mut core = Core::new(1);
    for index in 0..NODES {
        core.table.upsert_node(&node(index)).unwrap();
    }
    for index in 0..PODS {
        core.table
            .upsert_pod(&pod(index, different, owned))
            .unwrap();
    }
    core
}

fn main() {
    let mut suite = Suite::new();
    let keys: Vec<_> = (0..PODS)
        .map(|n| ("default".to_owned(), format!("p{n}")))
        .collect();
    for (name, different, owned) in [
        ("sched: a pod, all equal", false, false),
        (
            "sched: a pod, replicas of one owner, all equal",
            false,
            true,
        ),
        ("sched: a pod, every one different", true, false),
        (
            "sched: a pod, replicas of one owner, every one different",
            true,
            true,
        ),
    ] {
        suite.bench(
            name,
            PODS,
            || core(different, owned),
            |core| {
                let decided = core.schedule(&keys);
                let placed = |one: &Decision| matches!(one, Decision::Placed { feasible, .. } if *feasible == NODES as usize);
                assert!(decided.iter().all(placed));
                decided
            },
        );
    }
    suite.bench(
        "sched: a pod read",
        PODS,
        || {
            (
                Core::new(1),
                (0..PODS).map(|n| pod(n, true, true)).collect::<Vec<_>>(),
            )
        },
        |(core, pods)| {
            for json in pods {
                core.table.upsert_pod(json).unwrap();
            }
        },
    );
}
