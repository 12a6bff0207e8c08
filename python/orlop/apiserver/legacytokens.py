"""When tokens that stand in Secrets were last used: written on the Secrets, at most once a day (KEP-2799).

Upstream: pkg/serviceaccount/legacy.go, pkg/controlplane/controller/legacytokentracking. The controller that retires
unused tokens reads it, and from a ConfigMap since when it is written.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from orlop.api import errors, scheme
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.auth.tokens import LAST_USED
from orlop.apiserver.core import Core
from orlop.store.base import Attribution

TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
BY = Attribution("system:apiserver", "kube-apiserver")


def today(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def tracking(now: float) -> core_v1.ConfigMap:
    """Says that from today on each use is noted."""
    metadata = meta_v1.ObjectMeta(name=TRACKING, namespace="kube-system")
    return core_v1.ConfigMap(metadata=metadata, data={"since": today(now)})


class TokenUse:
    """Notes uses beside the requests that they are of."""

    def __init__(self, core: Core, start: Callable[[str, Coroutine[Any, Any, None]], object]) -> None:
        """`start` runs a task by its name."""
        self._core = core
        self._start = start
        self._noted: dict[tuple[str, str], str] = {}

    def used(self, namespace: str, name: str, label: str) -> None:
        """The Secret's token was used just now; `label` is the day that is written on it."""
        day = today(self._core.clock.now())
        if label < day and self._noted.get((namespace, name)) != day:
            self._noted[namespace, name] = day
            self._start("token use", self._write(namespace, name, day))

    async def _write(self, namespace: str, name: str, day: str) -> None:
        core = self._core
        strategy = core.strategies[scheme.of(core_v1.Secret).type_key]

        async def change(old: core_v1.Secret) -> core_v1.Secret:
            new = msgspec.json.decode(msgspec.json.encode(old), type=core_v1.Secret)
            new.metadata.labels[LAST_USED] = day
            return new

        with suppress(errors.ApiError):  # gone; or tomorrow's turn
            await core.objects.update(strategy, namespace, name, change, by=BY)
