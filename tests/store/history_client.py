"""A client process of the checked history: `history_client.py work|watch FILE` with a `Setting` as JSON on stdin.

It speaks plain HTTPS and writes down, a JSON line each, what it asked and what it was answered, with the times of the
machine's monotonic clock. It ends when its standard input does.
"""

import contextlib
import http.client
import json
import random
import ssl
import sys
import threading
import time
from typing import Any, NamedTuple

PATH = "/api/v1/namespaces/default/configmaps"
LABEL = "checked"
"""On every object: others make configmaps in the namespace too."""


STEPS = ("create", "create", "put", "patch", "cas", "cas", "delete", "get", "get", "list", "pages", "watch")


class Setting(NamedTuple):
    """What a client is told."""

    port: int
    ca: str
    token: str
    client: int
    seed: int
    keys: int
    """Objects at a time."""
    round_seconds: float
    """After which others are taken, so that each history is short."""
    began: float


class Unknown(Exception):
    """No answer, or one that says nothing: the request may have been carried out."""


class NotSent(Exception):
    """It was not."""


class Connection:
    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._context = ssl.create_default_context(cafile=setting.ca)
        self._http: http.client.HTTPSConnection | None = None

    def request(self, method: str, path: str, body: Any = None, media: str = "application/json") -> tuple[int, Any]:
        status, answer = self.send(method, path, body, media)
        try:
            return status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.drop()
            raise Unknown(str(error)) from error

    def send(
        self, method: str, path: str, body: Any = None, media: str = "application/json"
    ) -> tuple[int, http.client.HTTPResponse]:
        if self._http is None:
            connection = http.client.HTTPSConnection("127.0.0.1", self.setting.port, timeout=10, context=self._context)
            try:
                connection.connect()
            except OSError as error:
                raise NotSent from error
            self._http = connection
        headers = {"authorization": f"Bearer {self.setting.token}", "content-type": media}
        try:
            self._http.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.drop()
            raise Unknown(str(error)) from error
        if answer.status >= 500 or answer.status == 429:
            text = answer.read()
            self.drop()
            raise Unknown(f"{answer.status} {text!r}")
        return answer.status, answer

    def drop(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


def text_of(obj: dict[str, Any]) -> str:
    found: str = obj["data"]["text"]
    return found


class Worker:
    def __init__(self, setting: Setting, out: Any) -> None:
        self.setting = setting
        self.chance = random.Random(setting.seed)
        self.connection = Connection(setting)
        self.out = out
        self.count = 0

    def name(self) -> str:
        number = int((time.monotonic() - self.setting.began) / self.setting.round_seconds)
        return f"r{number}-k{self.chance.randrange(self.setting.keys)}"

    def text(self) -> str:
        self.count += 1
        return f"c{self.setting.client}-{self.count}"

    def body(self, name: str, text: str, revision: str = "") -> dict[str, Any]:
        metadata = {"name": name, "labels": {LABEL: "yes"}, **({"resourceVersion": revision} if revision else {})}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}

    def write(self, kind: str, name: str, argument: Any, *request: Any) -> None:
        """A write, whatever became of it."""
        line = {"client": self.setting.client, "kind": kind, "name": name, "argument": argument}
        began = time.monotonic_ns()
        try:
            status, answer = self.connection.request(*request)
        except NotSent:
            time.sleep(0.02)
            return
        except Unknown:
            self.say(**line, answer="unknown", began=began)
            return
        ended = time.monotonic_ns()
        reason = answer.get("reason", "")
        outcome = {(404, "NotFound"): "absent", (409, "AlreadyExists"): "exists", (409, "Conflict"): "conflict"}.get(
            (status, reason), "ok" if status < 300 else f"{status} {answer}"
        )
        revision = answer["metadata"].get("resourceVersion", "") if outcome == "ok" and kind != "delete" else ""
        self.say(**line, answer=outcome, began=began, ended=ended, revision=revision)

    def say(self, **line: Any) -> None:
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def step(self) -> None:
        name = self.name()
        path = f"{PATH}/{name}"
        match self.chance.choice(STEPS):
            case "create":
                text = self.text()
                self.write("create", name, text, "POST", PATH, self.body(name, text))
            case "put":
                text = self.text()
                self.write("put", name, text, "PUT", path, self.body(name, text))
            case "patch":
                text = self.text()
                merge = "application/merge-patch+json"
                self.write("put", name, text, "PATCH", path, {"data": {"text": text}}, merge)
            case "delete":
                self.write("delete", name, None, "DELETE", path)
            case "get":
                self.get(name)
            case "cas":
                self.compare_and_set(name)
            case "list":
                self.list()
            case "pages":
                self.list(limit=2)
            case "watch":
                self.watch()

    def get(self, name: str) -> dict[str, Any] | None:
        began = time.monotonic_ns()
        status, answer = self.connection.request("GET", f"{PATH}/{name}")
        ended = time.monotonic_ns()
        found = answer if status == 200 else None
        assert found is not None or status == 404, answer
        text = text_of(found) if found is not None else None
        self.say(
            client=self.setting.client, kind="get", name=name, argument=None, answer=text, began=began, ended=ended
        )
        return found

    def compare_and_set(self, name: str) -> None:
        found = self.get(name)
        if found is None:
            return
        revision, old = found["metadata"]["resourceVersion"], text_of(found)
        if self.chance.random() < 0.2:
            options = {"preconditions": {"resourceVersion": revision}}
            self.write("cas", name, (old, None), "DELETE", f"{PATH}/{name}", options)
        else:
            text = self.text()
            self.write("cas", name, (old, text), "PUT", f"{PATH}/{name}", self.body(name, text, revision))

    def list(self, limit: int = 0) -> None:
        """A list, or its pages: all of them show the state when the first was answered."""
        items: dict[str, Any] = {}
        query = f"?labelSelector={LABEL}" + (f"&limit={limit}" if limit else "")
        began = time.monotonic_ns()
        status, answer = self.connection.request("GET", PATH + query)
        ended = time.monotonic_ns()
        revision = answer["metadata"]["resourceVersion"]
        while True:
            assert status == 200, answer
            for item in answer["items"]:
                items[item["metadata"]["name"]] = item["metadata"]["resourceVersion"], text_of(item)
            if not (token := answer["metadata"].get("continue")):
                break
            status, answer = self.connection.request("GET", f"{PATH}{query}&continue={token}")
            if status == 410:
                return  # the server was killed and compacted between: begin again
        self.say(client=self.setting.client, kind="list", revision=revision, items=items, began=began, ended=ended)

    def watch(self) -> None:
        """A watch's initial state, which is a list by another way."""
        query = f"?watch=true&labelSelector={LABEL}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        items: dict[str, Any] = {}
        began = time.monotonic_ns()
        try:
            for event in events(self.connection, query + "&resourceVersion=&allowWatchBookmarks=true&timeoutSeconds=5"):
                obj = event["object"]
                if event["type"] == "BOOKMARK":
                    break
                # After the initial state's objects may come changes before its end is told.
                if event["type"] == "DELETED":
                    items.pop(obj["metadata"]["name"], None)
                else:
                    items[obj["metadata"]["name"]] = obj["metadata"]["resourceVersion"], text_of(obj)
            else:
                return
        finally:
            self.connection.drop()
        ended = time.monotonic_ns()
        revision = obj["metadata"]["resourceVersion"]
        self.say(client=self.setting.client, kind="list", revision=revision, items=items, began=began, ended=ended)

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            with contextlib.suppress(Unknown, NotSent):
                self.step()
            time.sleep(self.chance.uniform(0, 0.004))


def events(connection: Connection, query: str) -> Any:
    """The events of a watch, until it ends."""
    status, answer = connection.send("GET", PATH + query)
    if status == 410:
        answer.read()
        yield {"type": "ERROR", "object": {"code": 410}}
        return
    assert status == 200, answer.read()
    while True:
        try:
            line = answer.readline()
        except (OSError, http.client.HTTPException) as error:
            raise Unknown(str(error)) from error
        if not line.endswith(b"\n"):
            return  # cut off
        yield json.loads(line)


def follow(setting: Setting, out: Any, stopping: threading.Event) -> None:
    """Watches as an informer does: list, watch from there, resume where it was cut off, list again after 410."""
    connection = Connection(setting)
    revision = ""

    def say(**line: Any) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    while not stopping.is_set():
        try:
            if not revision:
                status, answer = connection.request("GET", f"{PATH}?labelSelector={LABEL}")
                assert status == 200, answer
                revision = answer["metadata"]["resourceVersion"]
                items = {i["metadata"]["name"]: (i["metadata"]["resourceVersion"], text_of(i)) for i in answer["items"]}
                say(kind="list", revision=revision, items=items)
            connection.drop()
            query = f"?watch=true&labelSelector={LABEL}&resourceVersion={revision}&allowWatchBookmarks=true"
            for event in events(connection, query + "&timeoutSeconds=3"):
                if event["type"] == "ERROR":
                    assert event["object"]["code"] == 410, event
                    revision = ""
                    break
                metadata = event["object"]["metadata"]
                revision = metadata["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    name, text = metadata["name"], text_of(event["object"])
                    say(kind="event", type=event["type"], name=name, revision=revision, text=text)
                if stopping.is_set():
                    return
        except (Unknown, NotSent):
            time.sleep(0.02)
        finally:
            connection.drop()


def main() -> None:
    mode, file = sys.argv[1:]
    setting = Setting(**json.loads(sys.stdin.readline()))
    stopping = threading.Event()
    with open(file, "w", encoding="utf-8") as out:
        if mode == "work":
            work = threading.Thread(target=Worker(setting, out).run, args=(stopping,))
        else:
            work = threading.Thread(target=follow, args=(setting, out, stopping))
        work.start()
        sys.stdin.read()
        stopping.set()
        work.join()


if __name__ == "__main__":
    main()
