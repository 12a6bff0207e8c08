//! Disks that a pod names in its volumes and that can be on one node once only, unless all read: GCE persistent disks,
//! AWS EBS volumes, iSCSI targets and RBD images.

use super::object::Pod;
use super::symbols::{Symbol, Symbols};

/// One disk, or one of the monitors by which an RBD image is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    /// What it is, and its name.
    id: Symbol,
    /// Whether others may read it at the same time.
    shared: bool,
}

impl Disk {
    /// The disks of a pod.
    pub fn of(pod: &Pod, symbols: &mut Symbols) -> Box<[Self]> {
        let mut disks = Vec::new();
        for volume in &pod.spec.volumes {
            let mut add = |id: String, shared| {
                let id = symbols.intern(&id);
                disks.push(Self { id, shared });
            };
            if let Some(disk) = &volume.gce_persistent_disk {
                add(format!("gce/{}", &*disk.pd_name), disk.read_only);
            }
            if let Some(disk) = &volume.aws_elastic_block_store {
                add(format!("ebs/{}", &*disk.volume_id), false);
            }
            if let Some(disk) = &volume.iscsi {
                add(format!("iscsi/{}", &*disk.iqn), disk.read_only);
            }
            if let Some(disk) = &volume.rbd {
                for monitor in &disk.monitors {
                    let id = format!("rbd/{}/{}/{}", &**monitor, &*disk.pool, &*disk.image);
                    add(id, disk.read_only);
                }
            }
        }
        disks.into()
    }

    /// Whether both cannot be on one node.
    pub fn conflicts(self, other: Self) -> bool {
        self.id == other.id && !(self.shared && other.shared)
    }
}
