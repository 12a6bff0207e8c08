"""The client against the real API server in memory, over both transports."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orlop import pki
from orlop.api import errors
from orlop.api.types import apps_v1, authentication_v1, core_v1, meta_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client, Informer, kubeconfig
from orlop.client.asgi import ASGITransport
from orlop.client.tls import TLSTransport
from orlop.clock import SystemClock
from orlop.controllers.views import PodView
from orlop.pki.identities import ADMIN
from tests.support import worlds

RING = 64
"""Events that the server keeps: few, so that a reader falls behind soon."""


class World:
    def __init__(self, api: ApiServer, client: Client) -> None:
        self.api = api
        self.client = client

    async def make(self, name: str, **data: str) -> core_v1.ConfigMap:
        meta = meta_v1.ObjectMeta(name=name, namespace="default")
        return await self.client.create(core_v1.ConfigMap(metadata=meta, data=data))


@pytest.fixture(params=["asgi", "tls"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = SystemClock()
    inside = request.param == "asgi"
    written = tmp_path / "admin.conf"
    config = Config(data_dir=tmp_path, store="memory", secure_port=None if inside else 0, ring=RING)
    config.write_kubeconfig = None if inside else written
    async with ApiServer(config, clock) as api:
        transport = ASGITransport(api.app, worlds.ADMIN) if inside else TLSTransport(kubeconfig.load(written), clock)
        yield World(api, Client(transport, clock=clock, user_agent="test"))
        await transport.close()


async def test_an_object_from_create_to_delete(world: World) -> None:
    client = world.client
    made = await world.make("a", x="1")
    assert made.metadata.uid
    assert (await client.get(core_v1.ConfigMap, "a", "default")) == made
    made.data["x"] = "2"
    changed = await client.update(made)
    assert int(changed.metadata.resource_version) > int(made.metadata.resource_version)
    with pytest.raises(errors.Conflict, match="the object has been modified"):
        await client.update(made)
    merged = await client.patch(core_v1.ConfigMap, "a", "default", {"data": {"x": None, "y": "3"}})
    assert merged.data == {"y": "3"}
    await client.patch(
        core_v1.ConfigMap, "a", "default", [{"op": "replace", "path": "/data/y", "value": "4"}], type="json"
    )
    await client.patch(core_v1.ConfigMap, "a", "default", {"data": {"z": "5"}}, type="strategic", dry_run=True)
    assert (await client.get(core_v1.ConfigMap, "a", "default")).data == {"y": "4"}
    with pytest.raises(errors.Conflict):
        await client.delete(core_v1.ConfigMap, "a", "default", uid="another")
    await client.delete(core_v1.ConfigMap, "a", "default", uid=made.metadata.uid)
    with pytest.raises(errors.NotFound, match='configmaps "a" not found'):
        await client.get(core_v1.ConfigMap, "a", "default")


async def test_lists_by_page_and_selector(world: World) -> None:
    for i in range(5):
        await world.make(f"m{i}")
    page = await world.client.list(core_v1.ConfigMap, "default", limit=2)
    assert [m.metadata.name for m in page.items] == ["m0", "m1"]
    rest = await world.client.list(core_v1.ConfigMap, "default", limit=9, continue_=page.continue_)
    assert [m.metadata.name for m in rest.items] == ["m2", "m3", "m4"]
    assert rest.resource_version == page.resource_version
    found = await world.client.list(core_v1.ConfigMap, fields="metadata.name=m3")
    assert [m.metadata.name for m in found.items] == ["m3"]
    await world.client.delete_collection(core_v1.ConfigMap, "default", fields="metadata.name!=m3")
    assert [m.metadata.name for m in (await world.client.list(core_v1.ConfigMap, "default")).items] == ["m3"]


async def test_what_is_wrong_is_said_by_field(world: World) -> None:
    with pytest.raises(errors.Invalid) as caught:
        await world.client.create(apps_v1.Deployment(metadata=meta_v1.ObjectMeta(name="web", namespace="default")))
    details = caught.value.status.details
    assert details is not None
    assert "spec.selector" in {cause.field for cause in details.causes}


async def test_a_watch_gives_events_as_they_come(world: World) -> None:
    start = (await world.client.list(core_v1.ConfigMap, "default")).resource_version
    events = world.client.watch(core_v1.ConfigMap, "default", resource_version=start)
    task = asyncio.ensure_future(anext(events))
    await world.make("a")
    event = await asyncio.wait_for(task, 5)
    assert event.type == "ADDED"
    assert event.decode(core_v1.ConfigMap).metadata.name == "a"
    await events.aclose()


async def test_an_informer_follows_and_knows_what_was_written(world: World) -> None:
    for i in range(3):
        await world.make(f"m{i}")
    informer = Informer(world.client, core_v1.ConfigMap, namespace="default")
    task = asyncio.ensure_future(informer.run())
    await asyncio.wait_for(informer.synced(), 5)
    assert sorted(m.metadata.name for m in informer.list()) == ["m0", "m1", "m2"]
    for i in range(20):
        made = await world.make(f"n{i}")
        await asyncio.wait_for(informer.seen(int(made.metadata.resource_version)), 5)
        assert informer.get("default", f"n{i}") == made
        await world.client.delete(core_v1.ConfigMap, f"n{i}", "default")
        await asyncio.wait_for(informer.deleted("default", f"n{i}", made.metadata.uid), 5)
        assert informer.get("default", f"n{i}") is None
    task.cancel()
    await asyncio.wait({task})


async def test_a_revision_that_is_no_longer_kept_is_expired(world: World) -> None:
    first = await world.make("a")
    for i in range(RING + 1):
        await world.client.patch(core_v1.ConfigMap, "a", "default", {"data": {"i": str(i)}})
    with pytest.raises(errors.Gone):
        async for _ in world.client.watch(
            core_v1.ConfigMap, "default", resource_version=first.metadata.resource_version
        ):
            pass


async def test_a_projection_and_a_binding(world: World) -> None:
    client = world.client
    await client.create(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default")))
    await client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="node-1")))
    pod = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="web:1")]),
    )
    await client.create(pod)
    await client.bind("default", "web", "node-1")
    view = await client.get(PodView, "web", "default")
    assert (view.spec.node_name, view.status.phase) == ("node-1", "Pending")
    with pytest.raises(errors.Conflict, match="already assigned to node"):
        await client.bind("default", "web", "node-1")
    request = authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(audiences=[]))
    assert (await client.token("default", "default", request)).status.token.count(".") == 2


async def test_certificates_of_the_pki_folder_are_taken(tmp_path: Path) -> None:
    """Another way to the same settings than the kubeconfig: what the supervised components use."""
    clock = SystemClock()
    async with ApiServer(Config(data_dir=tmp_path, store="memory"), clock) as api:
        folder = pki.Folder(tmp_path / "pki", clock)
        pair = folder.client(ADMIN)
        entry = kubeconfig.Entry(
            name="x",
            server=f"https://127.0.0.1:{api.port}",
            ca_data=folder.ca(),
            client_certificate_data=pair.certificate,
            client_key_data=pair.key,
        )
        kubeconfig.merge(entry, tmp_path / "config")
        client = Client(TLSTransport(kubeconfig.load(tmp_path / "config"), clock), clock=clock, user_agent="test")
        review = await client.create(authentication_v1.SelfSubjectReview())
        assert review.status.user_info is not None
        assert review.status.user_info.username == "kubernetes-admin"
        await client.close()


async def test_an_informer_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    clock = SystemClock()
    written = tmp_path / "admin.conf"
    config = Config(data_dir=tmp_path, store="lmdb", write_kubeconfig=written)
    told: list[str] = []
    async with ApiServer(config, clock) as api:
        config.secure_port = api.port
        client = Client(TLSTransport(kubeconfig.load(written), clock), clock=clock, user_agent="test")
        world = World(api, client)
        await world.make("kept")
        await world.make("doomed")
        informer = Informer(client, core_v1.ConfigMap, namespace="default")
        informer.on_change(lambda old, new: told.append(f"{old and old.metadata.name} {new and new.metadata.name}"))
        task = asyncio.ensure_future(informer.run())
        await asyncio.wait_for(informer.synced(), 5)
        before = informer.revision
    async with ApiServer(config, clock) as api:
        world = World(api, client)
        await client.delete(core_v1.ConfigMap, "doomed", "default")
        made = await world.make("new")
        assert int(made.metadata.resource_version) > before
        await asyncio.wait_for(informer.seen(int(made.metadata.resource_version)), 20)
        assert told == ["None doomed", "None kept", "doomed None", "None new"]
        task.cancel()
        await asyncio.wait({task})
        await client.close()
