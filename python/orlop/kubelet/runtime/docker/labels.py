"""Names and labels: how a node's sandboxes and containers are found again, and told from everybody else's.

`orlop.scope` names cluster and node; nothing without our own scope is ever looked at. `orlop.sandbox` and
`orlop.container` hold what the contract must give back and the engine has no field for.
"""

from typing import Any

import msgspec

from orlop.kubelet.runtime import values as v

SCOPE = "orlop.scope"
SANDBOX = "orlop.sandbox"
CONTAINER = "orlop.container"
SANDBOX_ID = "orlop.sandbox-id"
"""On containers only: lets the engine itself pick those of one sandbox."""


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Written when a sandbox is made."""

    metadata: v.PodSandboxMetadata
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    namespaces: v.Namespaces = v.Namespaces()
    dns: v.DNSConfig = v.DNSConfig()
    log_directory: str = ""


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Written when a container is made."""

    sandbox_id: str
    metadata: v.ContainerMetadata
    pod: v.PodSandboxMetadata
    image: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    mounts: tuple[v.Mount, ...] = ()
    log_path: str = ""


def sandbox_name(pod: v.PodSandboxMetadata) -> str:
    return f"k8s_POD_{pod.name}_{pod.namespace}_{pod.uid}_{pod.attempt}"


def container_name(container: v.ContainerMetadata, pod: v.PodSandboxMetadata) -> str:
    return f"k8s_{container.name}_{pod.name}_{pod.namespace}_{pod.uid}_{container.attempt}"


def sandbox_labels(scope: str, config: v.PodSandboxConfig) -> dict[str, str]:
    record = SandboxRecord(
        metadata=config.metadata,
        labels=config.labels,
        annotations=config.annotations,
        namespaces=config.namespaces,
        dns=config.dns,
        log_directory=config.log_directory,
    )
    return {**config.labels, SCOPE: scope, SANDBOX: msgspec.json.encode(record).decode()}


def container_labels(
    scope: str, sandbox_id: str, config: v.ContainerConfig, pod: v.PodSandboxMetadata
) -> dict[str, str]:
    record = ContainerRecord(
        sandbox_id=sandbox_id,
        metadata=config.metadata,
        pod=pod,
        image=config.image,
        labels=config.labels,
        annotations=config.annotations,
        mounts=config.mounts,
        log_path=config.log_path,
    )
    return {
        **config.labels,
        SCOPE: scope,
        SANDBOX_ID: sandbox_id,
        CONTAINER: msgspec.json.encode(record).decode(),
    }


_SANDBOX_DECODER = msgspec.json.Decoder(SandboxRecord)
_CONTAINER_DECODER = msgspec.json.Decoder(ContainerRecord)


def sandbox_record(labels: dict[str, Any] | None) -> SandboxRecord | None:
    """None when these are not a sandbox's labels."""
    text = (labels or {}).get(SANDBOX)
    return _SANDBOX_DECODER.decode(text) if text else None


def container_record(labels: dict[str, Any] | None) -> ContainerRecord | None:
    """None when these are not a container's labels."""
    text = (labels or {}).get(CONTAINER)
    return _CONTAINER_DECODER.decode(text) if text else None
