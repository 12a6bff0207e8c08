"""The Service `kubernetes`: there from the start, leading to this server, and repaired whatever is done to it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.conftest import SERVICES, Api

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

SERVICE = f"{SERVICES}/kubernetes"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
ADDRESS = "192.0.2.10"


def config(folder: Path, **more: Any) -> Config:
    return Config(**{"data_dir": folder, "secure_port": 0, "advertise_address": ADDRESS, **more})


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


async def state(api: Api) -> tuple[Any, Any, Any]:
    """What counts of the three; None for what is missing."""
    service, slice_, endpoints = [(await api("GET", path)) for path in (SERVICE, SLICE, ENDPOINTS)]
    return (
        (service.body["spec"]["clusterIP"], service.body["spec"]["type"], service.body["spec"]["ports"])
        if service.status == 200
        else None,
        (slice_.body["addressType"], slice_.body["endpoints"], slice_.body["ports"], slice_.body["metadata"]["labels"])
        if slice_.status == 200
        else None,
        endpoints.body.get("subsets") if endpoints.status == 200 else None,
    )


async def test_what_is_there_from_the_start(tmp_path: Path) -> None:
    async with ApiServer(config(tmp_path, store="memory")) as server:
        service, slice_, subsets = await state(Api(server))
        port = server.port
    assert service == (
        "10.96.0.1",
        "ClusterIP",
        [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
    )
    assert slice_[:3] == (
        "IPv4",
        [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        [{"name": "https", "protocol": "TCP", "port": port}],
    )
    assert slice_[3]["kubernetes.io/service-name"] == "kubernetes"
    assert subsets == [{"addresses": [{"ip": ADDRESS}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}]


@pytest.mark.parametrize("path", [SERVICE, SLICE, ENDPOINTS])
async def test_what_is_deleted_comes_back(tmp_path: Path, path: str) -> None:
    async with ApiServer(config(tmp_path, store="memory")) as server:
        api = Api(server)
        before = await state(api)
        uid = (await api("GET", path)).body["metadata"]["uid"]

        async def again() -> bool:
            found = await api("GET", path)
            return found.status == 200 and bool(found.body["metadata"]["uid"] != uid)

        assert (await api("DELETE", path)).status == 200
        await until(again)
        assert await state(api) == before


@pytest.mark.parametrize(
    ("path", "patch"),
    [
        (SERVICE, {"spec": {"ports": [{"name": "http", "port": 80}]}}),
        (SERVICE, {"spec": {"type": "NodePort"}}),
        (SERVICE, {"spec": {"selector": {"app": "mine"}}}),
        (SLICE, {"endpoints": [{"addresses": ["203.0.113.5"]}]}),
        (SLICE, {"metadata": {"labels": {"kubernetes.io/service-name": "other"}}}),
        (SLICE, {"ports": []}),
        (ENDPOINTS, {"subsets": []}),
    ],
)
async def test_what_is_changed_is_set_right(tmp_path: Path, path: str, patch: dict[str, Any]) -> None:
    async with ApiServer(config(tmp_path, store="memory")) as server:
        api = Api(server)
        before = await state(api)
        changed = await api("PATCH", path, patch, "application/merge-patch+json")
        assert changed.status == 200, changed.body

        async def right() -> bool:
            return await state(api) == before

        await until(right)


async def test_what_people_add_stays_and_nothing_is_written_where_all_is_right(tmp_path: Path) -> None:
    async with ApiServer(config(tmp_path, store="memory")) as server:
        api = Api(server)
        note = {"metadata": {"annotations": {"note": "mine"}, "labels": {"mine": "too"}}}
        patched = await api("PATCH", SERVICE, note, "application/merge-patch+json")
        # The repair that this wakes comes before that of a change made later.
        await api("DELETE", ENDPOINTS)

        async def back() -> bool:
            return (await api("GET", ENDPOINTS)).status == 200

        await until(back)
        after = await api("GET", SERVICE)
        assert after.body["metadata"]["resourceVersion"] == patched.body["metadata"]["resourceVersion"]
        assert after.body["metadata"]["annotations"]["note"] == "mine"
        assert after.body["metadata"]["labels"]["mine"] == "too"


@pytest.mark.parametrize("address", ["192.0.2.99", "2001:db8::7"])
async def test_another_address_at_the_next_start_takes_the_place_of_the_first(tmp_path: Path, address: str) -> None:
    async with ApiServer(config(tmp_path)) as server:
        await state(Api(server))
    async with ApiServer(config(tmp_path, advertise_address=address)) as server:
        _, slice_, subsets = await state(Api(server))
        assert slice_[0] == ("IPv6" if ":" in address else "IPv4")
        assert slice_[1][0]["addresses"] == [address]
        assert subsets[0]["addresses"] == [{"ip": address}]
        assert slice_[2][0]["port"] == server.port
