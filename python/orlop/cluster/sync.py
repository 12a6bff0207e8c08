"""`with orlop.Cluster() as c`: the in-process cluster for code that does not await."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from orlop.client.client import Client
from orlop.clock import Clock
from orlop.cluster.inprocess import AsyncCluster
from orlop.cluster.manifests import Manifest

if TYPE_CHECKING:
    from orlop.scheduler.explain.results import Plan, Why, WhyHere, WhyNode

T = TypeVar("T")


class SyncClient:
    """`orlop.client.Client` with every coroutine awaited: `c.client.get(core_v1.Pod, "x", "default")`."""

    def __init__(self, client: Client, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._client = client
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not inspect.iscoroutinefunction(found):
            raise AttributeError(f"{name!r} streams or is no request: use orlop.AsyncCluster for it")

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._run(found(*args, **kwargs))

        return call


class Cluster:
    """A control plane with all controllers and hollow nodes, on an event loop in a thread of its own.

    Without root, and without ports unless asked. Ready within a second; gone when the block ends.
    """

    def __init__(self, *, nodes: int = 1, port: int | None = None, clock: Clock | None = None) -> None:
        """As `AsyncCluster`."""
        self._cluster = AsyncCluster(nodes=nodes, port=port, clock=clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def client(self) -> SyncClient:
        """The admin's client."""
        return SyncClient(self._cluster.client, self._run)

    def __enter__(self) -> "Cluster":
        import uvloop

        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orlop cluster", daemon=True)
        self._thread.start()
        try:
            self._run(self._cluster.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._run(self._cluster.__aexit__(*exc))
        finally:
            self._stop()

    def _stop(self) -> None:
        assert self._loop is not None
        assert self._thread is not None
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or not self._loop.is_running():
            work.close()
            raise RuntimeError("the cluster does not run: use it as a context manager")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def client_as(self, user: str, *groups: str) -> SyncClient:
        """A client with another identity."""
        return SyncClient(self._cluster.client_as(user, *groups), self._run)

    def kubeconfig(self) -> str:
        """The text of an admin kubeconfig. Opens a port on loopback if none is open yet."""
        return self._run(self._cluster.kubeconfig())

    def apply(self, source: Manifest, namespace: str = "default") -> list[dict[str, Any]]:
        """Creates or merges the objects of a file, a folder or dictionaries."""
        return self._run(self._cluster.apply(source, namespace))

    def wait(self, target: str, until: str, timeout: float = 30.0, namespace: str = "default") -> dict[str, Any] | None:
        """kubectl's wait: `c.wait("deployment/web", "condition=Available", timeout=20)`. Raises WaitTimeout."""
        return self._run(self._cluster.wait(target, until, timeout, namespace))

    def why(self, pod: str, namespace: str = "default", *, now: bool = False) -> "Why":
        """Why a pod waits: `c.why("web-0").changes[0].text` is the smallest change that would place it."""
        return self._run(self._cluster.why(pod, namespace, now=now))

    def why_here(self, pod: str, namespace: str = "default") -> "WhyHere":
        """Why a placed pod is on its node: the scores of all nodes at the decision."""
        return self._run(self._cluster.why_here(pod, namespace))

    def why_node(self, pod: str, node: str, namespace: str = "default") -> "WhyNode":
        """What speaks for and against one node."""
        return self._run(self._cluster.why_node(pod, node, namespace))

    def plan(self, source: Manifest, namespace: str = "default") -> "Plan":
        """Where the pods of a manifest would go; nothing is written."""
        return self._run(self._cluster.plan(source, namespace))
