"""The userspace backend: the relay's listeners, and the rules that lead to them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from orlop import logging
from orlop.clock import Clock
from orlop.native import ForwardChanges, ServicePort
from orlop.nftables.ruleset import Ruleset
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.nftables.backend import Nftables
from orlop.proxy.backends.programmed import Programmed
from orlop.proxy.backends.userspace.relay import Place, Relay, Shown
from orlop.proxy.backends.userspace.rules import LOCAL, frame, listener_id, listeners, service_port, shared
from orlop.proxy.config import ProxyConfig

TABLE = "orlop-userspace"
RESTART_PAUSE = 1.0
"""Seconds before a relay that ended is looked at again, where it could not be started."""

_log = logging.get("proxy")


class Userspace(Nftables):
    """Programs a relay, and tables `ip orlop-userspace` and `ip6 orlop-userspace`. See the package's docstring."""

    name = "userspace"
    table = TABLE

    def __init__(self, config: ProxyConfig, *, prefix: Sequence[str] = ()) -> None:
        """`prefix` runs programs elsewhere and must be `("ip", "netns", "exec", NAME)` if there is one."""
        super().__init__(config, prefix=prefix)
        self._relay = Relay(config.scope, prefix)
        self._programmed = Programmed(shared)
        self._places: dict[str, Place] = {}
        """Of the relay's listeners."""
        self._lock = asyncio.Lock()

    async def check(self) -> None:
        """Asks the kernel whether it would take every kind of rule, and starts the relay where there is none."""
        await super().check()
        try:
            await self._relay.ensure()
        except (ProgramError, OSError) as error:
            raise Unsupported(f"the userspace proxy needs a relay and cannot start it: {error}") from None

    async def sync(self, wanted: Sequence[ServicePort]) -> bool:
        """See Backend.sync."""
        async with self._lock:
            return await self._sync(wanted)

    async def apply(self, changes: ForwardChanges) -> None:
        """See Backend.apply."""
        async with self._lock:
            step = self._programmed.step(changes, self._families)
            await self._listen(step.new)
            plan = await asyncio.to_thread(self._plan, step)
            await self._execute(plan)
            gone = {each.id for port in step.old for each in listeners(port, self._config)}
            gone -= {each.id for port in step.new for each in listeners(port, self._config)}
            if gone:
                await self._relay.drop(gone)
                for id in gone:
                    self._places.pop(id, None)
            self._programmed.take(step)

    async def tend(self, clock: Clock) -> None:
        """See Backend.tend: a relay that ended is started again."""
        while True:
            with suppress(OSError):  # there is none any more
                await self._relay.ended()
            _log.error("the relay has ended, and its connections with it: starting it again")
            try:
                async with self._lock:
                    await self._sync(list(self._programmed.ports.values()))
            except (ProgramError, OSError) as error:
                _log.error("cannot start the relay", extra={"error": str(error)})
                await clock.sleep(RESTART_PAUSE)

    async def cleanup(self) -> None:
        """Deletes both tables and ends the relay."""
        await super().cleanup()
        await self._relay.stop()
        self._places = {}

    async def show(self) -> Shown:
        """What the relay does now."""
        return await self._relay.show()

    # --- parts

    async def _sync(self, wanted: Sequence[ServicePort]) -> bool:
        await self._relay.ensure()
        wanted = [port for port in wanted if port.id[4] in self._families]
        self._places = {}
        await self._listen(wanted)
        changed = await super().sync(wanted)
        await self._relay.keep(self._places)
        return changed

    async def _listen(self, ports: Sequence[ServicePort]) -> None:
        wanted = [listener for port in ports for listener in listeners(port, self._config)]
        if wanted:
            found, errors = await self._relay.set(wanted)
            self._places |= found
            for id, error in errors.items():
                _log.warning("the relay cannot serve a Service", extra={"listener": id, "error": error})

    def _frame(self, family: int) -> Ruleset:
        return frame(family, self._config)

    def _render(self, port: ServicePort) -> Ruleset:
        return service_port(port, self._config, self._places)

    def _sample_port(self, family: int) -> ServicePort:
        port = super()._sample_port(family)
        self._places |= {listener_id(port, policy): Place(1) for policy in ("cluster", LOCAL)}
        return port
