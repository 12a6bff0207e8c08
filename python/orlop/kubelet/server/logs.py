"""Container logs over HTTP."""

from contextlib import aclosing

from aiohttp import web

from orlop.clock import Clock, parse_time
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.server.containers import Finder


class Logs:
    """The handler."""

    def __init__(self, runtime: base.Runtime, finder: Finder, clock: Clock) -> None:
        self._runtime = runtime
        self._finder = finder
        self._clock = clock

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A log as PodLogOptions ask for it, in chunks as it comes."""
        container = await self._finder.container(request, previous=_flag(request.query.get("previous")))
        chunks = self._runtime.logs(container.id, self._options(request))
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        async with aclosing(chunks):
            async for chunk in chunks:
                await answer.write(chunk)
        await answer.write_eof()
        return answer

    def _options(self, request: web.Request) -> v.LogOptions:
        query = request.query
        try:
            since = 0
            if query.get("sinceTime"):
                since = int(parse_time(query["sinceTime"]) * 1e9)
            elif query.get("sinceSeconds"):
                since = int((self._clock.now() - float(query["sinceSeconds"])) * 1e9)
            stream = {"Stdout": "stdout", "Stderr": "stderr"}.get(query.get("stream", ""))
            return v.LogOptions(
                follow=_flag(query.get("follow")),
                tail_lines=int(query["tailLines"]) if query.get("tailLines") else None,
                since=since,
                timestamps=_flag(query.get("timestamps")),
                limit_bytes=int(query["limitBytes"]) if query.get("limitBytes") else None,
                stream=stream,  # type: ignore[arg-type]
            )
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"unable to decode query: {error}") from None


def _flag(text: str | None) -> bool:
    return text in ("1", "true", "True")
