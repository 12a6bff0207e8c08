"""pods/ephemeralcontainers: containers are added, and nothing else."""

from typing import Any

import pytest
from tests.apiserver.conftest import PODS, Api, pod

PATH = f"{PODS}/p/ephemeralcontainers"
MERGE = "application/strategic-merge-patch+json"


def one(name: str = "debug", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1", **more}


async def test_containers_are_added_and_stay_as_they_are(api: Api) -> None:
    made = await api.made(PODS, pod(nodeName="n"))
    added = await api("PATCH", PATH, {"spec": {"ephemeralContainers": [one(targetContainerName="c")]}}, MERGE)
    assert added.status == 200
    (container,) = added.body["spec"]["ephemeralContainers"]
    assert container["terminationMessagePolicy"] == "File"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert added.body["metadata"]["generation"] == made["metadata"]["generation"] + 1
    more = await api("PATCH", PATH, {"spec": {"ephemeralContainers": [one("second")]}}, MERGE)
    assert [c["name"] for c in more.body["spec"]["ephemeralContainers"]] == ["second", "debug"]
    assert (await api("GET", PATH)).body == more.body


async def test_nothing_else_changes(api: Api) -> None:
    made = await api.made(PODS, pod(nodeName="n"))
    change = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"activeDeadlineSeconds": 5, "ephemeralContainers": [one()]},
        "status": {"phase": "Running"},
    }
    changed = (await api("PATCH", PATH, change, MERGE)).body
    assert "labels" not in changed["metadata"]
    assert "activeDeadlineSeconds" not in changed["spec"]
    assert changed["status"] == made["status"]
    whole = await api("PUT", f"{PODS}/p", {**changed, "spec": {**changed["spec"], "ephemeralContainers": []}})
    assert whole.status == 422, "the main endpoint leaves them alone"
    assert "pod updates may not change fields other than" in whole.message


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (one("c"), 'spec.ephemeralContainers[0].name: Duplicate value: "c"'),
        (one(targetContainerName="x"), 'spec.ephemeralContainers[0].targetContainerName: Not found: "x"'),
        (one(ports=[{"containerPort": 80}]), "ports: Forbidden: cannot be set for an Ephemeral Container"),
        (
            one(livenessProbe={"exec": {"command": ["ls"]}}),
            "livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            one(resources={"limits": {"cpu": "1"}}),
            "resources: Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            {"name": "d"},
            "spec.ephemeralContainers[0].image: Required value",
        ),
    ],
)
async def test_what_is_refused(api: Api, container: dict[str, Any], words: str) -> None:
    await api.made(PODS, pod(nodeName="n"))
    refused = await api("PATCH", PATH, {"spec": {"ephemeralContainers": [container]}}, MERGE)
    assert refused.status == 422
    assert words in refused.message


async def test_a_new_pod_has_none(api: Api) -> None:
    answer = await api("POST", PODS, pod(ephemeralContainers=[one()]))
    assert "spec.ephemeralContainers: Forbidden: cannot be set on create" in answer.message
