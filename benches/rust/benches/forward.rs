//! The table of services: slices read, looked up, told.
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};

use orlop_benches::Suite;
use orlop_core::forward::{Frontend, Protocol, Table};

const SERVICES: u32 = 500;
const ENDPOINTS: u32 = 10;

fn address(service: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0A60_0000 + service + 1))
}

fn service(service: u32) -> Vec<u8> {
    let ip = address(service);
    format!(
        r#"{{"metadata":{{"name":"s-{service}","namespace":"default"}},"spec":{{"type":"ClusterIP","clusterIP":"{ip}","clusterIPs":["{ip}"],"ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}]}}}}"#
    )
    .into_bytes()
}

fn slice(service: u32, endpoints: u32) -> Vec<u8> {
    let list: Vec<_> = (0..endpoints)
        .map(|endpoint| {
            let address = Ipv4Addr::from(0x0B00_0000 + service * ENDPOINTS + endpoint);
            format!(
                r#"{{"addresses":["{address}"],"conditions":{{"ready":true}},"nodeName":"n-{endpoint}"}}"#
            )
        })
        .collect();
    format!(
        r#"{{"metadata":{{"name":"s-{service}-x","namespace":"default","labels":{{"kubernetes.io/service-name":"s-{service}"}}}},"addressType":"IPv4","endpoints":[{}],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}}"#,
        list.join(",")
    )
    .into_bytes()
}

fn filled() -> Table {
    let mut table = Table::new("node", "");
    for number in 0..SERVICES {
        table.apply_service(&service(number)).unwrap();
        table.apply_slice(&slice(number, ENDPOINTS)).unwrap();
    }
    table.drain_changes();
    table
}

fn main() {
    let mut suite = Suite::new();
    let slices = |endpoints| {
        (0..SERVICES)
            .map(|n| slice(n, endpoints))
            .collect::<Vec<_>>()
    };
    suite.bench(
        "forward: a slice that says nothing new",
        SERVICES.into(),
        || (filled(), slices(ENDPOINTS)),
        |(table, slices)| {
            for json in slices {
                table.apply_slice(json).unwrap();
            }
            assert!(!table.has_changes());
        },
    );
    suite.bench(
        "forward: a slice with one endpoint less, told",
        SERVICES.into(),
        || (filled(), slices(ENDPOINTS - 1)),
        |(table, slices)| {
            for json in slices {
                table.apply_slice(json).unwrap();
            }
            assert_eq!(table.drain_changes().set.len(), SERVICES as usize);
        },
    );
    suite.bench("forward: a look-up", SERVICES.into(), filled, |table| {
        for number in 0..SERVICES {
            let key = Frontend {
                address: address(number),
                port: 80,
                protocol: Protocol::Tcp,
            };
            assert_eq!(table.lookup(&key).unwrap().0.len(), ENDPOINTS as usize);
        }
    });
}
