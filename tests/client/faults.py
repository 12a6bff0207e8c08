"""A server of scripted answers, for faults that a real one does not show on demand."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from orlop.api import errors

Step = tuple[str, Any]


class Answer:
    """What one request gets: steps `("send", bytes)`, `("wait", Event)`, `("break", None)`, `("hang", None)`."""

    def __init__(self, *steps: Step, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = {"content-type": "application/json", **(headers or {})}
        self.steps = steps


def ok(body: Any) -> Answer:
    return Answer(("send", msgspec.json.encode(body)))


def failed(error: errors.ApiError, **headers: str) -> Answer:
    body = msgspec.json.encode(error.status)
    return Answer(
        ("send", body), status=error.status.code, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def frame(type_: str, name: str, revision: int, **more: Any) -> Step:
    meta = {"name": name, "namespace": "default", "resourceVersion": str(revision), "uid": f"uid-{name}", **more}
    if type_ == "BOOKMARK":
        del meta["name"], meta["namespace"], meta["uid"]
    event = {"type": type_, "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}}
    return ("send", msgspec.json.encode(event) + b"\n")


def end_of_initial(revision: int) -> Step:
    return frame("BOOKMARK", "", revision, annotations={"k8s.io/initial-events-end": "true"})


def error_frame(error: errors.ApiError) -> Step:
    return ("send", msgspec.json.encode({"type": "ERROR", "object": error.status}) + b"\n")


HANG: Step = ("hang", None)
BREAK: Step = ("break", None)


class Faults:
    """An ASGI app that gives its answers in order and notes the requests. Out of answers it hangs."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.disconnects = 0
        self.asked = asyncio.Event()

    async def __call__(
        self,
        scope: Any,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        message = await receive()
        self.bodies.append(message.get("body", b""))
        query = dict(p.split("=", 1) for p in scope["query_string"].decode().split("&") if p)
        self.requests.append((scope["method"], scope["path"], query))
        self.asked.set()
        answer = self.answers.popleft() if self.answers else Answer(HANG)
        headers = [(k.encode(), v.encode()) for k, v in answer.headers.items()]
        steps = deque(answer.steps)
        if steps and steps[0] == BREAK:
            raise ConnectionError("broken before the answer")
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for step, argument in steps:
            if step == "send":
                await send({"type": "http.response.body", "body": argument, "more_body": True})
            elif step == "wait":
                await argument.wait()
            elif step == "hang":
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.disconnects += 1
                return
            elif step == "break":
                raise ConnectionError("broken")
        await send({"type": "http.response.body", "body": b"", "more_body": False})
