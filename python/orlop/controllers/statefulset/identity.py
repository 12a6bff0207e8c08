"""What makes a pod the one of its number: name, host name, labels, volumes."""

import re
from typing import TypeVar

import msgspec

from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import copy
from orlop.control import controller_reference
from orlop.controllers import history
from orlop.controllers.views import PodView

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)")
_MAX_ORDINAL = 2**31 - 1

AnyPod = TypeVar("AnyPod", PodView, core_v1.Pod)


def parent_and_ordinal(pod_name: str) -> tuple[str, int]:
    """The set's name and the number in a pod's name; ("", -1) if it has none."""
    match = _NAME.fullmatch(pod_name)
    if match is None or int(match[2]) > _MAX_ORDINAL:
        return "", -1
    return match[1], int(match[2])


def ordinal_of(pod: PodView) -> int:
    return parent_and_ordinal(pod.metadata.name)[1]


def is_member(s: apps_v1.StatefulSet, pod: PodView) -> bool:
    """Whether the pod's name is one of the set's."""
    return parent_and_ordinal(pod.metadata.name)[0] == s.metadata.name


def pod_name(s: apps_v1.StatefulSet, ordinal: int) -> str:
    return f"{s.metadata.name}-{ordinal}"


def claim_name(s: apps_v1.StatefulSet, template: core_v1.PersistentVolumeClaim, ordinal: int) -> str:
    return f"{template.metadata.name}-{s.metadata.name}-{ordinal}"


def ordinals(s: apps_v1.StatefulSet) -> range:
    """The numbers of the pods that the set asks for."""
    start = s.spec.ordinals.start if s.spec.ordinals is not None else 0
    return range(start, start + (1 if s.spec.replicas is None else s.spec.replicas))


def revision_of(pod: PodView) -> str:
    """The name of the revision that the pod was made from."""
    return pod.metadata.labels.get(history.REVISION_HASH, "")


def labels_match(pod: PodView) -> bool:
    """Whether the pod carries the labels by which Services find a single pod."""
    return pod.metadata.labels.get(POD_NAME_LABEL) == pod.metadata.name


def identity_labels(name: str, ordinal: int) -> dict[str, str]:
    return {POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}


def storage_matches(s: apps_v1.StatefulSet, pod: PodView) -> bool:
    """Whether the pod's volumes are the claims of its number."""
    ordinal = ordinal_of(pod)
    volumes = {v.name: v.persistent_volume_claim for v in pod.spec.volumes}
    for template in s.spec.volume_claim_templates:
        source = volumes.get(template.metadata.name)
        if source is None or source.claim_name != claim_name(s, template, ordinal):
            return False
    return True


def volumes(s: apps_v1.StatefulSet, present: list[core_v1.Volume], ordinal: int) -> list[core_v1.Volume]:
    """The claims of the number as volumes, and those of `present` that have other names."""
    claims = {
        t.metadata.name: core_v1.Volume(
            name=t.metadata.name,
            persistent_volume_claim=core_v1.PersistentVolumeClaimVolumeSource(claim_name=claim_name(s, t, ordinal)),
        )
        for t in s.spec.volume_claim_templates
    }
    return [*claims.values(), *(v for v in present if v.name not in claims)]


def new_pod(s: apps_v1.StatefulSet, template: core_v1.PodTemplateSpec, revision: str, ordinal: int) -> core_v1.Pod:
    """The pod of that number, made from the template of that revision."""
    template = copy(template)
    name = pod_name(s, ordinal)
    spec = msgspec.structs.replace(
        template.spec,
        hostname=name,
        subdomain=s.spec.service_name,
        volumes=volumes(s, template.spec.volumes, ordinal),
    )
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name=name,
            generate_name=f"{s.metadata.name}-",
            namespace=s.metadata.namespace,
            labels={
                **template.metadata.labels,
                **identity_labels(name, ordinal),
                history.REVISION_HASH: revision,
            },
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[controller_reference(s)],
        ),
        spec=spec,
    )
