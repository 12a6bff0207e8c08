"""After an answered write every later list, get and watch by any client sees it: on any connection, in any form."""

import asyncio
import gzip
import http.client
import itertools
import json
import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.store.test_history import TOKEN, Server, server

__all__ = ["server"]  # the fixture

MAPS = "/api/v1/namespaces/default/configmaps"
ROUNDS = 12
READERS = 4
"""Connections that read in turn: what one has seen must not be what helps."""
NOISE = 3
"""Clients that write other objects all the while."""
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
BARE = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
INITIAL = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"

READS = {
    "get": ("/one", {}),
    "get in protobuf": ("/one", {"accept": PROTOBUF}),
    "list": ("", {}),
    "list, compressed": ("", {"accept-encoding": "gzip"}),
    "list in protobuf": ("", {"accept": PROTOBUF}),
    "list as a table": ("", {"accept": TABLE}),
    "list of metadata": ("", {"accept": BARE}),
    "list from the cache": ("?resourceVersion=0", {}),
    "list not older": ("?resourceVersion={revision}&resourceVersionMatch=NotOlderThan", {}),
    "list exactly": ("?resourceVersion={revision}&resourceVersionMatch=Exact", {}),
    "first page": ("?limit=500", {}),
    "list by label": ("?labelSelector=round%3Dr{number}", {}),
    "list by field": ("?fieldSelector=metadata.name%3Done", {}),
    "watch from before": ("?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Done&resourceVersion={before}", {}),
    "watch from any": ("?watch=1&timeoutSeconds=1&resourceVersion=0", {}),
    "initial events": (f"?watch=1&timeoutSeconds=1{INITIAL}", {}),
}


class Client:
    """One connection."""

    def __init__(self, server: Server) -> None:
        context = ssl.create_default_context(cafile=str(server.ca))
        self._http = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=30)

    def __call__(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        sent = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **(headers or {})}
        self._http.request(method, path, None if body is None else json.dumps(body), sent)
        answer = self._http.getresponse()
        data = answer.read()
        return answer.status, gzip.decompress(data) if answer.headers["content-encoding"] == "gzip" else data

    def watched(self, path: str, wanted: bytes) -> bool:
        """Whether a watch tells of something before it ends."""
        self._http.request("GET", path, headers={"authorization": f"Bearer {TOKEN}"})
        answer = self._http.getresponse()
        while line := answer.readline():
            if wanted in line:
                self._http.close()  # the next request opens it anew
                return True
        return False

    def close(self) -> None:
        self._http.close()


def config_map(name: str, number: int) -> dict[str, object]:
    metadata = {"name": name, "labels": {"round": f"r{number}"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"pad": "x" * 3000}}


def make_noise(server: Server, number: int, stop: threading.Event) -> None:
    client = Client(server)
    for turn in itertools.count():
        if stop.is_set():
            break
        assert client("POST", MAPS, config_map(f"noise-{number}-{turn % 20}", turn))[0] in (201, 409)
        client("DELETE", f"{MAPS}/noise-{number}-{(turn + 10) % 20}")
    client.close()


def look(client: Client, number: int, revision: int, before: int, there: bool) -> Iterator[str]:
    """The forms of reading that do not show what was answered."""
    wanted = f'"resourceVersion":"{revision}"'.encode()
    for form, (query, headers) in READS.items():
        path = MAPS + query.format(number=number, revision=revision, before=before)
        if "watch" in path:
            seen = client.watched(path, wanted)
            # What is gone is told as such to those who knew it, and not at all to others.
            expected = there or form == "watch from before"
        else:
            status, body = client("GET", path, headers=headers)
            assert status in (200, 404), (form, body)
            seen = (str(revision).encode() if PROTOBUF in headers.values() else wanted) in body
            if query != "/one" and PROTOBUF not in headers.values():  # the list itself is as new
                assert int(json.loads(body)["metadata"]["resourceVersion"]) >= revision, form
            if not there:
                seen = status == 200 and (query == "/one" or b'"name":"one"' in body or b"\x0a\x03one" in body)
            expected = there
        if seen != expected:
            yield form


def work(server: Server) -> None:
    writer = Client(server)
    readers = [Client(server) for _ in range(READERS)]
    turns = itertools.cycle(readers)
    before = 0
    for number in range(ROUNDS):
        method, path = [("POST", MAPS), ("PUT", f"{MAPS}/one"), ("DELETE", f"{MAPS}/one")][number % 3]
        there = method != "DELETE"
        body = config_map("one", number) if there else None
        before = before or int(json.loads(writer("GET", MAPS)[1])["metadata"]["resourceVersion"])
        status, answer = writer(method, path, body)
        assert status in (200, 201), answer
        if there:
            revision = int(json.loads(answer)["metadata"]["resourceVersion"])
        else:  # its answer is a Status: the revision is told by whoever watches
            events = writer("GET", f"{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={before}")[1].splitlines()
            gone = [json.loads(line)["object"] for line in events if b'"type":"DELETED"' in line]
            revision = next(int(o["metadata"]["resourceVersion"]) for o in gone if o["metadata"]["name"] == "one")
        missing = list(look(next(turns), number, revision, before, there))
        assert not missing, f"after {method} at revision {revision} not seen by: {missing}"
        before = revision
    for client in (writer, *readers):
        client.close()


@pytest.mark.timeout(240)
async def test_whoever_asks_after_an_answer_sees_what_was_written(server: Server) -> None:
    stop = threading.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(NOISE):
            tasks.create_task(asyncio.to_thread(make_noise, server, number, stop))
        try:
            await asyncio.to_thread(work, server)
        finally:
            stop.set()
