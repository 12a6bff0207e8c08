"""Pods and runtime states for the kubelet's tests."""

from orlop.api.types import core_v1, meta_v1
from orlop.kubelet.plan import HASH_ANNOTATION, container_hash
from orlop.kubelet.runtime import values as v

SECOND = 1_000_000_000


def pod(
    *names: str, init: tuple[str, ...] = (), sidecars: tuple[str, ...] = (), restart: str = "Always"
) -> core_v1.Pod:
    """A bound pod with these containers."""
    inits = [core_v1.Container(name=n, image="i", restart_policy="Always") for n in sidecars]
    inits += [core_v1.Container(name=n, image="i") for n in init]
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="p", namespace="default", uid="u-1", generation=1),
        spec=core_v1.PodSpec(
            containers=[core_v1.Container(name=n, image="i") for n in names],
            init_containers=inits,
            restart_policy=restart,
            node_name="n1",
        ),
        status=core_v1.PodStatus(phase="Pending"),
    )


def sandbox(state: v.SandboxState = "ready", ips: tuple[str, ...] = ("10.0.0.2",)) -> v.PodSandboxStatus:
    return v.PodSandboxStatus(
        id="s-1",
        metadata=v.PodSandboxMetadata(name="p", uid="u-1", namespace="default"),
        state=state,
        created_at=SECOND,
        ips=ips,
    )


def ran(
    name: str,
    state: v.ContainerState = "running",
    *,
    code: int = 0,
    attempt: int = 0,
    reason: str = "",
    image: str = "i",
) -> v.ContainerStatus:
    return v.ContainerStatus(
        id=f"{name}-{attempt}",
        pod_sandbox_id="s-1",
        metadata=v.ContainerMetadata(name=name, attempt=attempt),
        pod=sandbox().metadata,
        image=image,
        image_ref="sha256:1",
        state=state,
        created_at=SECOND,
        started_at=SECOND,
        finished_at=2 * SECOND if state == "exited" else 0,
        exit_code=code,
        reason=reason,
        annotations={HASH_ANNOTATION: container_hash(core_v1.Container(name=name, image=image))},
    )
