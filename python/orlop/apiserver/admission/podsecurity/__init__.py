"""PodSecurity: what the labels of a namespace allow its pods (KEP-2579). Workloads are only warned of.

Upstream: plugin/pkg/admission/security/podsecurity and k8s.io/pod-security-admission.
"""

from collections import Counter
from typing import Any

from orlop.api import errors, scheme
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.admission.metadata import Mentioning
from orlop.apiserver.admission.podsecurity import baseline, policy, restricted
from orlop.apiserver.admission.podsecurity.checks import Container, Finding, chosen
from orlop.apiserver.admission.podsecurity.policy import PREFIX, PRIVILEGED, RESTRICTED, LevelVersion, Policy
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.clock import Clock

TEMPLATES = (
    "replicationcontrollers",
    "podtemplates",
    "apps/replicasets",
    "apps/deployments",
    "apps/statefulsets",
    "apps/daemonsets",
    "batch/jobs",
    "batch/cronjobs",
)
"""What has pods of a template."""
IGNORED = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status", "resize"})
"""Subresources of pods that change nothing of what is checked."""
MAX_PODS = 3000
"""Pods of a namespace that are looked at when its labels change (upstream: namespaceMaxPodsToCheck)."""
SECCOMP = baseline.SECCOMP_POD

_POD = scheme.by_resource("", "v1", "pods")


def findings(asked: LevelVersion, meta: meta_v1.ObjectMeta, spec: core_v1.PodSpec) -> list[Finding]:
    """What a level forbids in a pod, baseline's checks first."""
    if asked.level == PRIVILEGED:
        return []
    checks = list(chosen(baseline.CHECKS, asked.minor))
    if asked.level == RESTRICTED:
        stricter = list(chosen(restricted.CHECKS, asked.minor))
        replaced = {check.instead_of for check in stricter}
        checks = [check for check in checks if check.name not in replaced] + stricter
    return [found for check in checks if (found := check.function(meta, spec)) is not None]


class PodSecurity(Admission):
    """Nothing is configured but by labels: where a namespace has none, every pod is allowed."""

    resources = ("namespaces", "pods", *TEMPLATES)
    subresources = None

    def __init__(self, objects: Objects, clock: Clock, config: Config, authorizer: Authorizer) -> None:
        super().__init__(objects, clock, config, authorizer)
        self._namespaces = Mentioning(objects, "namespaces", PREFIX)

    def handles(self, a: Attributes) -> bool:
        if a.kind.resource == "pods":
            return a.operation in self.operations and a.subresource not in IGNORED
        return super().handles(a) and not a.subresource

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return None if a.kind.resource == "namespaces" or self._namespaces(a.namespace).labels else ("namespaces",)

    async def validate(self, a: Attributes) -> None:
        if a.kind.resource == "namespaces":
            self._namespace(a)
            return
        labels = self._namespaces(a.namespace).labels
        enforced = a.kind.resource == "pods"
        if not labels:
            if enforced and a.request is not None and a.request.audit is not None:
                a.annotations[f"{PREFIX}enforce-policy"] = str(LevelVersion())
            return
        asked, wrong = policy.of(labels)
        if enforced and a.operation == "UPDATE" and not _significant(a.object, a.old):
            return
        template = a.object if enforced else _template(a.object)
        if template is not None:
            if wrong:
                a.annotations[f"{PREFIX}error"] = f"Failed to parse policy: {_joined(wrong)}"
            self._evaluate(a, asked, template.metadata, template.spec, enforced=enforced)

    def _evaluate(
        self, a: Attributes, asked: Policy, meta: meta_v1.ObjectMeta, spec: core_v1.PodSpec, *, enforced: bool
    ) -> None:
        known: dict[LevelVersion, str] = {}

        def told(of: LevelVersion) -> str:
            if of not in known:
                known[of] = ", ".join(map(str, findings(of, meta, spec)))
            return f'violate PodSecurity "{of}": {known[of]}' if known[of] else ""

        if enforced:
            a.annotations[f"{PREFIX}enforce-policy"] = str(asked.enforce)
        if audited := told(asked.audit):
            a.annotations[f"{PREFIX}audit-violations"] = f"would {audited}"
        if enforced and (refused := told(asked.enforce)):
            words = refused.replace("violate", "violates", 1)
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, words)
        if (warned := told(asked.warn)) and a.request is not None:
            a.request.warn(f"would {warned}")

    # --- namespaces

    def _namespace(self, a: Attributes) -> None:
        """Labels must be right when they are set; pods that are there are warned of when more is asked for."""
        asked, wrong = policy.of(a.object.metadata.labels)
        before, known = policy.of(a.old.metadata.labels) if a.operation == "UPDATE" else (Policy(), [])
        if wrong and wrong != known:
            raise errors.invalid("Namespace", "", a.name, wrong)
        new, old = asked.enforce, before.enforce
        looser = new.minor == old.minor and not new.stricter_than(old)
        if a.operation == "UPDATE" and new != old and new.level != PRIVILEGED and not looser and a.request is not None:
            for warning in self._violating(a.object.metadata.name, new):
                a.request.warn(warning)

    def _violating(self, namespace: str, asked: LevelVersion) -> list[str]:
        assert _POD is not None
        items = self.objects.hub.list("pods", namespace, "", "", 0, None).items
        first: dict[str, str] = {}
        counts: Counter[str] = Counter()
        for value in items[:MAX_PODS]:
            pod: core_v1.Pod = self.objects.decode(_POD, value)
            if found := findings(asked, pod.metadata, pod.spec):
                words = ", ".join(finding.reason for finding in found)
                first[words] = min(first.get(words, pod.metadata.name), pod.metadata.name)
                counts[words] += 1
        told = []
        if len(items) > MAX_PODS:
            told.append(
                f"new PodSecurity enforce level only checked against the first {MAX_PODS} of {len(items)} existing pods"
            )
        if counts:
            told.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{asked}"')
        return told + sorted(_named(first[words], count - 1, words) for words, count in counts.items())


def _joined(wrong: list[errors.FieldError]) -> str:
    lines = [str(one) for one in wrong]
    return lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"


def _named(pod: str, others: int, words: str) -> str:
    if not others:
        return f"{pod}: {words}"
    return f"{pod} (and {others} other pod{'s' if others > 1 else ''}): {words}"


def _template(obj: Any) -> core_v1.PodTemplateSpec | None:
    if isinstance(obj, core_v1.PodTemplate):
        return obj.template
    spec = obj.spec
    found: core_v1.PodTemplateSpec | None = (spec.job_template.spec if hasattr(spec, "job_template") else spec).template
    return found


def _significant(pod: core_v1.Pod, old: core_v1.Pod) -> bool:
    """Whether a change may change what is found: images and profiles, which may change, and containers."""
    notes, before = pod.metadata.annotations, old.metadata.annotations
    if notes.get(SECCOMP) != before.get(SECCOMP):
        return True

    def differ(one: Container, other: Container) -> bool:
        key = f"{baseline.SECCOMP_CONTAINER}{one.name}"
        return one.image != other.image or notes.get(key) != before.get(key)

    for mine, theirs in (
        (pod.spec.containers, old.spec.containers),
        (pod.spec.init_containers, old.spec.init_containers),
    ):
        if len(mine) != len(theirs) or any(differ(one, other) for one, other in zip(mine, theirs, strict=True)):
            return True
    known = {container.name: container for container in old.spec.ephemeral_containers}
    return any(c.name not in known or differ(c, known[c.name]) for c in pod.spec.ephemeral_containers)
