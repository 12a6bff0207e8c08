"""Who goes first, and what is said of it."""

import pytest

from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.messages import node_condition, node_low
from orlop.kubelet.eviction.rank import ranked
from orlop.kubelet.eviction.signals import Layout, Observation
from orlop.kubelet.eviction.thresholds import parse
from orlop.kubelet.eviction.usage import ContainerUse, Disk, PodUse
from tests.kubelet.eviction.pods import pod

MI = 1 << 20
ONE_DISK, IMAGES_APART, SPLIT = Layout(), Layout(True, True), Layout(True, False)


def uses(mebibytes: int) -> PodUse:
    return PodUse(containers={"main": ContainerUse(memory=mebibytes * MI)})


def test_memory_over_requests_then_priority_then_by_how_much() -> None:
    pods = [
        pod("within", requests={"memory": "500Mi"}),
        pod("important", priority=100),
        pod("a-little", requests={"memory": "300Mi"}),
        pod("much"),
        pod("unknown", priority=1000),
    ]
    used = {"within": uses(400), "important": uses(900), "a-little": uses(350), "much": uses(100)}
    order = [p.metadata.name for p in ranked(pods, used, signals.MEMORY, ONE_DISK)]
    assert order == ["unknown", "much", "a-little", "important", "within"]


def test_processes_by_priority_then_number() -> None:
    pods = [pod("few"), pod("important", priority=5), pod("many", requests={"memory": "9Gi"})]
    used = {
        p.metadata.name: PodUse(containers={"main": ContainerUse(pids=n)})
        for p, n in zip(pods, (3, 99, 50), strict=True)
    }
    order = [p.metadata.name for p in ranked(pods, used, signals.PIDS, ONE_DISK)]
    assert order == ["many", "few", "important"]


@pytest.mark.parametrize(
    ("signal", "layout", "first"),
    [
        (signals.NODEFS, ONE_DISK, "layer"),
        (signals.IMAGEFS, ONE_DISK, "layer"),
        (signals.NODEFS, IMAGES_APART, "volume"),
        (signals.IMAGEFS, IMAGES_APART, "layer"),
        (signals.CONTAINERFS, IMAGES_APART, "layer"),
        (signals.NODEFS, SPLIT, "layer"),
        (signals.CONTAINERFS, SPLIT, "layer"),
        (signals.NODEFS_INODES, ONE_DISK, "volume"),
        (signals.IMAGEFS_INODES, IMAGES_APART, "layer"),
    ],
)
def test_on_a_disk_counts_what_lies_there(signal: str, layout: Layout, first: str) -> None:
    pods = [pod("layer"), pod("volume", volumes=[{"name": "data", "emptyDir": {}}])]
    used = {
        "layer": PodUse(containers={"main": ContainerUse(layer=Disk(9 * MI, 10), logs=Disk(MI, 1))}),
        "volume": PodUse(volumes={"data": Disk(8 * MI, 1000)}),
    }
    assert ranked(pods, used, signal, layout)[0].metadata.name == first


def test_what_is_in_memory_is_on_no_disk() -> None:
    memory = pod("m", volumes=[{"name": "data", "emptyDir": {"medium": "Memory"}}])
    assert PodUse(volumes={"data": Disk(MI, 1)}).ephemeral_storage(memory) == Disk()


def test_the_words() -> None:
    thresholds = parse({"memory.available": "1Gi"})
    seen = {signals.MEMORY: Observation(500 * MI, 8192 * MI)}
    message, annotations = node_low("memory", pod("p", requests={"memory": "100Mi"}), uses(200), thresholds, seen)
    assert message == (
        "The node was low on resource: memory. Threshold quantity: 1Gi, available: 500Mi. "
        "Container main was using 200Mi, request is 100Mi, has larger consumption of memory. "
    )
    assert annotations == {
        "offending_containers": "main",
        "offending_containers_usage": "200Mi",
        "starved_resource": "memory",
    }
    message, annotations = node_low("memory", pod("p", requests={"memory": "1Gi"}), uses(200), thresholds, seen)
    assert message == "The node was low on resource: memory. Threshold quantity: 1Gi, available: 500Mi. "
    assert annotations["offending_containers"] == ""
    disk = PodUse(containers={"main": ContainerUse(layer=Disk(MI), logs=Disk(MI))})
    message, _ = node_low("ephemeral-storage", pod("p"), disk, [], {})
    assert message == (
        "The node was low on resource: ephemeral-storage. "
        "Container main was using 2Mi, request is 0, has larger consumption of ephemeral-storage. "
    )
    assert (
        node_condition(("DiskPressure", "MemoryPressure")) == "The node had condition: [DiskPressure MemoryPressure]. "
    )
