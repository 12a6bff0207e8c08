"""Limits of local storage."""

from typing import Any

import pytest

from orlop.api.types import core_v1
from orlop.kubelet.eviction.limits import exceeded, has_limits
from orlop.kubelet.eviction.signals import Layout
from orlop.kubelet.eviction.usage import ContainerUse, Disk, PodUse
from tests.kubelet.eviction.pods import pod

MI = 1 << 20


def with_volume(**empty_dir: Any) -> core_v1.Pod:
    return pod("p", volumes=[{"name": "data", "emptyDir": empty_dir}])


def use(layer: int = 0, logs: int = 0, data: int = 0) -> PodUse:
    container = ContainerUse(layer=Disk(layer * MI, 1), logs=Disk(logs * MI, 1))
    return PodUse(containers={"main": container}, volumes={"data": Disk(data * MI, 1)})


def test_empty_dir() -> None:
    limited = with_volume(sizeLimit="10Mi")
    assert exceeded(limited, use(data=10), Layout()) == ""
    assert exceeded(limited, use(data=11), Layout()) == 'Usage of EmptyDir volume "data" exceeds the limit "10Mi". '
    assert exceeded(limited, PodUse(), Layout()) == ""


def test_a_container_by_its_layer_and_logs() -> None:
    limited = pod(
        "p",
        limits={"ephemeral-storage": "10Mi"},
        containers=[
            {"name": "main", "image": "i", "resources": {"limits": {"ephemeral-storage": "10Mi"}}},
            {"name": "other", "image": "i", "resources": {"limits": {"ephemeral-storage": "10Mi"}}},
        ],
    )
    assert exceeded(limited, use(layer=5, logs=5), Layout()) == ""
    over = 'Container main exceeded its local ephemeral storage limit "10Mi". '
    assert exceeded(limited, use(layer=6, logs=5), Layout()) == over
    assert exceeded(limited, use(layer=6, logs=5), Layout(images_apart=True)) == "", "its layer is on another disk"
    assert exceeded(limited, use(layer=6, logs=5), Layout(True, layers_with_images=False)) == over
    assert exceeded(limited, use(logs=11), Layout(images_apart=True)) == over


def test_a_pod_by_all_it_has() -> None:
    limited = pod("p", limits={"ephemeral-storage": "10Mi"}, volumes=[{"name": "data", "emptyDir": {}}])
    assert exceeded(limited, use(layer=1, data=9), Layout()) == ""
    assert exceeded(limited, use(layer=1, data=10), Layout()) == (
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
    )


@pytest.mark.parametrize(
    ("one", "limited"),
    [
        (pod("p"), False),
        (pod("p", limits={"memory": "1Gi"}), False),
        (with_volume(), False),
        (with_volume(sizeLimit="1Gi"), True),
        (pod("p", limits={"ephemeral-storage": "1Gi"}), True),
        (pod("p", resources={"limits": {"ephemeral-storage": "1Gi"}}), True),
    ],
)
def test_only_pods_with_limits_are_measured(one: core_v1.Pod, limited: bool) -> None:
    assert has_limits(one) is limited
