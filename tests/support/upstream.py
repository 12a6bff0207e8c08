"""Kubernetes' own programs and orlop's in one cluster: which are whose is each test's choice."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.support import go

from orlop import tasks
from orlop.client import kubeconfig
from orlop.client.client import Client
from orlop.client.tls import Settings, TLSTransport
from orlop.client.transport import Unreachable
from orlop.cluster import settings as cluster
from orlop.cluster.inprocess import AsyncCluster
from orlop.control.accounts import Accounts, of_server

MODULE = Path(__file__).parent.parent / "clients" / "upstream"
APISERVER, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
START_SECONDS = 60
"""What etcd and kube-apiserver may take together; a second each where nothing else runs."""


def program(name: str) -> Path:
    """One of Kubernetes' programs. Raises NoGo."""
    if name == "etcd":
        return go.command(go.AGGREGATED, "go.etcd.io/etcd/server/v3")
    return go.command(MODULE, f"k8s.io/kubernetes/cmd/{name}")


@asynccontextmanager
async def running(name: str, folder: Path, flags: Sequence[str]) -> AsyncIterator[None]:
    """The program until the block ends, its output in `folder`. Raises AssertionError where it ends before."""
    with (folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(str(program(name)), *flags, stdout=log, stderr=log, cwd=folder)

        async def watch() -> None:
            raise AssertionError(f"{name} ended with {await process.wait()}: see {log.name}")

        watched = asyncio.ensure_future(watch())
        try:
            yield
            if watched.done():
                watched.result()
        finally:
            watched.cancel()
            await asyncio.gather(watched, return_exceptions=True)
            if process.returncode is None:
                process.kill()
                await process.wait()


class WithTheirs(AsyncCluster):
    """Orlop's API server, with upstream's controllers or scheduler in the places of ours."""

    def __init__(self, theirs: Sequence[str], folder: Path) -> None:
        super().__init__(nodes=2, port=0)
        self._theirs = list(theirs)
        for name in theirs:
            program(name)
        self._place = folder

    async def _start_control(self, group: tasks.Group) -> None:
        from orlop.control.manager import Manager
        from orlop.controllers import Options, all_controllers
        from orlop.scheduler.scheduler import Scheduler

        if MANAGER not in self._theirs:
            options = Options(cluster_cidr=self._settings.pod_cidr)
            client = self.client_as("system:kube-controller-manager")
            accounts = self._accounts(client)
            manager = Manager(client, self._clock, all_controllers(options), accounts=accounts)
            group.start("controllers", manager.run())
        if SCHEDULER not in self._theirs:
            group.start("scheduler", Scheduler(self.client_as("system:kube-scheduler"), self._clock).run())
        await self._start_theirs()

    def _accounts(self, client: Client) -> Accounts | None:
        """What the controllers act as, one each; on our own server they need none."""
        return None

    async def _start_theirs(self) -> None:
        config = self._place / "kubeconfig"
        config.write_text(await self.kubeconfig())
        for name in self._theirs:
            flags = [f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0", "--v=1"]
            flags += [f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}"]
            if name == MANAGER:
                flags += ["--allocate-node-cidrs", f"--cluster-cidr={self._settings.pod_cidr}"]
            await self._stack.enter_async_context(running(name, self._place, flags))


class OnTheirs(WithTheirs):
    """Orlop's controllers, scheduler and simulated nodes on upstream's API server, with etcd behind it."""

    def __init__(self, folder: Path) -> None:
        super().__init__([], folder)
        for name in ("etcd", APISERVER):
            program(name)
        self._tokens: dict[tuple[str, ...], str] = {}

    async def _start(self) -> None:
        self._settings = cluster.Settings(name="theirs", data_dir=self._place)
        self._known("kubernetes-admin", "system:masters")
        self._known("system:kube-controller-manager")
        self._known("system:kube-scheduler")
        for index in range(self._nodes):
            self._known(f"system:node:hollow-{index}", "system:nodes")
        store, peers, self._secure = _free_ports(3)
        await self._stack.enter_async_context(
            running(
                "etcd",
                self._place,
                [
                    f"--data-dir={self._place / 'etcd.data'}",
                    f"--listen-client-urls=http://127.0.0.1:{store}",
                    f"--advertise-client-urls=http://127.0.0.1:{store}",
                    f"--listen-peer-urls=http://127.0.0.1:{peers}",
                    f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
                    f"--initial-cluster=default=http://127.0.0.1:{peers}",
                ],
            )
        )
        await self._stack.enter_async_context(running(APISERVER, self._place, self._flags(store)))
        self._client = self.client_as("kubernetes-admin", "system:masters")
        await self._answers()
        group = tasks.Group(lambda name, error: print(f"{name} failed: {error!r}"))
        await self._stack.enter_async_context(group)
        await self._start_control(group)
        await self._start_nodes(group)

    def _known(self, user: str, *groups: str) -> None:
        self._tokens[user, *groups] = secrets.token_hex(16)

    def _flags(self, store: int) -> list[str]:
        key = rsa.generate_private_key(65537, 2048)
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private = self._place / "sa.key"
        private.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        tokens = self._place / "tokens.csv"
        rows = [f'{token},{who[0]},{who[0]},"{",".join(who[1:])}"' for who, token in self._tokens.items()]
        tokens.write_text("\n".join(rows))
        return [
            f"--etcd-servers=http://127.0.0.1:{store}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._secure}",
            f"--cert-dir={self._place / 'certs'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={private}",
            f"--service-account-signing-key-file={private}",
            f"--service-cluster-ip-range={','.join(self._settings.service_cidrs)}",
            "--allow-privileged",
        ]

    async def _answers(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(Unreachable):
                    if (await self.client.request("GET", "/readyz")).status == 200:
                        return
                await asyncio.sleep(0.2)

    def client_as(self, user: str, *groups: str) -> Client:
        token = next(token for who, token in self._tokens.items() if who[0] == user)
        settings = self._server_settings(token)
        client = Client(TLSTransport(settings, self._clock), clock=self._clock, user_agent=f"orlop-{user}")
        self._stack.push_async_callback(client.close)
        return client

    def _server_settings(self, token: str = "") -> Settings:
        return Settings(server=f"https://127.0.0.1:{self._secure}", insecure_skip_tls_verify=True, token=token)

    def _accounts(self, client: Client) -> Accounts:
        accounts = of_server(client, self._server_settings())
        self._stack.push_async_callback(accounts.close)
        return accounts

    async def kubeconfig(self) -> str:
        server, token = f"https://127.0.0.1:{self._secure}", self._tokens["kubernetes-admin", "system:masters"]
        return kubeconfig.render(kubeconfig.Entry(name="theirs", server=server, token=token))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
