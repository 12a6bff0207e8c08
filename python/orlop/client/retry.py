"""When a request is tried again. The rules are client-go's (rest/with_retry.go) and net/http's for lost connections."""

from collections.abc import Awaitable, Callable

from orlop.client.transport import Response, Unreachable
from orlop.clock import Clock

MAX_RETRIES = 10
"""Further tries after an answer that says when to try again, as client-go."""
MAX_RECONNECTS = 4
"""Further tries of an idempotent request whose connection failed."""
RECONNECT_BASE = 0.05
"""Seconds before the first of those; doubles each time, with jitter."""
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be sent twice. A PUT or DELETE that was done and is repeated would answer Conflict or NotFound."""


class Retry:
    """Runs a request, and again where that is called for, waiting by the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def run(self, method: str, send: Callable[[], Awaitable[Response]]) -> Response:
        """The first answer that stands. Raises Unreachable when the tries are used up.

        429 and 5xx with a Retry-After in seconds are tried again whatever the method: the server has not done the
        request. A lost connection is tried again where the request was not sent or repeating it is harmless.
        """
        retries = reconnects = 0
        while True:
            try:
                response = await send()
            except Unreachable as error:
                if error.final or reconnects >= MAX_RECONNECTS or (error.sent and method not in IDEMPOTENT):
                    raise
                wait = RECONNECT_BASE * (1 << reconnects) * (1 + self._clock.random.random())
                reconnects += 1
                await self._clock.sleep(wait)
                continue
            if response.status < 429:
                return response
            after = retry_after(response)
            if after is None or retries >= MAX_RETRIES:
                return response
            retries += 1
            await self._clock.sleep(after)


def retry_after(response: Response) -> float | None:
    """Seconds of a Retry-After header, if the answer asks to be tried again."""
    if response.status != 429 and response.status < 500:
        return None
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
