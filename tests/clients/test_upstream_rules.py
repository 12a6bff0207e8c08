"""Every fixture of the kinds' rules against Kubernetes' own kube-apiserver: it must answer each as orlop's does.

A fixture without `old` is made in a dry run, one with it is made and then changed in a dry run; status, body and
warnings of each step are compared.
"""

from typing import Any

import pytest

from orlop.api.scheme import Kind
from orlop.apiserver.registry import strategy_of
from tests.support import go, rules
from tests.support.bothservers import NAMESPACE, Answer, Both, differences, path_of

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(2 * go.COMMAND_SECONDS)]

EARLIER = {
    "jobs: a zone that a schedule had may stay",
    "jobs: not next to another",
    "networking: ranges of a policy are read strictly, but stay as they were",
    "networking: an Ingress' status",
    "networking: approvals are not taken back, nor given along with the certificate",
    "warnings: a cron job's time zone in its schedule stays, and is told of every time",
    "warnings: ranges of a network policy that were taken once",
    "warnings: addresses of a slice that were taken once",
}
"""Fixtures whose old object an earlier release would have taken: today both servers refuse it, in the same words."""
CANNOT = "the old object cannot be made"
LATER = {
    "ephemeralcontainers": lambda old: "ephemeralContainers" in old.get("spec", {}),
    "status": lambda old: "status" in old,
}
"""What an object cannot be made with: the subresource that brings it, and whether there is some."""
SET = {"automountServiceAccountToken": False, "serviceAccountName": "default"}
ADDED = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]
"""What admission would give new pods, so that it does not go in their updates."""

ACCEPTED = {
    '.metadata.finalizers: theirs ["scheduling.k8s.io/podgroup-protection"]': (
        "a group goes at once: nothing here would take the finalizer away"
    ),
}
"""Differences that stay, by how their line begins, and why."""


async def test_every_fixture_is_answered_alike(servers: Both) -> None:
    wrong, refused = [], set()
    for number, (about, case) in enumerate(rules.told()):
        for step, found in await compared(servers, case, f"x{number}"):
            if found and found[-1].startswith(CANNOT):
                refused.add(about)
            stays = (*ACCEPTED, CANNOT) if about in EARLIER else tuple(ACCEPTED)
            found = [line for line in found if not line.startswith(stays)]
            if found:
                wrong.append("\n  ".join([f"{about} ({step})", *found]))
    assert not wrong, "\n".join([f"{len(wrong)} differ", *wrong])
    assert refused == EARLIER


async def compared(servers: Both, case: dict[str, Any], name: str) -> list[tuple[str, list[str]]]:
    """What differs in each step of a fixture."""
    new, old = rules.tree(case, "object", "pod"), rules.tree(case, "old", "was")
    assert new is not None
    kind, subresource = rules.kind_of(new), case.get("subresource", "")
    if old is None:
        made = await servers.ask("POST", path_of(kind), placed(new, name, kind.namespaced), dry=True)
        return [("create", differences(*made))]
    if kind.namespaced or "name" not in new.get("metadata", {}):
        new, old = renamed(new, name), renamed(old, name)
    new, old = placed(new, name, kind.namespaced), placed(old, name, kind.namespaced)
    name = new["metadata"]["name"]
    answers = await servers.ask("POST", path_of(kind), without(old, "ephemeralContainers"))
    steps = [("old", differences(*answers))]
    for later in [name for name, there in LATER.items() if there(old)]:
        if all(answer.status in (200, 201) for answer in answers):
            answers = await servers.ask("PUT", path_of(kind, name, later), *sent(kind, old, answers))
            steps.append((f"old {later}", differences(*answers)))
    if any(answer.status not in (200, 201) for answer in answers):
        steps[-1][1].append(f"{CANNOT}: {answers[0].body}")
        return steps
    if not strategy_of(kind).unconditional_update:
        refused = await servers.ask("PUT", path_of(kind, name), new, dry=True)
        steps.append(("without a version", differences(*refused)))
    changed = await servers.ask("PUT", path_of(kind, name, subresource), *sent(kind, new, answers), dry=True)
    steps.append((f"update {subresource}".strip(), differences(*changed)))
    await servers.ask("DELETE", path_of(kind, name), {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    return steps


def placed(tree: dict[str, Any], name: str, namespaced: bool) -> dict[str, Any]:
    """The object with a name and in the namespace; pods with what admission adds."""
    metadata = {"name": name, **tree.get("metadata", {}), **({"namespace": NAMESPACE} if namespaced else {})}
    metadata.pop("uid", None)
    tree = {**tree, "metadata": metadata}
    if tree["kind"] == "Pod":
        tolerations = [*tree["spec"].get("tolerations", []), *ADDED]
        tree["spec"] = {**SET, **tree["spec"], "tolerations": tolerations}
    return tree


def without(tree: dict[str, Any], field: str) -> dict[str, Any]:
    """The object, its spec without a field."""
    return {**tree, "spec": {k: v for k, v in tree["spec"].items() if k != field}} if "spec" in tree else tree


def renamed(tree: dict[str, Any], name: str) -> dict[str, Any]:
    return {**tree, "metadata": {**tree.get("metadata", {}), "name": name}}


def sent(kind: Kind, tree: dict[str, Any], answers: tuple[Answer, Answer]) -> list[dict[str, Any]]:
    """The object for each of the servers, at the version that it has there if it must say so."""
    if strategy_of(kind).unconditional_update:
        return [tree]
    return [
        {**tree, "metadata": {**tree["metadata"], "resourceVersion": a.body["metadata"]["resourceVersion"]}}
        for a in answers
    ]
