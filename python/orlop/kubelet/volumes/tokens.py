"""Service account tokens bound to a pod, renewed before they end."""

from orlop.api.types import authentication_v1, core_v1
from orlop.client.client import Client
from orlop.clock import Clock, parse_time

DEFAULT_EXPIRATION_SECONDS = 3600
"""What the API gives where a projection does not say."""

RENEW_AFTER = 0.8
"""Share of a token's life after which it is replaced (KEP-1205)…"""

RENEW_AFTER_SECONDS = 24 * 3600
"""… or this age, whichever comes first."""


class Tokens:
    """Keeps one token for each (pod, audience, lifetime)."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._held: dict[tuple[str, str, int], tuple[str, float]] = {}

    async def get(self, pod: core_v1.Pod, projection: core_v1.ServiceAccountTokenProjection) -> str:
        """The token as it should stand in the file now. Raises ApiError when none can be had and none is valid."""
        lifetime = projection.expiration_seconds or DEFAULT_EXPIRATION_SECONDS
        key = (pod.metadata.uid, projection.audience, lifetime)
        held = self._held.get(key)
        if held is not None and self._clock.now() < held[1]:
            return held[0]
        request = authentication_v1.TokenRequest(
            spec=authentication_v1.TokenRequestSpec(
                audiences=[projection.audience] if projection.audience else [],
                expiration_seconds=lifetime,
                bound_object_ref=authentication_v1.BoundObjectReference(
                    kind="Pod", api_version="v1", name=pod.metadata.name, uid=pod.metadata.uid
                ),
            )
        )
        answer = await self._client.token(pod.metadata.namespace, pod.spec.service_account_name or "default", request)
        now = self._clock.now()
        expires = parse_time(answer.status.expiration_timestamp or "") if answer.status.expiration_timestamp else now
        renew = now + min((expires - now) * RENEW_AFTER, RENEW_AFTER_SECONDS)
        self._held[key] = (answer.status.token, renew)
        return answer.status.token

    def next_renewal(self, uid: str) -> float | None:
        """Wall-clock time at which the pod's earliest token wants to be renewed."""
        times = [renew for (holder, _, _), (_, renew) in self._held.items() if holder == uid]
        return min(times, default=None)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [k for k in self._held if k[0] == uid]:
            del self._held[key]
