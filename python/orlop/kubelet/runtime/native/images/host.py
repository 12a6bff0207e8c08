"""The image `host`: this machine's own file system below the container's own layer, private things masked."""

from pathlib import Path

from orlop.kubelet.runtime.native.images.model import ImageConfig, StoredImage, digest
from orlop.kubelet.runtime.native.images.platforms import text

NAME = "host"
NAMES = (NAME, f"{NAME}:latest")

IMAGE = StoredImage(
    id=digest(b"orlop: the machine's own file system"),
    names=(f"{NAME}:latest",),
    digests=(),
    size=0,
    config=ImageConfig(
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
        cmd=("/bin/sh",),
        working_dir="/",
    ),
    layers=(),
    platform=text(),
)

HIDDEN_FOLDERS = {
    "/root": "root's own files: keys, histories, tokens",
    "/home": "people's own files",
    "/run": "sockets by which daemons are commanded, secrets handed to services, our own state",
    "/var/run": "the same by its old name, where it is no link",
    "/tmp": "half of what people keep private for a moment",
    "/var/tmp": "the same",
    "/boot": "kernels and their secrets (LUKS key files in the initial file system)",
    "/mnt": "other disks",
    "/media": "other disks",
    "/lost+found": "what a file system check has found of anybody's files",
    "/etc/ssl/private": "private keys",
    "/etc/pki/tls/private": "private keys",
    "/etc/letsencrypt": "private keys",
    "/etc/wireguard": "private keys",
    "/etc/ipsec.d/private": "private keys",
    "/etc/openvpn": "private keys",
    "/etc/NetworkManager/system-connections": "passwords of networks",
    "/etc/netplan": "passwords of networks",
    "/etc/sudoers.d": "who may become whom",
    "/etc/credstore": "systemd's stored secrets",
    "/etc/credstore.encrypted": "systemd's stored secrets",
    "/etc/kubernetes": "keys of another cluster",
    "/etc/rancher": "keys of another cluster",
    "/etc/docker": "keys of registries and daemons",
    "/etc/containers": "keys of registries",
    "/var/lib/orlop": "our own state: other pods' volumes and secrets, the store of images",
    "/var/lib/kubelet": "other pods' volumes and secrets",
    "/var/lib/etcd": "a cluster's database, secrets included",
    "/var/lib/rancher": "another cluster's state",
    "/var/lib/docker": "other containers' files",
    "/var/lib/containerd": "other containers' files",
    "/var/lib/containers": "other containers' files",
    "/var/lib/cni": "addresses of other pods",
    "/var/lib/private": "services' own state, closed to other users on the machine too",
    "/var/lib/systemd": "random seed, credentials, other machines",
    "/var/lib/postgresql": "a database",
    "/var/lib/mysql": "a database",
    "/var/log": "logs of the machine and of other pods",
    "/var/spool": "mail, print jobs, people's cron tables",
    "/var/mail": "mail",
    "/var/backups": "copies of shadow",
}
"""Folders that a container of `host` sees empty, and why."""

HIDDEN_FILES = {
    "/etc/shadow": "hashes of passwords",
    "/etc/shadow-": "hashes of passwords",
    "/etc/gshadow": "hashes of passwords",
    "/etc/gshadow-": "hashes of passwords",
    "/etc/security/opasswd": "hashes of old passwords",
    "/etc/sudoers": "who may become whom",
    "/etc/machine-id": "names the machine; a container is none",
    "/etc/krb5.keytab": "the machine's Kerberos key",
    "/etc/crypttab": "where the disks' keys are",
    "/etc/ppp/chap-secrets": "passwords",
    "/etc/ppp/pap-secrets": "passwords",
    "/etc/mysql/debian.cnf": "a database's password",
    "/swapfile": "memory of the machine's processes",
    "/swap.img": "memory of the machine's processes",
}
"""Files that read as empty there, and why."""

PATTERNS = {
    "/etc/ssh/ssh_host_*_key": "whoever has them can pass for this machine",
    "/etc/NetworkManager/system-connections/*": "passwords of networks",
}


def masked_paths(root: Path = Path("/"), own: tuple[Path, ...] = ()) -> list[str]:
    """The paths of this machine to hide, those that are there; `own` are further folders of ours.

    A path below one that is hidden already is left out. What is a link is named by where it leads, since masking is a
    mount and a mount follows links.
    """
    candidates = [*HIDDEN_FOLDERS, *HIDDEN_FILES]
    for pattern in PATTERNS:
        candidates += ["/" + str(path.relative_to(root)) for path in sorted(root.glob(pattern.lstrip("/")))]
    candidates += [str(path) for path in own]
    real: set[str] = set()
    for candidate in candidates:
        path = root / candidate.lstrip("/")
        if path.exists():
            real.add("/" + str(path.resolve().relative_to(root.resolve())))
    real.discard("/.")
    return sorted(p for p in real if not any(str(parent) in real for parent in Path(p).parents))
