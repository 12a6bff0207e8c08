//! The forwarding table at 1,000,000 endpoints: memory, lookups, changes. Run by benches/scenarios/forward_million.py.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use orlop_core::forward::{Frontend, Protocol, Table};

const ENDPOINTS: u32 = 10;

/// All sizes are times ORLOP_BENCH_SCALE: far below 1, a run shows that the benchmark still works.
fn scaled(size: u32) -> u32 {
    let scale = std::env::var("ORLOP_BENCH_SCALE").map_or(1.0, |text| text.parse().unwrap());
    (f64::from(size) * scale).max(100.0) as u32
}

fn main() {
    let (services, lookups, batch) = (scaled(100_000), scaled(1_000_000), scaled(1000) as usize);
    let mut table = Table::new("node", "");
    let before = resident();
    let started = Instant::now();
    for service in 0..services {
        table.apply_service(&service_json(service)).unwrap();
        table.apply_slice(&slice_json(service, ENDPOINTS)).unwrap();
    }
    let filled = started.elapsed();
    let changes = table.drain_changes();
    let endpoints: usize = changes
        .set
        .iter()
        .map(|(_, state)| state.cluster.len())
        .sum();
    assert_eq!(endpoints, (services * ENDPOINTS) as usize);
    drop(changes);
    let mib = (resident() - before) as f64 / 1024.0;
    println!(
        "fill: {endpoints} endpoints of {services} services in {:.2} s from JSON",
        filled.as_secs_f64()
    );
    println!(
        "memory: {mib:.0} MiB, {:.0} bytes an endpoint",
        mib * 1048576.0 / endpoints as f64
    );

    // A fixed sequence that jumps about, so that the cache of the processor does not hold what is asked next.
    let mut place = 1u32;
    let mut next = move || {
        place = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        place % services
    };
    let asked: Vec<Frontend> = (0..lookups).map(|_| frontend(next())).collect();
    let mut each: Vec<u128> = Vec::new();
    for part in asked.chunks(lookups as usize / 9) {
        let started = Instant::now();
        let mut found = 0;
        for key in part {
            found += table.lookup(black_box(key)).unwrap().0.len();
        }
        each.push(started.elapsed().as_nanos() / part.len() as u128);
        assert_eq!(found, part.len() * ENDPOINTS as usize);
    }
    each.sort_unstable();
    println!(
        "lookup: {} ns, of a random service (median)",
        each[each.len() / 2]
    );

    let rounds = scaled(100_000);
    let chosen: Vec<u32> = (0..rounds).map(|_| next()).collect();
    let fewer: Vec<_> = chosen
        .iter()
        .map(|&s| slice_json(s, ENDPOINTS - 1))
        .collect();
    let same: Vec<_> = chosen.iter().map(|&s| slice_json(s, ENDPOINTS)).collect();
    let (mut read, mut changed, mut drained) = (0.0, 0.0, 0.0);
    for (less, full) in fewer.chunks(batch).zip(same.chunks(batch)) {
        // Each list is taken twice: as a change, and when it says nothing new.
        for slices in [full, less, less, full] {
            let changes = timed(&mut table, slices);
            read += changes.0 * f64::from(u8::from(!changes.2));
            changed += changes.0 * f64::from(u8::from(changes.2));
            drained += changes.1;
        }
    }
    let batches = f64::from(2 * rounds) / batch as f64;
    let read = read / batches;
    let update = changed / batches - read;
    println!("reading a slice of {ENDPOINTS} endpoints and finding it unchanged: {read:.2} µs");
    println!("one endpoint less or more: {update:.2} µs above that");
    println!("telling the change: {:.2} µs", drained / batches);
}

/// Microseconds a slice for taking them and for telling what changed, and whether anything did.
fn timed(table: &mut Table, slices: &[Vec<u8>]) -> (f64, f64, bool) {
    let micros = |started: Instant| started.elapsed().as_secs_f64() * 1e6 / slices.len() as f64;
    let started = Instant::now();
    for json in slices {
        table.apply_slice(json).unwrap();
    }
    let applied = micros(started);
    let changes = table.has_changes();
    let started = Instant::now();
    let told = table.drain_changes().set.len();
    // A service chosen twice in a batch changes once.
    assert!(!changes || told > slices.len() / 2);
    (applied, micros(started), changes)
}

fn frontend(service: u32) -> Frontend {
    let address = IpAddr::V4(Ipv4Addr::from(0x0A60_0000 + service + 1));
    Frontend {
        address,
        port: 80,
        protocol: Protocol::Tcp,
    }
}

fn service_json(service: u32) -> Vec<u8> {
    let address = frontend(service).address;
    format!(
        r#"{{"kind":"Service","apiVersion":"v1","metadata":{{"name":"service-{service}","namespace":"default",
        "uid":"6a1f6b1e-8f9b-4a57-9a2e-1b9c2f0a7c11","resourceVersion":"{service}","labels":{{"app":"web"}}}},
        "spec":{{"ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}],"selector":{{"app":"web"}},
        "clusterIP":"{address}","clusterIPs":["{address}"],"type":"ClusterIP","sessionAffinity":"None",
        "ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}},
        "status":{{"loadBalancer":{{}}}}}}"#
    )
    .into_bytes()
}

fn slice_json(service: u32, endpoints: u32) -> Vec<u8> {
    let mut list = Vec::new();
    for endpoint in 0..endpoints {
        let address = Ipv4Addr::from(0x0B00_0000 + service * ENDPOINTS + endpoint);
        list.push(format!(
            r#"{{"addresses":["{address}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},
            "targetRef":{{"kind":"Pod","namespace":"default","name":"web-{service}-{endpoint}",
            "uid":"6a1f6b1e-8f9b-4a57-9a2e-1b9c2f0a7c11"}},"nodeName":"node-{endpoint}","zone":"a"}}"#
        ));
    }
    let list = list.join(",");
    format!(
        r#"{{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{{"name":"service-{service}-x",
        "namespace":"default","resourceVersion":"{service}",
        "labels":{{"kubernetes.io/service-name":"service-{service}"}}}},"addressType":"IPv4",
        "endpoints":[{list}],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}}"#
    )
    .into_bytes()
}

/// KiB of memory that the process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
