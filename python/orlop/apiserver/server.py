"""The API server as a whole: store, feed, hub, access, app, listener, in the order in which they start and stop."""

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

import uvicorn
import yaml

from orlop import logging, pki, tasks
from orlop.api import scheme
from orlop.apiserver import auth, bootstrap, certificates, legacytokens
from orlop.apiserver.admission import Chain
from orlop.apiserver.admission.resourcequota import ResourceQuotas
from orlop.apiserver.admission.shown import Versions
from orlop.apiserver.aggregate import authentication
from orlop.apiserver.aggregate.follow import Aggregator
from orlop.apiserver.alike import Alike
from orlop.apiserver.app import App
from orlop.apiserver.audit import Auditor
from orlop.apiserver.auth.reviews import Reviews
from orlop.apiserver.auth.tokenrequest import TokenIssuer
from orlop.apiserver.config import Config
from orlop.apiserver.core import Core
from orlop.apiserver.crd.follow import Follower
from orlop.apiserver.crd.served import Served
from orlop.apiserver.expiry import EventExpiry
from orlop.apiserver.flows import Flows
from orlop.apiserver.flowstatus import FlowStatus
from orlop.apiserver.front import Listener, Tls
from orlop.apiserver.kubernetes import KubernetesService
from orlop.apiserver.registry import all_strategies, certificatetimes, devicetaints, phasetimes
from orlop.apiserver.registry.addresses import ServiceAddresses
from orlop.apiserver.registry.devicetaints import DeviceTaintTimes
from orlop.apiserver.registry.objects import Objects
from orlop.apiserver.resourcemetrics import Scraper
from orlop.apiserver.subresources.kubelet import Kubelets
from orlop.apiserver.upgrade import UpgradingProtocol
from orlop.apiserver.webhooks.client import WebhookClient
from orlop.clock import Clock, SystemClock
from orlop.native import Hub
from orlop.store.base import Store
from orlop.store.choose import make_store
from orlop.store.compactor import Compactor
from orlop.store.feed import Feed, Waker
from orlop.store.metrics import METRICS
from orlop.store.retention import parse_retention

CONTEXT = "orlop"
"""Cluster, user and context in the kubeconfig that is written."""
BACKLOG = 2048
KEEP_ALIVE = 120
"""Seconds an idle connection stays: clients keep pools of them, and a new one costs a handshake."""

log = logging.get("apiserver")


class StoreBroken(Exception):
    """The store takes no more writes until it is opened again."""


class ApiServer:
    """An API server. `async with` starts it and ends it; `app` serves callers in the same process."""

    app: App
    core: Core
    ca: bytes
    """The cluster's authority (PEM)."""

    def __init__(self, config: Config, clock: Clock | None = None, *, store: Store | None = None) -> None:
        """With `store`, what there is is kept there and not where `config` says; it is opened and closed."""
        self.config = config
        self._store = store
        self.clock = clock or SystemClock()
        self.port: int | None = None
        """Where it listens; None while it serves in-process only."""
        self._stack = AsyncExitStack()
        self._tasks = tasks.Group(self._failed)
        self._ready = False
        self._folder = pki.Folder(config.data_dir / "pki", self.clock)
        self._front_proxy = certificates.front_proxy(self._folder, self.clock)

    async def __aenter__(self) -> "ApiServer":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.core.stopping = True
        self.core.waker.ring_all()
        await self._stack.aclose()

    def _failed(self, name: str, error: BaseException) -> None:
        log.error("%s failed", name, exc_info=error)

    async def _start(self) -> None:
        config = self.config
        retention = parse_retention(config.history)
        listener = self._bind() if config.secure_port is not None else None
        self.ca, self.service_account_key, store = await asyncio.gather(
            asyncio.to_thread(self._folder.ca), asyncio.to_thread(self._token_key), self._open_store()
        )
        hub = Hub(config.ring)
        scheme.serve(scheme.wanted(config.runtime_config))
        strategies = all_strategies()
        for kind in scheme.KINDS:
            if kind.stored and not kind.storage:
                strategy = strategies[kind.type_key]
                hub.declare(kind.resource, list(strategy.fields), kind.namespaced, kind.api_version, kind.kind)
        self._feed = feed = Feed(store, hub)
        await feed.load()
        waker = Waker(hub)
        self._stack.callback(waker.close)
        await self._stack.enter_async_context(self._tasks)
        self._tasks.start("feed", feed.run())
        self._tasks.start("compactor", Compactor(store, self.clock, retention).run())
        self._tasks.start("bookmarks", self._bookmarks(hub))
        self._tasks.start("event expiry", EventExpiry(store, feed, hub, self.clock, config.event_ttl).run())
        objects = Objects(feed, hub, self.clock)
        objects.hooks["services"] = ServiceAddresses(objects, config.service_cidrs, config.node_ports)
        times = certificatetimes.ConditionTimes(self.clock)
        objects.hooks[phasetimes.VOLUMES] = phasetimes.PhaseTimes(self.clock)
        objects.hooks[certificatetimes.REQUESTS] = objects.hooks[certificatetimes.POD_REQUESTS] = times
        objects.hooks[devicetaints.RULES] = objects.hooks[devicetaints.SLICES] = DeviceTaintTimes(self.clock)
        if "ResourceQuota" not in config.disable_admission_plugins:
            objects.every = ResourceQuotas(objects)
        issuer = config.service_account_issuer or auth.ISSUER
        tokens = auth.ServiceAccountTokens(self.service_account_key, hub, self.clock, issuer)
        known: list[auth.authenticator.TokenAuthenticator] = [tokens]
        if config.token_auth_file is not None:
            known.append(auth.TokenFile.load(config.token_auth_file))
        authenticator = auth.Authenticator(known, self.clock)
        authorizer = auth.Authorizer(hub)
        webhooks = WebhookClient(objects)
        self._stack.push_async_callback(webhooks.close)
        custom = Served(objects, hub, strategies, self.clock, webhooks)
        versions = Versions(objects, strategies, custom)
        admission = Chain(objects, self.clock, config, authorizer, versions, webhooks)
        self.core = Core(
            config=config,
            clock=self.clock,
            store=store,
            hub=hub,
            waker=waker,
            objects=objects,
            strategies=strategies,
            custom=custom,
            webhooks=webhooks,
            background=self._tasks.start,
            admission=admission,
            alike=Alike(objects, admission, self.clock),
            authenticator=authenticator,
            authorizer=authorizer,
            flows=Flows(hub),
            issue_token=TokenIssuer(tokens, hub),
            tokens=tokens,
            reviews=Reviews(authenticator, authorizer).by_type(),
            ready=lambda: self._ready,
        )
        if config.audit is not None:
            auditor = await Auditor.open(config.audit, self.clock, self._tasks.start)
            self._stack.push_async_callback(auditor.close)
            self.core.auditor = auditor
        tokens.used = legacytokens.TokenUse(self.core, self._tasks.start).used
        self.core.aggregator = Aggregator(self.core, lambda: self._front_proxy.client(pki.FRONT_PROXY))
        self._stack.push_async_callback(self.core.aggregator.close)
        self.core.scraper = Scraper(self.core, self._tasks.start)
        self.app = App(self.core)
        endpoint = self._endpoint(listener) if listener is not None else None
        await bootstrap.bootstrap(self.core)
        definitions = Follower(self.core, self.core.custom)
        await definitions.load()
        self._tasks.start("definitions", definitions.run())
        await self.core.aggregator.load()
        self._tasks.start("aggregation", self.core.aggregator.run())
        self._kubernetes = KubernetesService(self.core, endpoint)
        await self._kubernetes.reconcile()
        self._tasks.start("kubernetes service", self._kubernetes.run())
        self._tasks.start("flow schemas", FlowStatus(self.core).run())
        self._ready = True
        if listener is not None:
            await self._listen(listener)
            if config.write_kubeconfig is not None:
                await asyncio.to_thread(self._write_kubeconfig, config.write_kubeconfig)

    async def _open_store(self) -> Store:
        store = self._store or make_store(self.config.store, self.config.data_dir / "store", self.clock)
        await store.open()
        self._stack.push_async_callback(store.close)
        self._stack.enter_context(METRICS.of(store))
        return store

    async def _bookmarks(self, hub: Hub) -> None:
        while True:
            await self.clock.sleep(self.config.bookmark_interval)
            hub.bookmark()

    async def broken(self) -> None:
        """Raises StoreBroken when the store takes no more writes. What is then to be done is to end and begin again."""
        await self._feed.broken.wait()
        raise StoreBroken(self.core.store.failure)

    # --- the listener -----------------------------------------------------------------------------

    def _bind(self) -> socket.socket:
        """The listening socket, early: a taken port is told before anything else is done. Raises OSError."""
        config = self.config
        family = socket.AF_INET6 if ":" in config.bind_address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        self._stack.callback(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.bind_address, config.secure_port or 0))
        listener.setblocking(False)
        return listener

    def _token_key(self) -> bytes:
        file = self.config.service_account_key_file
        return self._folder.service_account_key() if file is None else file.read_bytes()

    async def _listen(self, listener: socket.socket) -> None:
        config = self.config
        self.core.kubelets = Kubelets(await asyncio.to_thread(self._kubelet_tls))
        self._stack.push_async_callback(self.core.kubelets.close)
        settings = uvicorn.Config(
            self.app,
            http=UpgradingProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(self.config.shutdown_timeout),
        )
        settings.load()
        tls = Tls(
            partial(certificates.serving_pair, self._folder, config),
            partial(certificates.client_ca, self._folder, config),
            config.sni_certificates,
            only_tls13=config.tls_only13,
            cipher_suites=config.tls_cipher_suites,
            files=[file for file in (*(config.tls_files or ()), config.client_ca_file) if file is not None],
        )
        self._listener = Listener(settings, tls, self.clock, config.http2_streams)
        self._stack.push_async_callback(self._stop_listening, self._listener)
        try:
            await self._listener.start(listener)
        except FileNotFoundError as error:
            raise pki.PkiError(f"{error.filename}: there is no such file") from error
        except ValueError as error:
            raise pki.PkiError(f"the listener's TLS cannot be used: {error}") from error
        self.port = listener.getsockname()[1]
        client_ca = await asyncio.to_thread(certificates.client_ca, self._folder, config)
        await authentication.publish(self.core, client_ca, await asyncio.to_thread(self._front_proxy.ca))
        log.info("serving", extra={"address": self.config.bind_address, "port": self.port})

    async def _stop_listening(self, listener: Listener) -> None:
        """Takes no new connections, ends watches, lets requests under way end."""
        self.core.stopping = True
        self.core.waker.ring_all()
        for joined in self.core.joined:
            joined.cancel()
        await listener.stop()

    def _kubelet_tls(self) -> ssl.SSLContext:
        pair = certificates.kubelet_client_pair(self._folder)
        context = ssl.create_default_context(cafile=str(self._folder.ca_file))
        context.load_cert_chain(pair.certificate_file, pair.key_file)
        # A kubelet's address is the Node's; its certificate may name the node only. The authority is what counts.
        context.check_hostname = False
        return context

    # --- kubeconfig -------------------------------------------------------------------------------

    def kubeconfig_text(self) -> str:
        """An admin's kubeconfig for this server."""
        address = self.config.bind_address
        host = "127.0.0.1" if address == "0.0.0.0" else f"[{address}]" if ":" in address else address
        admin = self._folder.client(pki.ADMIN)
        document = pki.kubeconfig(CONTEXT, f"https://{host}:{self.port}", self.ca, admin)
        return yaml.safe_dump(document, sort_keys=False)

    def _write_kubeconfig(self, path: Path) -> None:
        from orlop.pki.folder import write_private

        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, self.kubeconfig_text().encode())

    def _endpoint(self, listener: socket.socket) -> tuple[str, int] | None:
        """Where pods reach this server; nowhere if it is at the loopback address, which is each pod's own."""
        address = certificates.advertised(self.config)
        return None if ip_address(address).is_loopback else (address, listener.getsockname()[1])

    async def serve_kubeconfig(self) -> str:
        """The text of an admin kubeconfig. Opens a port if none is open yet."""
        if self.port is None:
            listener = self._bind()
            await self._listen(listener)
            self._kubernetes.endpoint = self._endpoint(listener)
            await self._kubernetes.reconcile()
        return await asyncio.to_thread(self.kubeconfig_text)
