"""Service account tokens bound to a pod, renewed before they end."""

from typing import NamedTuple

from orlop import logging
from orlop.api import errors
from orlop.api.types import authentication_v1, core_v1
from orlop.client.client import Client
from orlop.clock import Clock, parse_time

log = logging.get("kubelet")

DEFAULT_EXPIRATION_SECONDS = 3600
"""What the API gives where a projection does not say."""

RENEW_AFTER = 0.8
"""Share of a token's life after which it is replaced (KEP-1205)…"""

RENEW_AFTER_SECONDS = 24 * 3600
"""… or this age, whichever comes first."""


RETRY_SECONDS = 10.0
"""Between tries to renew a token that still holds."""


class Held(NamedTuple):
    """One token, and when (seconds since 1970) it is to be renewed and when it ends."""

    token: str
    renew: float
    expires: float


class Tokens:
    """Keeps one token for each (pod, audience, lifetime)."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._held: dict[tuple[str, str, int], Held] = {}

    async def get(self, pod: core_v1.Pod, projection: core_v1.ServiceAccountTokenProjection) -> str:
        """The token as it should stand in the file now. Raises ApiError when none can be had and none is valid."""
        lifetime = projection.expiration_seconds or DEFAULT_EXPIRATION_SECONDS
        key = (pod.metadata.uid, projection.audience, lifetime)
        held = self._held.get(key)
        if held is not None and self._clock.now() < held.renew:
            return held.token
        try:
            held = await self._request(pod, projection.audience, lifetime)
        except (errors.ApiError, OSError, TimeoutError) as error:
            if held is None or held.expires <= self._clock.now():
                raise
            log.warning("Couldn't update token", extra={"pod": pod.metadata.name, "err": error})
            held = held._replace(renew=self._clock.now() + RETRY_SECONDS)
        self._held[key] = held
        return held.token

    async def _request(self, pod: core_v1.Pod, audience: str, lifetime: int) -> Held:
        request = authentication_v1.TokenRequest(
            spec=authentication_v1.TokenRequestSpec(
                audiences=[audience] if audience else [],
                expiration_seconds=lifetime,
                bound_object_ref=authentication_v1.BoundObjectReference(
                    kind="Pod", api_version="v1", name=pod.metadata.name, uid=pod.metadata.uid
                ),
            )
        )
        answer = await self._client.token(pod.metadata.namespace, pod.spec.service_account_name or "default", request)
        now = self._clock.now()
        expires = parse_time(answer.status.expiration_timestamp) if answer.status.expiration_timestamp else now
        renew = now + min((expires - now) * RENEW_AFTER, RENEW_AFTER_SECONDS)
        return Held(answer.status.token, renew, expires)

    def next_renewal(self, uid: str) -> float | None:
        """Wall-clock time at which the pod's earliest token wants to be renewed."""
        return min((held.renew for (holder, _, _), held in self._held.items() if holder == uid), default=None)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [k for k in self._held if k[0] == uid]:
            del self._held[key]
