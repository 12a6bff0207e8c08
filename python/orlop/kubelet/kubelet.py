"""The kubelet: one node's agent. It follows the pods bound to its node and makes the node look like them."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from orlop import logging, tasks
from orlop.api import quantity
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.client.events import Recorder
from orlop.client.informer import Informer
from orlop.clock import Clock, timeout
from orlop.kubelet import dns, probes
from orlop.kubelet.admission.admission import Admission
from orlop.kubelet.backoff import Backoff
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.ended import Ended
from orlop.kubelet.eviction.allocatable import pods_memory
from orlop.kubelet.eviction.machine import MachineSignals
from orlop.kubelet.eviction.manager import EvictionManager, Settings as EvictionSettings
from orlop.kubelet.eviction.meter import Meter
from orlop.kubelet.eviction.reclaim import Reclaimer
from orlop.kubelet.eviction.signals import Signals
from orlop.kubelet.eviction.simulated import SimulatedSignals
from orlop.kubelet.fields import NodeFacts
from orlop.kubelet.handlers import Handlers, Outcome
from orlop.kubelet.images import PULL_INITIAL, PULL_MAX
from orlop.kubelet.network.base import Network, NetworkError
from orlop.kubelet.node import PRESSURES, NodeAgent
from orlop.kubelet.orphans import Orphans
from orlop.kubelet.podworker import PodWorker
from orlop.kubelet.probes import Prober
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services, container_reference
from orlop.kubelet.sources import Sources
from orlop.kubelet.statuses import StatusManager
from orlop.kubelet.volumes.claims import ClaimVolumes
from orlop.kubelet.volumes.localpath import LocalPaths
from orlop.kubelet.volumes.manager import Volumes
from orlop.kubelet.volumes.tokens import Tokens

log = logging.get("kubelet")

RETRY_INITIAL, RETRY_MAX = 0.5, 30.0
"""Seconds between tries to set up a sandbox or volumes."""

CLEANUP_SECONDS = 30.0
"""How long a pod that the node has ended may take beyond its grace period (upstream: podCleanupTimeout)."""


class Kubelet:
    """One node. `run` works until it is cancelled; containers run on and are found again by the next run."""

    def __init__(
        self, client: Client, clock: Clock, config: KubeletConfig, runtime: base.Runtime, network: Network
    ) -> None:
        self.config = config
        self._client = client
        self._clock = clock
        self._runtime = runtime
        self._network = network
        self._group = tasks.Group(self._failed)
        self._workers: dict[str, PodWorker] = {}
        self._registered = asyncio.Event()
        self._configured: list[str] = []
        """The pod CIDRs that the network has been given."""
        self._nodes: Informer[core_v1.Node] = Informer(client, core_v1.Node, fields=f"metadata.name={config.node_name}")
        self.node = NodeAgent(client, clock, config, runtime, lambda: self._nodes.get("", config.node_name))
        self._statuses = StatusManager(client, clock, self._group)
        self._recorder = Recorder(client, clock, "kubelet", host=config.node_name, turn=self._statuses.quiet)
        self.pods: Informer[core_v1.Pod] = Informer(client, core_v1.Pod, fields=f"spec.nodeName={config.node_name}")
        self._services_informer: Informer[core_v1.Service] | None = (
            None if config.simulated else Informer(client, core_v1.Service)
        )
        self._handlers = Handlers(runtime)
        self._evictions = self._eviction_manager()
        self._admission = Admission(
            self._recorder,
            self.node.allocatable,
            pressed=self._evictions.refusal,
            others=lambda: [worker.pod for worker in self._workers.values() if worker.counts],
            node=self._node,
            end=self._end,
        )
        self._local_paths = LocalPaths(config.local_path_dir, config.node_name, client, clock, self._group)
        self._parts = self._services()

    def _eviction_manager(self) -> EvictionManager:
        config, runtime = self.config, self._runtime

        def active() -> list[core_v1.Pod]:
            return [worker.pod for worker in self._workers.values() if worker.counts]

        reclaimer = Reclaimer(self._clock, runtime, lambda: {pod.metadata.uid for pod in active()})
        source: Signals = (
            SimulatedSignals(runtime, self.node.capacity)
            if isinstance(runtime, base.SimulatedResources)
            else MachineSignals(config.root_dir, runtime)
        )
        manager = EvictionManager(
            self._clock,
            EvictionSettings(
                thresholds=config.thresholds(),
                transition_period=config.eviction.pressure_transition_period,
                max_pod_grace_period=config.eviction.max_pod_grace_period,
                pods_memory=pods_memory(self.node.capacity, config.eviction.reserved),
            ),
            source,
            Meter(self._clock, runtime, config.root_dir / "pods"),
            reclaimer,
            pods=active,
            evict=self._end,
            events=self._recorder,
            node=self.node.reference,
            changed=self._pressure_changed,
        )
        self.node.pressures = lambda: manager.conditions
        self.node.images_seen = reclaimer.seen
        return manager

    def _pressure_changed(self, condition: str, present: bool) -> None:
        event = "NodeHas" + PRESSURES[condition][0 if present else 2].removeprefix("KubeletHas")
        message = f"Node {self.config.node_name} status is now: {event}"
        self._recorder.event(self.node.reference, "Normal", event, message)
        self.node.wake()

    async def _node(self, fresh: bool) -> core_v1.Node:
        """This node, as the watch has told or as the API has it now."""
        known = self._nodes.get("", self.config.node_name)
        if known is None or fresh:
            return await self._client.get(core_v1.Node, self.config.node_name)
        return known

    async def _end(self, pod: core_v1.Pod, how: Ended) -> None:
        """Ends a pod; returns when nothing of it runs, or it has had time enough."""
        worker = self._workers.get(pod.metadata.uid)
        if worker is None:
            return
        worker.end(how)
        try:
            async with timeout(self._clock, worker.grace + CLEANUP_SECONDS):
                await worker.done()
        except TimeoutError:
            log.warning("Timed out waiting for pod to be cleaned up", extra={"pod": pod.metadata.name})

    def _services(self) -> Services:
        facts = NodeFacts(self.config.node_name, list(self.config.node_ips), self.node.allocatable)
        sources = Sources(self._client, self._group, lambda uid: self._wake(uid, volumes=True))
        claims = ClaimVolumes(self._client, self.config.node_name, self._node_labels, self._local_paths)
        ask = self._simulated_ask if isinstance(self._runtime, base.SimulatedProbes) else self._ask()
        prober = Prober(self._clock, self._group, ask, self._wake, self._unhealthy)
        return Services(
            config=self.config,
            clock=self._clock,
            runtime=self._runtime,
            runtime_name="",
            sources=sources,
            volumes=Volumes(self.config.root_dir, sources, Tokens(self._client, self._clock), facts, claims),
            handlers=self._handlers,
            prober=prober,
            restarts=Backoff(self._clock),
            pulls=Backoff(self._clock, PULL_INITIAL, PULL_MAX),
            retries=Backoff(self._clock, RETRY_INITIAL, RETRY_MAX),
            statuses=self._statuses,
            events=self._recorder,
            node=facts,
            node_memory=quantity.value(self.node.capacity["memory"]),
            host_dns=dns.host_config(),
            cluster_dns=self._cluster_dns,
            cluster_services=self._cluster_services,
            host_ips=list(self.config.node_ips),
            admit=self._admission.admit,
            stopped=self._stopped,
        )

    def _cluster_dns(self) -> Sequence[str]:
        if self.config.cluster_dns or not self.config.node_dns:
            return self.config.cluster_dns
        return dns.node_servers(self._configured)

    async def _cluster_services(self) -> list[core_v1.Service]:
        informer = self._services_informer
        if informer is None:
            return []
        await informer.synced()
        return informer.list()

    def _node_labels(self) -> Mapping[str, str]:
        node = self._nodes.get("", self.config.node_name)
        return node.metadata.labels if node is not None else self.node.labels

    def _ask(self) -> probes.Ask:
        def ip_of(uid: str) -> str:
            worker = self._workers.get(uid)
            return "" if worker is None else worker.ip

        return probes.asker(self._handlers, ip_of)

    async def _simulated_ask(
        self,
        pod: core_v1.Pod,
        container: core_v1.Container,
        probe: core_v1.Probe,
        status: v.ContainerStatus,
        which: str,
    ) -> Outcome:
        assert isinstance(self._runtime, base.SimulatedProbes)
        holds = await self._runtime.probe(status.id, which)  # type: ignore[arg-type]
        return Outcome(holds, "" if holds else "the simulated container says no")

    async def run(self) -> None:
        """Registers the node and serves its pods until cancelled."""
        if not self.config.simulated:
            self.config.root_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        await self._runtime.open()
        version = await self._runtime.version()
        self._parts.runtime_name = version.runtime_name
        server = None
        try:
            async with self._group:
                if not self.config.simulated and self.config.tls_cert_file:
                    from orlop.kubelet.server import Server

                    server = Server(self._client, self._clock, self.config, self._runtime, self.pods, self._workers_of)
                    self.node.port = await server.start()
                work = [
                    self._recorder.run(),
                    self._node_cidrs(),
                    self._serve(),
                ]
                if self._services_informer is not None:
                    work.append(self._services_informer.run())
                await tasks.run_all(*work)
        finally:
            if server is not None:
                await server.stop()
            await self._handlers.close()
            await self._runtime.close()

    async def registered(self) -> None:
        """Returns when the node is known to the API."""
        await self._registered.wait()

    def _workers_of(self) -> dict[str, PodWorker]:
        return self._workers

    async def _serve(self) -> None:
        node = await self.node.register()
        log.info("Successfully registered node", extra={"node": self.config.node_name})
        self._registered.set()
        await self._configure(node.spec.pod_cidrs or ([self.config.pod_cidr] if self.config.pod_cidr else []))
        self.pods.on_change(self._changed)
        await tasks.run_all(
            self.node.run(),
            self.node.renew_lease(),
            self.pods.run(),
            self._runtime_events(),
            self._orphans(),
            self._evictions.run(),
        )

    async def _node_cidrs(self) -> None:
        """The pod network comes up as soon as the cluster has given the node its range."""

        def changed(_old: core_v1.Node | None, new: core_v1.Node | None) -> None:
            if new is None:
                self.node.wake()
            elif new.spec.pod_cidrs and new.spec.pod_cidrs != self._configured:
                self._group.start("pod network", self._configure(new.spec.pod_cidrs))

        self._nodes.on_change(changed)
        await self._nodes.run()

    async def _configure(self, cidrs: list[str]) -> None:
        if not cidrs or cidrs == self._configured:
            return
        self._configured = list(cidrs)
        try:
            await self._network.configure(cidrs)
        except NetworkError as error:
            self._configured = []
            log.error("Failed to set up the pod network, will retry", extra={"err": error})
            self._group.start("pod network", self._configure_later(cidrs))
        self.node.wake()
        for worker in self._workers.values():
            worker.wake()

    async def _configure_later(self, cidrs: list[str]) -> None:
        """What was in the way may go: another's link, a program that is not installed yet."""
        await self._clock.sleep(RETRY_MAX)
        node = self._nodes.get("", self.config.node_name)
        await self._configure((node.spec.pod_cidrs if node is not None else []) or cidrs)

    def _changed(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if new is None:
            if old is not None and (worker := self._workers.get(old.metadata.uid)) is not None:
                worker.remove()
            return
        if old is not None and old.metadata.uid != new.metadata.uid:
            self._changed(old, None)
        worker = self._workers.get(new.metadata.uid)
        if worker is not None:
            worker.update(new)
            return
        worker = self._workers[new.metadata.uid] = PodWorker(self._parts, new)
        self._group.start(f"pod {new.metadata.namespace}/{new.metadata.name}", worker.run())

    def _wake(self, uid: str, *, volumes: bool = False) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake(volumes=volumes)

    def _stopped(self, uid: str) -> None:
        self._workers.pop(uid, None)

    async def _runtime_events(self) -> None:
        """Wakes the workers of pods to which something happens, for ever."""
        while True:
            try:
                async for event in self._runtime.events():
                    if event.type == "relist":
                        for worker in self._workers.values():
                            worker.wake()
                    elif event.pod is not None and event.type in ("stopped", "deleted"):
                        self._wake(event.pod.uid)
            except Exception as error:
                log.warning("Lost the runtime's events, will connect again", extra={"err": error})
            await self._clock.sleep(RETRY_INITIAL)

    async def _orphans(self) -> None:
        """Ends what an earlier run left of pods that the API no longer has."""
        await self.pods.synced()
        orphans = Orphans(self._runtime, None if self.config.simulated else self._parts.volumes)
        while not await orphans.remove(lambda: {p.metadata.uid for p in self.pods.list()} | self._workers.keys()):
            await self._clock.sleep(RETRY_MAX)
        if not self.config.simulated:
            await self._local_paths.resume()  # now that nothing uses them but pods that are known

    def _unhealthy(self, pod: core_v1.Pod, container: core_v1.Container, message: str) -> None:
        self._recorder.event(container_reference(pod, container), "Warning", "Unhealthy", message)

    def _failed(self, name: str, error: BaseException) -> None:
        log.error("Unhandled error", extra={"task": name}, exc_info=error)

    @staticmethod
    def default_root() -> Path:
        """Where a kubelet keeps its state when nothing else is said."""
        return Path("/var/lib/orlop/kubelet")
