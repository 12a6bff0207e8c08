"""PodSecurity: what the levels forbid, as upstream words it; and who is told what, when."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.apiserver.conftest import Api

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.admission.podsecurity import findings, policy
from orlop.apiserver.admission.podsecurity.policy import PREFIX, LevelVersion, Policy

CASES = yaml.safe_load((Path(__file__).parent / "podsecurity.yaml").read_text())
PLAIN = {"containers": [{"name": "c", "image": "i"}]}
SHARES_HOST = {**PLAIN, "hostNetwork": True}
LABELS = {"app": "a"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": PLAIN}


def asked(text: str) -> LevelVersion:
    level, _, version = text.partition(":")
    return policy.of({f"{PREFIX}enforce": level, f"{PREFIX}enforce-version": version})[0].enforce


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["about"])
def test_levels(case: dict[str, Any]) -> None:
    spec = msgspec.convert(case["spec"], core_v1.PodSpec)
    meta = meta_v1.ObjectMeta(annotations=case.get("annotations", {}))
    for policies, words in case["says"].items():
        for one in policies.split(", "):
            assert ", ".join(map(str, findings(asked(one), meta, spec))) == words, one
            assert str(asked(one)) == one


def test_what_cannot_be_read_enforces_the_strictest_level() -> None:
    found, wrong = policy.of({f"{PREFIX}enforce": "strict", f"{PREFIX}warn": "x", f"{PREFIX}audit-version": "1.2"})
    assert found == Policy(enforce=LevelVersion("restricted"))
    assert [str(one) for one in wrong] == [
        f'metadata.labels[{PREFIX}enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
        f'metadata.labels[{PREFIX}audit-version]: Invalid value: "1.2": must be "latest" or "v1.x"',
        f'metadata.labels[{PREFIX}warn]: Invalid value: "x": must be one of privileged, baseline, restricted',
    ]


async def namespace(api: Api, name: str, **labels: str) -> str:
    """Makes a namespace with these labels of ours; the path of what is in it."""
    named = {f"{PREFIX}{label.replace('_', '-')}": value for label, value in labels.items()}
    await api.made("/api/v1/namespaces", {"metadata": {"name": name, "labels": named}})
    await api.made(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    return f"/api/v1/namespaces/{name}"


def warnings(answer: Any) -> list[str]:
    return [value for key, value in answer.headers.items() if key.lower() == "warning"]


async def test_pods_are_refused_and_workloads_warned_of(api: Api) -> None:
    where = await namespace(api, "strict", enforce="baseline", warn="restricted")
    refused = await api("POST", f"{where}/pods", {"metadata": {"name": "p"}, "spec": SHARES_HOST})
    assert refused.status == 403
    assert refused.message == (
        'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    )
    assert not warnings(refused)
    allowed = await api("POST", f"{where}/pods", {"metadata": {"name": "p"}, "spec": PLAIN})
    assert allowed.status == 201
    assert 'would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation' in warnings(allowed)[0]
    # Warnings do not go with the memory of how pods like it were admitted.
    again = await api("POST", f"{where}/pods", {"metadata": {"name": "q"}, "spec": PLAIN})
    assert warnings(again) == warnings(allowed)
    spec = {"selector": {"matchLabels": LABELS}, "template": {**TEMPLATE, "spec": SHARES_HOST}}
    made = await api("POST", "/apis/apps/v1/namespaces/strict/deployments", {"metadata": {"name": "d"}, "spec": spec})
    assert made.status == 201
    assert "host namespaces" in warnings(made)[0]


async def test_changes_that_change_nothing_are_allowed(api: Api) -> None:
    where = await namespace(api, "late")
    for name in ("a", "b"):
        await api.made(f"{where}/pods", {"metadata": {"name": name}, "spec": SHARES_HOST})
    await api.made(f"{where}/pods", {"metadata": {"name": "fine"}, "spec": PLAIN})
    merge = "application/merge-patch+json"
    label = {"metadata": {"labels": {f"{PREFIX}enforce": "baseline"}}}
    changed = await api("PATCH", where, label, merge)
    assert changed.status == 200
    told = 'existing pods in namespace \\"late\\" violate the new PodSecurity enforce level \\"baseline:latest\\"'
    assert warnings(changed) == [f'299 - "{told}", 299 - "a (and 1 other pod): host namespaces"']
    assert (await api("PATCH", f"{where}/pods/a", {"metadata": {"labels": LABELS}}, merge)).status == 200
    strategic = "application/strategic-merge-patch+json"
    image = {"spec": {"containers": [{"name": "c", "image": "other"}]}}
    assert (await api("PATCH", f"{where}/pods/a", image, strategic)).status == 403
    debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i", "securityContext": {"privileged": True}}]}}
    answer = await api("PATCH", f"{where}/pods/fine/ephemeralcontainers", debug, strategic)
    assert answer.message == (
        'pods "fine" is forbidden: violates PodSecurity "baseline:latest": privileged (container "d" must not set '
        "securityContext.privileged=true)"
    )


async def test_labels_must_be_right_when_they_are_set(api: Api) -> None:
    body = {"metadata": {"name": "bad", "labels": {f"{PREFIX}enforce": "most"}}}
    refused = await api("POST", "/api/v1/namespaces", body)
    assert refused.status == 422
    assert refused.message == (
        f'Namespace "bad" is invalid: metadata.labels[{PREFIX}enforce]: Invalid value: "most": must be one of '
        "privileged, baseline, restricted"
    )
    where = await namespace(api, "good", enforce="restricted")
    wrong = json.dumps({"metadata": {"labels": {f"{PREFIX}warn-version": "latest-ish"}}}).encode()
    assert (await api("PATCH", where, wrong, "application/merge-patch+json")).status == 422
