//! Tests of the core as a whole.
#![allow(clippy::unwrap_used)]

use super::explain::NodeExplanation;
use super::facts::pod_change;
use super::nodes::change;
use super::*;

pub(crate) fn node(name: &str, cpu: &str, extra: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","labels":{{"kubernetes.io/hostname":"{name}"}}}},
        "spec":{{{extra}}},"status":{{"allocatable":{{"cpu":"{cpu}","memory":"8Gi","pods":"110"}}}}}}"#
    )
}

pub(crate) fn pod(name: &str, spec: &str) -> String {
    format!(
        r#"{{"metadata":{{"namespace":"default","name":"{name}","uid":"u-{name}"}},"spec":{{{spec}}}}}"#
    )
}

pub(crate) fn cpu(amount: &str) -> String {
    format!(r#""containers":[{{"name":"c","resources":{{"requests":{{"cpu":"{amount}"}}}}}}]"#)
}

pub(crate) fn core(nodes: &[String]) -> Core {
    let mut core = Core::new(1);
    for node in nodes {
        core.table.upsert_node(node.as_bytes()).unwrap();
    }
    core
}

pub(crate) fn schedule(core: &mut Core, name: &str) -> Decision {
    core.schedule(&[("default", name)]).remove(0)
}

pub(crate) fn placed(core: &mut Core, name: &str) -> String {
    match schedule(core, name) {
        Decision::Placed { node, .. } => node,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn message(core: &mut Core, name: &str) -> String {
    match schedule(core, name) {
        Decision::Refused(refusal) => refusal.message(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn add(core: &mut Core, json: String) {
    core.table.upsert_pod(json.as_bytes()).unwrap();
}

#[test]
fn fills_the_emptier_node_and_counts_what_it_placed() {
    let mut core = core(&[node("a", "2", ""), node("b", "4", "")]);
    for name in ["p1", "p2", "p3"] {
        add(&mut core, pod(name, &cpu("1500m")));
    }
    assert_eq!(placed(&mut core, "p1"), "b");
    let mut both = [placed(&mut core, "p2"), placed(&mut core, "p3")];
    both.sort();
    assert_eq!(both, ["a", "b"]);
    assert_eq!(schedule(&mut core, "p1"), Decision::NotWaiting);
}

#[test]
fn says_why_in_upstreams_words() {
    let taint = r#""taints":[{"key":"gpu","effect":"NoSchedule"}]"#;
    let mut core = core(&[
        node("a", "1", ""),
        node("b", "1", ""),
        node("c", "9", taint),
    ]);
    add(&mut core, pod("p", &cpu("2")));
    assert_eq!(
        message(&mut core, "p"),
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
    add(
        &mut core,
        pod("q", &format!(r#"{},"preemptionPolicy":"Never""#, cpu("2"))),
    );
    assert!(
        message(&mut core, "q")
            .ends_with("preemption: not eligible due to preemptionPolicy=Never.")
    );
}

#[test]
fn without_nodes() {
    let mut core = core(&[]);
    add(&mut core, pod("p", &cpu("1")));
    assert_eq!(
        message(&mut core, "p"),
        "no nodes available to schedule pods"
    );
}

#[test]
fn nothing_is_said_of_preemption_where_it_helps() {
    let mut core = core(&[node("a", "2", "")]);
    add(&mut core, pod("low", &cpu("1500m")));
    placed(&mut core, "low");
    add(&mut core, pod("equal", &cpu("1")));
    assert_eq!(
        message(&mut core, "equal"),
        "0/1 nodes are available: 1 Insufficient cpu. \
         preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
    add(
        &mut core,
        pod("high", &format!(r#"{},"priority":10"#, cpu("1"))),
    );
    assert_eq!(
        message(&mut core, "high"),
        "0/1 nodes are available: 1 Insufficient cpu."
    );
    add(
        &mut core,
        pod("wide", &format!(r#"{},"priority":10"#, cpu("3"))),
    );
    assert!(message(&mut core, "wide").ends_with("1 Preemption is not helpful for scheduling."));
}

#[test]
fn terms_that_name_nodes() {
    let affinity = |values: &str, more: &str| {
        format!(
            r#"{},"affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":
            {{"nodeSelectorTerms":[{{"matchFields":[{{"key":"metadata.name","operator":"In","values":["{values}"]}}{more}]}}]}}}}}}"#,
            cpu("1")
        )
    };
    let mut core = core(&[node("a", "1", ""), node("b", "4", "")]);
    add(&mut core, pod("to-a", &affinity("a", "")));
    assert_eq!(placed(&mut core, "to-a"), "a");
    add(&mut core, pod("again", &affinity("a", "")));
    assert!(
        message(&mut core, "again")
            .starts_with("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity].")
    );
    let b = r#",{"key":"metadata.name","operator":"In","values":["b"]}"#;
    add(&mut core, pod("torn", &affinity("a", b)));
    assert_eq!(
        message(&mut core, "torn"),
        "0/2 nodes are available: pod affinity terms conflict. \
         preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    );
}

#[test]
fn host_ports_conflict_by_protocol_number_and_address() {
    let port = |ip: &str, protocol: &str| {
        format!(
            r#""containers":[{{"ports":[{{"hostPort":80,"hostIP":"{ip}","protocol":"{protocol}"}}]}}]"#
        )
    };
    let mut core = core(&[node("a", "4", "")]);
    add(&mut core, pod("p1", &port("127.0.0.1", "TCP")));
    placed(&mut core, "p1");
    add(&mut core, pod("p2", &port("127.0.0.2", "TCP")));
    placed(&mut core, "p2");
    add(&mut core, pod("p3", &port("", "UDP")));
    placed(&mut core, "p3");
    add(&mut core, pod("p4", &port("", "TCP")));
    assert!(
        message(&mut core, "p4")
            .contains("1 node(s) didn't have free ports for the requested pod ports")
    );
    for name in ["p1", "p2"] {
        assert!(core.table.delete_pod("default", name).is_some());
    }
    placed(&mut core, "p4");
}

#[test]
fn replicas_are_spread_over_nodes_and_zones() {
    let zoned = |name: &str, zone: &str| {
        node(name, "64", "").replace(
            r#""labels":{"#,
            &format!(r#""labels":{{"topology.kubernetes.io/zone":"{zone}","#),
        )
    };
    let mut core = core(&[
        zoned("a1", "a"),
        zoned("a2", "a"),
        zoned("a3", "a"),
        zoned("b1", "b"),
    ]);
    let replica = |name: &str| {
        pod(name, &cpu("1m")).replace(
            r#""uid""#,
            r#""ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","uid":"rs","controller":true}],"uid""#,
        )
    };
    let mut by_zone = [0, 0];
    for index in 0..4 {
        let name = format!("p{index}");
        add(&mut core, replica(&name));
        by_zone[usize::from(placed(&mut core, &name) == "b1")] += 1;
    }
    assert_eq!(by_zone, [2, 2]);
}

#[test]
fn an_assumption_stands_until_the_api_says_otherwise() {
    let mut core = core(&[node("a", "2", "")]);
    let waiting = pod("p", &cpu("2"));
    add(&mut core, waiting.clone());
    placed(&mut core, "p");
    // A status update that still names no node.
    assert_eq!(
        core.table.upsert_pod(waiting.as_bytes()).unwrap().changed,
        0
    );
    add(&mut core, pod("q", &cpu("1")));
    assert!(message(&mut core, "q").contains("Insufficient cpu"));
    // Another pod's failed binding, or one of an earlier pod of the name, takes nothing back.
    assert_eq!(core.table.forget("default", "p", "other"), None);
    assert!(core.table.forget("default", "p", "u-p").is_some());
    assert_eq!(core.table.forget("default", "p", "u-p"), None);
    placed(&mut core, "q");

    let bound = pod("p", &format!(r#"{},"nodeName":"a""#, cpu("2")));
    assert_eq!(
        core.table.upsert_pod(bound.as_bytes()).unwrap().changed,
        pod_change::ASSIGNED
    );
    assert!(
        core.table.forget("default", "p", "u-p").is_none(),
        "what the API says is no assumption"
    );
    assert_eq!(*core.table.nodes.cpu.requested, [3000]);
    let ended = bound.replacen(r#""spec""#, r#""status":{"phase":"Succeeded"},"spec""#, 1);
    let facts = core.table.upsert_pod(ended.as_bytes()).unwrap();
    assert_eq!((facts.ended, facts.changed), (true, pod_change::FREED));
    assert_eq!(*core.table.nodes.cpu.requested, [1000]);
}

#[test]
fn pods_of_a_node_that_comes_later_or_goes_are_counted() {
    let mut core = core(&[]);
    add(
        &mut core,
        pod("p", &format!(r#"{},"nodeName":"late""#, cpu("2"))),
    );
    assert_eq!(
        core.table
            .upsert_node(node("late", "2", "").as_bytes())
            .unwrap()
            & change::ADDED,
        change::ADDED
    );
    add(&mut core, pod("q", &cpu("1")));
    assert!(message(&mut core, "q").contains("Insufficient cpu"));
    assert!(core.table.delete_node("late"));
    assert!(!core.table.delete_node("late"));
    assert_eq!(
        message(&mut core, "q"),
        "no nodes available to schedule pods"
    );
    assert!(core.table.delete_pod("default", "p").is_some());
    // The slot is free for another node now.
    core.table
        .upsert_node(node("new", "2", "").as_bytes())
        .unwrap();
    assert_eq!(core.table.nodes.slots(), 1);
    assert_eq!(placed(&mut core, "q"), "new");
}

#[test]
fn what_changed_of_a_node_is_told() {
    let mut core = core(&[node("a", "2", "")]);
    let mut upsert = |json: String| core.table.upsert_node(json.as_bytes()).unwrap();
    assert_eq!(upsert(node("a", "2", "")), 0);
    assert_eq!(upsert(node("a", "3", "")), change::ALLOCATABLE);
    assert_eq!(
        upsert(node("a", "3", r#""unschedulable":true"#)),
        change::UNSCHEDULABLE
    );
    let tainted = r#""unschedulable":true,"taints":[{"key":"k","effect":"NoExecute"}]"#;
    assert_eq!(upsert(node("a", "3", tainted)), change::TAINTS);
    assert_eq!(
        upsert(node("a", "3", tainted).replace("hostname\"", "other\"")),
        change::LABELS
    );
}

#[test]
fn a_malformed_object_leaves_the_table_as_it_was() {
    let mut core = core(&[node("a", "2", "")]);
    let error = core
        .table
        .upsert_node(node("a", "two", "").as_bytes())
        .unwrap_err();
    assert!(error.0.starts_with(
        r#"node "a": status.allocatable[cpu]: Invalid value: "two": quantities must match"#
    ));
    let error = core
        .table
        .upsert_pod(pod("p", &cpu("x")).as_bytes())
        .unwrap_err();
    assert!(
        error
            .0
            .starts_with(r#"pod "default/p": spec.containers[0].resources.requests[cpu]: "#),
        "{error}"
    );
    add(&mut core, pod("q", &cpu("2")));
    assert_eq!(placed(&mut core, "q"), "a");
}

#[test]
fn explains_every_node() {
    let mut core = core(&[node("a", "1", ""), node("b", "4", "")]);
    let explained = core.explain(pod("p", &cpu("2")).as_bytes()).unwrap();
    let first = |node: &NodeExplanation| node.refusals.first().map(|refused| refused.plugin);
    assert_eq!(first(&explained[0]), Some("NodeResourcesFit"));
    assert_eq!(explained[0].refusals[0].reasons, ["Insufficient cpu"]);
    let scores = explained[1].scores.iter();
    assert_eq!(
        scores
            .map(|of| (of.plugin, of.score, of.weight))
            .collect::<Vec<_>>(),
        [
            ("TaintToleration", 100, 3),
            ("NodeResourcesFit", 73, 1),
            ("NodeResourcesBalancedAllocation", 62, 1),
            ("ImageLocality", 0, 1)
        ]
    );
    assert_eq!(explained[1].total, 435);
    let named = core
        .explain(pod("p", &format!(r#"{},"nodeName":"a""#, cpu("1"))).as_bytes())
        .unwrap();
    assert_eq!(
        (first(&named[0]), first(&named[1])),
        (None, Some("NodeName"))
    );
}

#[test]
fn kept_evaluations_follow_every_change() {
    let mut core = core(&[node("a", "4", ""), node("b", "4", "")]);
    for index in 0..6000 {
        let name = format!("p{index}");
        add(&mut core, pod(&name, &cpu("3")));
        let first = placed(&mut core, &name);
        add(&mut core, pod("other", &cpu("3")));
        assert_ne!(placed(&mut core, "other"), first);
        assert!(core.table.delete_pod("default", &name).is_some());
        assert!(core.table.delete_pod("default", "other").is_some());
    }
    core.table
        .upsert_node(node("c", "4", "").as_bytes())
        .unwrap();
    core.table
        .upsert_node(
            node(
                "a",
                "4",
                r#""taints":[{"key":"k","effect":"PreferNoSchedule"}]"#,
            )
            .as_bytes(),
        )
        .unwrap();
    core.table
        .upsert_node(node("b", "4", r#""unschedulable":true"#).as_bytes())
        .unwrap();
    add(&mut core, pod("p", &cpu("3")));
    assert_eq!(placed(&mut core, "p"), "c");
}

#[test]
fn specs_and_groups_go_with_their_last_pod() {
    let mut core = core(&[node("a", "4", "")]);
    let replica = pod("p", &cpu("1")).replace(
        r#""uid""#,
        r#""ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","uid":"rs","controller":true}],"uid""#,
    );
    for _ in 0..3 {
        add(&mut core, replica.clone());
        placed(&mut core, "p");
        add(
            &mut core,
            replica.replace(r#""containers""#, r#""nodeName":"a","containers""#),
        );
        assert!(core.table.groups.find("rs").is_some());
        assert!(core.table.delete_pod("default", "p").is_some());
        assert!(core.table.groups.find("rs").is_none());
        assert_eq!((core.table.pods.len(), core.table.pods.specs()), (0, 0));
    }
}

#[test]
fn others_have_a_say() {
    let mut core = core(&[node("a", "4", ""), node("b", "4", ""), node("c", "1", "")]);
    add(&mut core, pod("p", &cpu("2")));
    let filtered = core.filtered("default", "p").unwrap();
    let fit = filtered
        .filters
        .iter()
        .position(|name| *name == "NodeResourcesFit")
        .unwrap();
    assert_eq!(filtered.refused_by, [open::NONE, open::NONE, fit as u8]);
    let say = |allowed, extra| Say { allowed, extra };
    let layout = filtered.layout;
    assert_eq!(core.place("default", "p", say(&[], &[]), layout + 1), None);
    let Some(Decision::Refused(refusal)) = core.place("default", "p", say(&[0, 0, 2], &[]), layout)
    else {
        panic!("placed where nobody allows it");
    };
    assert_eq!(refusal.reasons, [("Insufficient cpu".to_owned(), 1)]);
    assert!(core.filtered("default", "none").is_none());
    let Some(Decision::Placed { node, feasible, .. }) =
        core.place("default", "p", say(&[1, 1, 1], &[0, 1000, 0]), layout)
    else {
        panic!("not placed");
    };
    assert_eq!((node.as_str(), feasible), ("b", 2));
    assert!(core.filtered("default", "p").is_none());
}

#[test]
fn one_node_may_take_a_pod_or_not() {
    let mut core = core(&[node("a", "2", ""), node("b", "1", "")]);
    add(
        &mut core,
        pod("low", &format!(r#""priority":1,{}"#, cpu("2"))),
    );
    assert_eq!(placed(&mut core, "low"), "a");
    add(
        &mut core,
        pod("same", &format!(r#""priority":1,{}"#, cpu("2"))),
    );
    add(
        &mut core,
        pod("high", &format!(r#""priority":2,{}"#, cpu("2"))),
    );
    add(
        &mut core,
        pod("small", &format!(r#""priority":1,{}"#, cpu("1"))),
    );
    let pods = ["same", "high", "small"].map(|name| ("default", name));
    let fit = Some("NodeResourcesFit");
    assert_eq!(core.kept_off(&pods, "a"), [fit, None, fit]);
    assert_eq!(core.kept_off(&pods, "b"), [fit, fit, None]);
    assert_eq!(core.kept_off(&pods, "none"), [Some("NodeName"); 3]);
    assert_eq!(
        core.table.delete_pod("default", "low").as_deref(),
        Some("a")
    );
    assert_eq!(core.kept_off(&pods, "a"), [None; 3]);
}

#[test]
fn a_pod_may_concern_others_or_not() {
    let mut core = core(&[node("a", "4", "")]);
    let with = |name: &str, app: &str, spec: &str| {
        let labels = format!(r#""labels":{{"app":"{app}"}},"uid""#);
        pod(name, &format!("{spec}{}", cpu("1"))).replace(r#""uid""#, &labels)
    };
    let selector = r#""labelSelector":{"matchLabels":{"app":"web"}}"#;
    let term = format!(
        r#"{{"requiredDuringSchedulingIgnoredDuringExecution":[{{"topologyKey":"zone",{selector}}}]}}"#
    );
    for kind in ["podAffinity", "podAntiAffinity"] {
        add(
            &mut core,
            with(
                kind,
                "other",
                &format!(r#""affinity":{{"{kind}":{term}}},"#),
            ),
        );
    }
    let spread = format!(
        r#""topologySpreadConstraints":[{{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule",{selector}}}],"#
    );
    add(&mut core, with("spread", "other", &spread));
    add(&mut core, with("plain", "other", ""));
    let pods = ["podAffinity", "podAntiAffinity", "spread", "plain"].map(|name| ("default", name));
    add(&mut core, with("p", "db", r#""nodeName":"a","#));
    assert_eq!(core.may_concern(&pods), [false; 4]);
    add(&mut core, with("p", "web", r#""nodeName":"a","#));
    assert_eq!(core.may_concern(&pods), [true, true, true, false]);
    add(&mut core, with("p", "db", r#""nodeName":"a","#));
    assert_eq!(
        core.may_concern(&pods),
        [true, true, true, false],
        "it was web before"
    );
    assert!(core.table.delete_pod("default", "p").is_some());
    assert_eq!(core.may_concern(&pods), [false; 4]);
    let alone = with(
        "p",
        "db",
        &format!(r#""nodeName":"a","affinity":{{"podAntiAffinity":{term}}},"#),
    );
    add(
        &mut core,
        alone.replace(
            "matchLabels\":{\"app\":\"web",
            "matchLabels\":{\"app\":\"other",
        ),
    );
    assert_eq!(core.may_concern(&pods), [true; 4]);
}
