//! ImageLocality: the more of what the pod's images take is on the node already, the better. An image counts with the
//! share of nodes that have it, so that pods do not all go to the few nodes where it is.

use std::ops::Range;

use super::{MAX, Score};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

const MIB: i64 = 1024 * 1024;
/// Bytes below which nothing is gained (upstream's minThreshold).
const LEAST: i64 = 23 * MIB;
/// Bytes a container from which nothing more is gained (upstream's maxContainerThreshold).
const MOST: i64 = 1000 * MIB;

pub struct ImageLocality;

impl Score for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.spec.images.is_empty()
    }

    fn indifferent(&self, table: &Table, subject: &Subject) -> bool {
        let images = subject.spec.images.iter();
        !images
            .into_iter()
            .any(|image| table.nodes.image_holders.contains_key(image))
    }

    fn score(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        verdicts: &[Verdict],
        scores: &mut [i32],
    ) {
        let (nodes, images) = (&table.nodes, &subject.spec.images);
        let share = |image| {
            let holders = nodes.image_holders.get(image).copied().unwrap_or(0);
            f64::from(holders) / nodes.len() as f64
        };
        let shares: Vec<f64> = images.iter().map(share).collect();
        for ((slot, verdict), score) in range.zip(verdicts).zip(scores) {
            if *verdict == FEASIBLE {
                let here = &nodes.images[slot];
                let bytes = images.iter().zip(&shares).map(|(image, share)| {
                    let at = here.binary_search_by_key(image, |&(name, _)| name);
                    at.map_or(0, |at| (here[at].1 as f64 * share) as i64)
                });
                *score = scaled(bytes.sum(), images.len());
            }
        }
    }
}

/// What so many bytes are worth for a pod of so many containers.
fn scaled(bytes: i64, containers: usize) -> i32 {
    let most = MOST * containers as i64;
    (i64::from(MAX) * (bytes.clamp(LEAST, most) - LEAST) / (most - LEAST)) as i32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sched::tests::{add, core, node, placed, pod};

    #[test]
    fn bytes_count_from_a_least_to_a_most_for_each_container() {
        assert_eq!(scaled(0, 1), 0);
        assert_eq!(scaled(MOST, 1), 100);
        assert_eq!(scaled(MOST, 2), 49);
        assert_eq!(scaled(i64::MAX, 3), 100);
    }

    #[test]
    fn a_pod_goes_where_its_image_is_until_the_node_loses_it() {
        let with = |name: &str, size: i64| {
            let images = format!(
                r#""images":[{{"names":["r/i:latest"],"sizeBytes":{size}}}],"allocatable""#
            );
            node(name, "4", "").replace(r#""allocatable""#, &images)
        };
        let mut core = core(&[node("a", "4", ""), with("b", 2000 * MIB)]);
        let pod = |name: &str| pod(name, r#""containers":[{"name":"c","image":"r/i"}]"#);
        add(&mut core, pod("p1"));
        assert_eq!(placed(&mut core, "p1"), "b");
        core.table
            .upsert_node(node("b", "4", "").as_bytes())
            .unwrap();
        core.table
            .upsert_node(with("a", 2000 * MIB).as_bytes())
            .unwrap();
        for name in ["p2", "p3"] {
            add(&mut core, pod(name));
            assert_eq!(placed(&mut core, name), "a");
        }
    }
}
