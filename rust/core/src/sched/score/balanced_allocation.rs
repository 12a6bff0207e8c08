//! NodeResourcesBalancedAllocation: how much the pod brings the used shares of the profile's resources (cpu and memory)
//! together.

use std::ops::Range;

use super::node_resources_fit::plain_amounts;
use super::{MAX, Score};
use crate::sched::balance::{balance, share};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::nodes::Nodes;
use crate::sched::pods::Subject;
use crate::sched::profile::Resource;
use crate::sched::requests::Requests;
use crate::sched::table::Table;

pub struct BalancedAllocation;

impl Score for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        // A pod that requests nothing changes no balance; with a score, all of its kind would go to one node.
        let requests = &subject.spec.requests;
        let mut resources = subject.profile.balanced.iter();
        resources.all(|&resource| requests.amount(resource) == 0)
    }

    fn score(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        verdicts: &[Verdict],
        scores: &mut [i32],
    ) {
        let (nodes, requests) = (&table.nodes, &subject.spec.requests);
        let resources = &subject.profile.balanced;
        if *resources != [Resource::Cpu, Resource::Memory] {
            for ((slot, verdict), score) in range.zip(verdicts).zip(scores) {
                if *verdict == FEASIBLE {
                    *score = among(nodes, requests, resources, slot);
                }
            }
            return;
        }
        let cpu = nodes.cpu.allocatable[range.clone()]
            .iter()
            .zip(&nodes.cpu.requested[range.clone()]);
        let memory = nodes.memory.allocatable[range.clone()]
            .iter()
            .zip(&nodes.memory.requested[range.clone()]);
        let each = verdicts.iter().zip(scores).zip(&nodes.balance[range]);
        for ((((verdict, score), without), cpu), memory) in each.zip(cpu).zip(memory) {
            if *verdict == FEASIBLE {
                let with = balance(
                    (*cpu.0, cpu.1 + requests.cpu),
                    (*memory.0, memory.1 + requests.memory),
                );
                debug_assert_eq!(*without, balance((*cpu.0, *cpu.1), (*memory.0, *memory.1)));
                *score = gained(with, *without);
            }
        }
    }
}

/// Half of the scale for what stays as it was, more where the balance gets better.
fn gained(with: i32, without: i32) -> i32 {
    MAX / 2 + (MAX / 2 + with - without) / 2
}

/// The score over any resources.
fn among(nodes: &Nodes, requests: &Requests, resources: &[Resource], slot: usize) -> i32 {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for &resource in resources {
        let (allocatable, requested) = plain_amounts(nodes, requests, resource, slot);
        if allocatable != 0 {
            with.push(share((allocatable, requested)));
            without.push(share((allocatable, requested - requests.amount(resource))));
        }
    }
    gained(evenness(&with), evenness(&without))
}

fn evenness(shares: &[f64]) -> i32 {
    let count = shares.len() as f64;
    let deviation = match shares {
        [] | [_] => 0.0,
        [one, other] => ((one - other) / 2.0).abs(),
        many => {
            let mean = many.iter().sum::<f64>() / count;
            let squares = many.iter().map(|share| (share - mean) * (share - mean));
            (squares.sum::<f64>() / count).sqrt()
        }
    };
    ((1.0 - deviation) * f64::from(MAX)) as i32
}
