"""Makes sure a container's image is there, by its pull policy; failures back off as the kubelet does upstream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from orlop.clock import Clock
from orlop.kubelet.runtime.base import ImageFailure, ImageService, RuntimeFailure
from orlop.kubelet.runtime.reference import with_default_tag
from orlop.kubelet.runtime.values import AuthConfig

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
Report = Callable[[Literal["Normal", "Warning"], str, str], None]
"""Told (type, reason, message) of each event for the container."""

BACK_OFF_START = 10.0
BACK_OFF_MAX = 300.0
"""Seconds between pulls that fail: upstream's imageBackOffPeriod and MaxImageBackOff, doubling in between."""


@dataclass(slots=True)
class _BackOff:
    delay: float
    until: float
    last: ImageFailure


class ImageManager:
    """One per node. `ensure` may be called again at every sync of a pod; only due pulls are tried."""

    def __init__(self, images: ImageService, clock: Clock) -> None:
        self._images = images
        self._clock = clock
        self._failing: dict[tuple[str, str], _BackOff] = {}

    async def ensure(
        self, pod_uid: str, image: str, policy: PullPolicy, *, auth: AuthConfig | None = None, report: Report
    ) -> str:
        """The id of the image, pulled when the policy asks for it.

        Raises ImageFailure with the reason the container's waiting state shows.
        """
        try:
            reference = with_default_tag(image)
        except ImageFailure as error:
            report("Warning", "InspectFailed", str(error))
            raise
        present = None
        if policy != "Always":
            try:
                present = await self._images.image_status(reference)
            except RuntimeFailure as error:
                message = f'Failed to inspect image "{image}": {error}'
                report("Warning", "InspectFailed", message)
                raise ImageFailure("ImageInspectError", message) from error
        if present is not None:
            report("Normal", "Pulled", f'Container image "{image}" already present on machine')
            return present.id
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            report("Warning", "ErrImageNeverPull", message)
            raise ImageFailure("ErrImageNeverPull", message)
        return await self._pull((pod_uid, reference), image, auth, report)

    async def _pull(self, key: tuple[str, str], image: str, auth: AuthConfig | None, report: Report) -> str:
        failing = self._failing.get(key)
        now = self._clock.monotonic()
        if failing is not None and now < failing.until:
            message = f'Back-off pulling image "{image}"'
            report("Normal", "BackOff", message)
            raise ImageFailure("ImagePullBackOff", f"{message}: {failing.last.reason}: {failing.last}")
        report("Normal", "Pulling", f'Pulling image "{image}"')
        try:
            image_id = await self._images.pull_image(key[1], auth)
        except ImageFailure as error:
            report("Warning", "Failed", f'Failed to pull image "{image}": {error}')
            report("Warning", "Failed", f"Error: {error.reason}")
            fresh = failing is None or now > failing.until + 2 * BACK_OFF_MAX
            delay = BACK_OFF_START if failing is None or fresh else min(failing.delay * 2, BACK_OFF_MAX)
            self._failing[key] = _BackOff(delay, self._clock.monotonic() + delay, error)
            raise
        self._failing.pop(key, None)
        took = self._clock.monotonic() - now
        report("Normal", "Pulled", f'Successfully pulled image "{image}" in {took:.3f}s')
        return image_id

    def forget_pod(self, pod_uid: str) -> None:
        """Drops what is remembered of a pod's failures."""
        for key in [key for key in self._failing if key[0] == pod_uid]:
            del self._failing[key]
