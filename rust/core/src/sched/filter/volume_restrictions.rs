//! VolumeRestrictions: no disk of the pod may be in use on the node by a pod that does not only read it. That a claim
//! with ReadWriteOncePod is used by one pod only is looked at where claims are known.

use std::ops::Range;

use super::{Filter, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

const REASON: &str = "node(s) had no available disk";

pub struct VolumeRestrictions;

impl Filter for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.spec.disks.is_empty()
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        let taken = |slot: usize| {
            let pods = table.nodes.residents[slot]
                .iter()
                .filter_map(|&id| table.pods.get(id));
            let mut used = pods.flat_map(|pod| &pod.spec.disks);
            used.any(|used| subject.spec.disks.iter().any(|disk| disk.conflicts(*used)))
        };
        refuse(range, code, verdicts, taken);
    }

    fn refusal(&self, _: &Table, _: &Subject, _: usize) -> Refusal {
        Refusal {
            reasons: vec![REASON.into()],
            unresolvable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sched::tests::{add, core, message, node, placed, pod};

    #[test]
    fn a_disk_is_on_a_node_once_unless_all_read() {
        let mut core = core(&[node("a", "4", "")]);
        let with = |name: &str, volume: &str| {
            pod(
                name,
                &format!(r#""containers":[{{"name":"c"}}],"volumes":[{{"name":"v",{volume}}}]"#),
            )
        };
        let gce =
            |read_only| format!(r#""gcePersistentDisk":{{"pdName":"d","readOnly":{read_only}}}"#);
        let rbd = |monitors, image| {
            format!(r#""rbd":{{"monitors":{monitors},"pool":"p","image":"{image}"}}"#)
        };
        for (name, volume) in [
            ("p1", gce(true)),
            ("p2", gce(true)),
            ("p3", rbd(r#"["m1","m2"]"#, "i")),
            ("p4", rbd(r#"["m1"]"#, "j")),
        ] {
            add(&mut core, with(name, &volume));
            assert_eq!(placed(&mut core, name), "a");
        }
        for (name, volume) in [("p5", gce(false)), ("p6", rbd(r#"["m2"]"#, "i"))] {
            add(&mut core, with(name, &volume));
            let message = message(&mut core, name);
            assert!(
                message.contains("1 node(s) had no available disk."),
                "{message}"
            );
        }
    }
}
