"""Kinds that are not stable are served where they are asked for, and nowhere else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.apiserver.conftest import Api

from orlop.api import scheme
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

GROUPS = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups"


@pytest.fixture
async def beta(tmp_path: Path) -> AsyncIterator[Api]:
    config = Config(data_dir=tmp_path, store="memory", secure_port=None, runtime_config={"api/beta": "true"})
    async with ApiServer(config) as server:
        api = Api(server)
        yield api
        await api.transport.close()
    scheme.serve([])


async def test_beta_kinds_are_served_where_asked_for(beta: Api) -> None:
    group = {"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}}
    made = await beta.made(GROUPS, group)
    assert (made["apiVersion"], made["kind"]) == ("scheduling.k8s.io/v1beta1", "PodGroup")
    assert (made["spec"]["priority"], made["spec"]["disruptionMode"]) == (0, {"single": {}})
    odd = {"metadata": {"name": "odd"}, "spec": {**group["spec"], "priority": 5}}
    assert "must match the priority computed (0)" in (await beta("POST", GROUPS, odd)).message
    refused = await beta("PUT", f"{GROUPS}/g", {**made, "spec": {"schedulingPolicy": {"basic": {}}}})
    assert "field is immutable" in refused.message
    wrong = await beta("POST", GROUPS, {"metadata": {"name": "h"}, "spec": {"schedulingPolicy": {}}})
    assert 'spec.schedulingPolicy: Invalid value: "": must specify one of: `basic`, `gang`' in wrong.message
    groups = {g["name"]: g for g in (await beta("GET", "/apis")).body["groups"]}
    assert groups["scheduling.k8s.io"]["preferredVersion"]["version"] == "v1"
    assert "apis/scheduling.k8s.io/v1beta1" in (await beta("GET", "/openapi/v3")).body["paths"]


async def test_beta_versions_of_stable_kinds_are_the_same_objects(beta: Api) -> None:
    path = "/apis/networking.k8s.io/{}/servicecidrs"
    made = await beta.made(path.format("v1beta1"), {"metadata": {"name": "c"}, "spec": {"cidrs": ["10.9.0.0/24"]}})
    assert made["apiVersion"] == "networking.k8s.io/v1beta1"
    stable = (await beta("GET", f"{path.format('v1')}/c")).body
    assert stable == {**made, "apiVersion": "networking.k8s.io/v1"}
    patched = await beta(
        "PATCH", f"{path.format('v1beta1')}/c", {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json"
    )
    assert (patched.status, patched.body["apiVersion"]) == (200, "networking.k8s.io/v1beta1")


async def test_they_are_not_served_by_themselves(api: Api) -> None:
    assert (await api("GET", GROUPS)).status == 404
    assert "scheduling.k8s.io/v1beta1" not in str((await api("GET", "/apis")).body)


def test_what_is_asked_for_must_exist() -> None:
    assert {k.version for k in scheme.wanted({"networking.k8s.io/v1beta1": "true"})} == {"v1beta1"}
    assert scheme.wanted({"api/all": "true", "networking.k8s.io/v1beta1": "false"}) == [
        k for k in scheme.OPTIONAL if k.group != "networking.k8s.io"
    ]
    with pytest.raises(ValueError, match="is not a group-version"):
        scheme.wanted({"nope/v1": "true"})
    with pytest.raises(ValueError, match="must be true or false"):
        scheme.wanted({"api/all": "yes"})
