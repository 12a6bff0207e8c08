"""Files on the node: volumes that change all at once, subPaths that cannot escape, hosts and resolver files."""

import os
from pathlib import Path

import pytest

from orlop.kubelet.containers import hosts_file
from orlop.kubelet.dns import host_config, pod_config
from orlop.kubelet.runtime import values as v
from orlop.kubelet.volumes import atomic, host
from orlop.kubelet.volumes.payload import VolumeError
from tests.kubelet.worlds import pod


def test_an_atomic_volume_shows_exactly_its_files(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    assert atomic.write(volume, {"a": atomic.File(b"1", 0o644), "d/b": atomic.File(b"2", 0o600)})
    assert (volume / "a").read_bytes() == b"1"
    assert (volume / "d" / "b").read_bytes() == b"2"
    assert (volume / "d" / "b").stat().st_mode & 0o777 == 0o600
    before = os.readlink(volume / "..data")
    assert not atomic.write(volume, {"a": atomic.File(b"1", 0o644), "d/b": atomic.File(b"2", 0o600)})
    assert os.readlink(volume / "..data") == before
    assert atomic.write(volume, {"a": atomic.File(b"new", 0o644)})
    assert (volume / "a").read_bytes() == b"new"
    assert not (volume / "d").exists()
    assert sorted(p.name for p in volume.iterdir() if not p.name.startswith("..")) == ["a"]
    assert len(list(volume.iterdir())) == 3, "the old payload is gone"


def test_a_sub_path_cannot_leave_its_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    volume.chmod(0o2775)
    assert host.sub_path(volume, "a/b", None).is_dir()
    modes = [oct(path.stat().st_mode & 0o7777) for path in (volume / "a", volume / "a" / "b")]
    assert modes == ["0o2775", "0o2775"], "as the volume, so that its group holds below"
    for bad in ("../x", "out/passwd"):
        with pytest.raises(VolumeError, match="leads out of its volume"):
            host.sub_path(volume, bad, None)


def test_host_path_types(tmp_path: Path) -> None:
    assert host.host_path(str(tmp_path / "new"), "DirectoryOrCreate").is_dir()
    with pytest.raises(VolumeError, match=r"hostPath type check failed: .* is not a file"):
        host.host_path(str(tmp_path), "File")
    assert host.host_path("/nowhere", "") == Path("/nowhere")


def test_hosts_file() -> None:
    p = pod("a")
    p.spec.hostname, p.spec.subdomain = "web-0", "web"
    text = hosts_file(p, ["10.0.0.2"], "cluster.local")
    assert "10.0.0.2\tweb-0.web.default.svc.cluster.local\tweb-0\n" in text


def test_resolver_by_policy(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# made by hand\nnameserver 192.0.2.53\nsearch example.org\noptions timeout:1\n")
    own = host_config(file)
    assert own == v.DNSConfig(servers=("192.0.2.53",), searches=("example.org",), options=("timeout:1",))
    p = pod("a")
    p.spec.dns_policy = "ClusterFirst"
    cluster = pod_config(p, own, ["10.96.0.10"], "cluster.local")
    assert cluster.servers == ("10.96.0.10",)
    assert cluster.searches[:3] == ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
    assert cluster.options == ("ndots:5",)
    p.spec.dns_policy = "Default"
    assert pod_config(p, own, ["10.96.0.10"], "cluster.local") == own
    p.spec.dns_policy = "None"
    assert pod_config(p, own, [], "cluster.local").servers == ()
