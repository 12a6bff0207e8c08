"""The engine's event stream of this node's containers, kept connected, as the contract's events."""

import asyncio
import logging
from typing import Any

import msgspec

from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.docker import labels
from orlop.kubelet.runtime.docker.engine import Engine
from orlop.kubelet.runtime.events import EventStream

RETRY_FIRST = 0.1
RETRY_MOST = 10.0
"""Seconds between attempts to connect again to an engine that went away, doubling: its own restart takes a few."""

_TYPES: dict[str, v.EventType] = {"create": "created", "start": "started", "die": "stopped", "destroy": "deleted"}

logger = logging.getLogger("orlop.kubelet.runtime.docker")


class EventPump:
    """Reads events until cancelled and publishes them; also tells when an exec has ended."""

    def __init__(self, engine: Engine, scope: str, clock: Clock, stream: EventStream) -> None:
        self._engine = engine
        self._scope = scope
        self._clock = clock
        self._stream = stream
        self._out_of_memory: set[str] = set()
        self._ended: set[str] = set()
        self._execs: dict[str, asyncio.Future[None]] = {}
        self.connected = asyncio.Event()

    async def run(self) -> None:
        delay = RETRY_FIRST
        while True:
            try:
                await self._read()
                delay = RETRY_FIRST
            except (RuntimeFailure, OSError, ValueError) as error:
                logger.warning("the Docker Engine's event stream broke: %s", error)
            self.connected.clear()
            await self._clock.sleep(delay)
            delay = min(delay * 2, RETRY_MOST)

    def has_ended(self, container_id: str) -> bool:
        """Whether its end was told. The engine's list may say "running" for a moment longer."""
        return container_id in self._ended

    def watch_exec(self, exec_id: str) -> "asyncio.Future[None]":
        """Done when this exec has ended, or when events may have been missed: then inspect."""
        return self._execs.setdefault(exec_id, asyncio.get_running_loop().create_future())

    def forget_exec(self, exec_id: str) -> None:
        if future := self._execs.pop(exec_id, None):
            future.cancel()

    async def _read(self) -> None:
        filters = {"type": ["container"], "label": [f"{labels.SCOPE}={self._scope}"]}
        query = {"filters": msgspec.json.encode(filters).decode()}
        async with self._engine.streams.opened("GET", "/events", query) as connection:
            self._ended.clear()
            self._stream.relist()
            for exec_id in list(self._execs):
                self._exec_ended(exec_id)
            self.connected.set()
            async for event in connection.json_lines():
                self._handle(event)

    def _handle(self, event: dict[str, Any]) -> None:
        action, actor = event.get("Action", ""), event.get("Actor", {})
        attributes = actor.get("Attributes", {})
        container_id = actor.get("ID", "")
        if action == "exec_die":
            self._exec_ended(attributes.get("execID", ""))
        elif action == "oom":
            self._out_of_memory.add(container_id)
        elif action in _TYPES:
            self._publish(_TYPES[action], container_id, event.get("timeNano", 0), attributes)

    def _publish(self, kind: v.EventType, container_id: str, at: int, attributes: dict[str, str]) -> None:
        exit_code = int(attributes["exitCode"]) if kind == "stopped" and "exitCode" in attributes else None
        oom = kind == "stopped" and container_id in self._out_of_memory
        if kind == "stopped":
            self._ended.add(container_id)
            self._out_of_memory.discard(container_id)
        elif kind == "deleted":
            self._ended.discard(container_id)
        if (container := labels.container_record(attributes)) is not None:
            self._stream.publish(
                v.ContainerEvent(
                    type=kind,
                    at=at,
                    pod_sandbox_id=container.sandbox_id,
                    container_id=container_id,
                    container_name=container.metadata.name,
                    pod=container.pod,
                    exit_code=exit_code,
                    oom_killed=oom,
                )
            )
        elif (sandbox := labels.sandbox_record(attributes)) is not None:
            self._stream.publish(
                v.ContainerEvent(
                    type=kind,
                    at=at,
                    pod_sandbox_id=container_id,
                    container_id=container_id,
                    pod=sandbox.metadata,
                    exit_code=exit_code,
                )
            )

    def _exec_ended(self, exec_id: str) -> None:
        future = self._execs.pop(exec_id, None)
        if future is not None and not future.done():
            future.set_result(None)
