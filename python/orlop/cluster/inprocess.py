"""A control plane within the caller's event loop: API server, controllers, scheduler, hollow nodes."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orlop import logging, tasks
from orlop.client.asgi import ASGITransport
from orlop.client.client import Client
from orlop.clock import Clock, SystemClock
from orlop.cluster import manifests, waiting
from orlop.cluster.components import hollow_config
from orlop.cluster.settings import Settings

if TYPE_CHECKING:
    from orlop.scheduler.explain.results import Plan, Why, WhyHere, WhyNode

log = logging.get("cluster")

LOAD_BALANCER_POOL = "10.246.0.0/24"
"""Addresses that nobody answers, as those of hollow pods; where `orlop up` begins to look for its own."""


class AsyncCluster:
    """`async with AsyncCluster() as cluster`. Needs no root and, unless `port` is given, opens no port.

    `client` acts as cluster admin. State is in memory and goes with the cluster.
    """

    def __init__(self, *, nodes: int = 1, port: int | None = None, clock: Clock | None = None) -> None:
        """`nodes`: hollow nodes. `port`: also serve HTTPS there (0 picks one), for kubectl and other processes."""
        self._nodes = nodes
        self._port = port
        self._clock = clock or SystemClock()
        self._stack = AsyncExitStack()
        self._client: Client | None = None
        self._server: Any = None

    @property
    def client(self) -> Client:
        """The admin's client. Raises RuntimeError outside of the `async with` block."""
        if self._client is None:
            raise RuntimeError("the cluster does not run: use it as a context manager")
        return self._client

    async def __aenter__(self) -> "AsyncCluster":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._client = None
        await self._stack.aclose()

    async def _start(self) -> None:
        from orlop.apiserver.config import Config
        from orlop.apiserver.server import ApiServer

        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="orlop-")))
        self._settings = Settings(name="orlop", data_dir=folder)
        config = Config(
            data_dir=folder,
            store="memory",
            secure_port=self._port,
            service_cidrs=tuple(map(ip_network, self._settings.service_cidrs)),
        )
        self._server = await self._stack.enter_async_context(ApiServer(config, self._clock))
        self._client = self.client_as("kubernetes-admin", "system:masters")
        group = tasks.Group(lambda name, error: log.error("%s failed", name, exc_info=error))
        await self._stack.enter_async_context(group)
        await self._start_control(group)
        await self._start_nodes(group)

    async def _start_control(self, group: tasks.Group) -> None:
        from orlop.control.manager import Manager
        from orlop.controllers import Options, all_controllers
        from orlop.scheduler.scheduler import Scheduler

        server = self._server
        options = Options(
            cluster_cidr=self._settings.pod_cidr,
            load_balancer_pool=LOAD_BALANCER_POOL,
            root_ca=server.ca,
            service_account_key=server.service_account_key,
        )
        manager = Manager(self.client_as("system:kube-controller-manager"), self._clock, all_controllers(options))
        scheduler = Scheduler(self.client_as("system:kube-scheduler"), self._clock)
        group.start("controllers", manager.run())
        group.start("scheduler", scheduler.run())
        await manager.ready()

    async def _start_nodes(self, group: tasks.Group) -> None:
        from orlop.kubelet.kubelet import Kubelet
        from orlop.kubelet.network.hollow import HollowNetwork
        from orlop.kubelet.runtime.hollow import HollowRuntime

        kubelets = []
        for index in range(self._nodes):
            name = f"hollow-{index}"
            network = HollowNetwork()
            kubelet = Kubelet(
                self.client_as(f"system:node:{name}", "system:nodes"),
                self._clock,
                hollow_config(self._settings, name),
                HollowRuntime(self._clock, network),
                network,
            )
            kubelets.append(kubelet)
            group.start(f"kubelet {name}", kubelet.run())
        await asyncio.gather(*(kubelet.registered() for kubelet in kubelets))

    def client_as(self, user: str, *groups: str) -> Client:
        """A client with another identity, under the same access rules as over the network."""
        from orlop.apiserver.auth import User

        identity = User(name=user, groups=(*groups, "system:authenticated"))
        transport = ASGITransport(self._server.app, identity)
        return Client(transport, clock=self._clock, user_agent=f"orlop-{user}")

    async def kubeconfig(self) -> str:
        """The text of an admin kubeconfig. Opens a port on loopback if none is open yet."""
        return str(await self._server.serve_kubeconfig())

    async def apply(self, source: manifests.Manifest, namespace: str = "default") -> list[dict[str, Any]]:
        """Creates or merges the objects of a file, a folder or dictionaries. Raises ManifestError, ApiError."""
        return await manifests.apply(self.client, source, namespace)

    async def wait(
        self, target: str, until: str, timeout: float = 30.0, namespace: str = "default"
    ) -> dict[str, Any] | None:
        """kubectl's wait: `await cluster.wait("deployment/web", "condition=Available")`. Raises WaitTimeout."""
        return await waiting.wait(self.client, target, until, namespace, timeout)

    async def why(self, pod: str, namespace: str = "default", *, now: bool = False) -> "Why":
        """Why a pod waits, and the smallest changes that would place it (`orlop why`). Raises NotFound."""
        from orlop.scheduler.explain.answers import why

        return await why(self.client, namespace, pod, now=now)

    async def why_here(self, pod: str, namespace: str = "default") -> "WhyHere":
        """Why a placed pod is on its node (`orlop why-here`). Raises NotPlaced, NotFound."""
        from orlop.scheduler.explain.answers import why_here

        return await why_here(self.client, namespace, pod)

    async def why_node(self, pod: str, node: str, namespace: str = "default") -> "WhyNode":
        """What speaks for and against one node (`orlop why POD --node NODE`). Raises NoSuchNode, NotFound."""
        from orlop.scheduler.explain.answers import why_node

        return await why_node(self.client, namespace, pod, node)

    async def plan(self, source: manifests.Manifest, namespace: str = "default") -> "Plan":
        """Where the pods of a manifest would go; nothing is written (`orlop plan`). Raises ManifestError, ApiError."""
        from orlop.scheduler.explain.planner import plan

        return await plan(self.client, manifests.documents(source), namespace)
