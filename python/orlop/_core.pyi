"""The border's contract: everything that `orlop._core` (Rust) gives to Python.

Written by hand, compared with the built module by tests/test_border.py. One section a room.
"""

import builtins
from typing import Any, Final, Literal, final

__version__: str

# --- wire ---------------------------------------------------------------------------------------

class WireError(ValueError):
    """A body cannot be read as the type it should be. The message is worded as Kubernetes' own decoders word it."""

def wire_decode(type_key: str, media_name: str, body: bytes, /) -> tuple[bytes, list[str], list[str]]:
    """Read a body and settle it: canonical JSON, unknown fields, duplicate fields.

    Canonical JSON is what Go would marshal after unmarshalling into the type, with apiVersion and kind first, except
    that a nil list or map that Go writes as null is written empty. `media_name` is "json", "yaml" or "protobuf".
    Messages are Kubernetes': `unknown field "spec.replicsa"`. A type key that is not known ("" for instance) keeps
    every field. Raises WireError.
    """

def wire_peek(media_name: str, body: bytes, /) -> tuple[str, str]:
    """apiVersion and kind of a body, "" where not given. Raises WireError where the body is not of that media type."""

def wire_encode_protobuf(type_key: str, json: bytes, /) -> bytes:
    """An object's JSON as protobuf in Kubernetes' envelope (`k8s\\0`, runtime.Unknown). Raises WireError."""

def wire_encode_protobuf_list(list_type_key: str, item_type_key: str, list_json: bytes, items: list[bytes], /) -> bytes:
    """A list as enveloped protobuf: the list's JSON without items (apiVersion, kind, metadata), each object's JSON."""

def wire_watch_frame_protobuf(event_type: str, type_key: str, json: bytes, /) -> bytes:
    """A frame of a protobuf watch: 4 bytes of length (big endian), then a WatchEvent with the enveloped object."""

def wire_strategic_merge(type_key: str, current: bytes, patch: bytes, /) -> bytes:
    """The object after a strategic merge patch, by the table's merge keys and every directive.

    Read the result with wire_decode before it is stored: it is not canonical. Raises WireError in upstream's words.
    """

def wire_json_merge(current: bytes, patch: bytes, /) -> bytes:
    """The document after a JSON merge patch (RFC 7386), not canonical. Raises WireError."""

def wire_patched(
    type_key: str, strategic: bool, current: bytes, patch: bytes, leave_spec: bool, /
) -> tuple[bytes, bool] | None:
    """A stored object after a patch, as canonical JSON: what decoding the merged object would give.

    Only what the patch names is read. None where there is anything to say of the patch or its result, so that the long
    way says it. With `leave_spec` a spec that the patch does not name is left out, and the second value is true then.
    """

def wire_pod_shape(body: bytes, /) -> tuple[bytes, list[bytes]] | None:
    """What a pod's canonical JSON has in common with others that differ in values no rule looks at: its shape, and the
    JSON of each value. Equal ports are one. None: it is no object."""

def wire_pod_cut(body: bytes, stored: bytes, /) -> list[tuple[bytes, int | None]] | None:
    """The stored pod that was made of a body, cut where the body's values stand: pieces, and the index of the value
    behind each, none behind the last. None where one does not stand in its place as the body has it."""

def wire_to_json(media_name: str, body: bytes, /) -> bytes:
    """A JSON or YAML body as JSON, as it stands: not checked against a type, nothing filled in. Raises WireError."""

def wire_managed(
    type_key: str, live: bytes | None, new: bytes, writer: tuple[str, str, str, str, list[str]], /
) -> bytes | None:
    """metadata.managedFields after a create (`live` is None) or update of stored JSON to `new`, as JSON.

    None: they stay what they are in `live` (nothing changed, or nothing was ever noted of the object). `new` may bring
    entries of its own; `[{}]` forgets all. `writer` is the field manager, its apiVersion, the subresource, the time
    (RFC 3339) and the fields that it cannot own (`status`). Raises WireError.
    """

def wire_apply(
    type_key: str, live: bytes | None, config: bytes, writer: tuple[str, str, str, str, list[str]], force: bool, /
) -> tuple[tuple[bytes, bytes] | None, list[tuple[str, str]]]:
    """Server-side apply of `config` to stored JSON: (object without managedFields, managedFields), not canonical.

    Without `force` fields that others own and that would change are conflicts: None, and (owner, path) of each.
    Raises WireError.
    """

def wire_describe(type_key: str, /) -> bytes | None:
    """What the field table says of a type, as JSON: `{"key", "shape", "of"?, "values"?, "fields"?, "atomic"?}`.

    A field has its name and type, and where they hold pointer, omitEmpty, optional, list (atomic, set, map), mapKeys,
    map (atomic, granular), patch (merge, replace), retainKeys, mergeKey and default (JSON text). None: no such type.
    """

# --- es256 --------------------------------------------------------------------------------------

@final
class Es256Key:
    """A P-256 key that signs and verifies tokens (ES256: RFC 7518, 3.4)."""

    def __new__(cls, pem: bytes) -> Es256Key:
        """Raises ValueError for anything but a P-256 private key in PEM with PKCS #8."""

    @property
    def public(self) -> bytes:
        """The public key: a point, uncompressed (SEC 1, 2.3.3), 65 bytes."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes. Raises OSError where the system gives no random numbers."""

    def verify(self, message: bytes, signature: bytes) -> bool: ...

# --- hub ----------------------------------------------------------------------------------------

class Expired(Exception):
    """The hub has forgotten the events after the revision asked for. "too old resource version: 5 (10)"."""

@final
class Hub:
    """Every resource's current objects, the last events of each, and the watchers. Fed by store/feed.py alone.

    Any thread may call it. A resource is named as in the store ("apps/deployments"). Methods that take one raise
    LookupError when it was never declared.
    """

    def __new__(cls, ring: int, /) -> Hub:
        """Keeps the last `ring` events of each resource for watches that resume or lag; fewer, but at least 100, where
        their objects would take more than 32 MiB."""

    def declare(
        self,
        resource: str,
        selectable_fields: builtins.list[tuple[str, str]],
        namespaced: bool,
        api_version: str,
        kind: str,
        /,
    ) -> None:
        """Tells of a resource. metadata.name and metadata.namespace are always selectable.

        A field is (name in selectors, place): a dotted path, or several separated by "|" of which the first that is
        not empty counts, then perhaps "=" and what an absent field means: ("spec.unschedulable",
        "spec.unschedulable=false"). `api_version` and `kind` stand in bookmarks. Declaring again with the same does
        nothing; with something else it re-reads the objects and expires the resource's watches.
        """

    def load(self, resource: str, items: builtins.list[tuple[str, str, int, bytes]], /) -> None:
        """Objects as they are at the start: (namespace, name, revision, value). Makes no events."""

    def start(self, revision: int, /) -> None:
        """What was loaded is the state at `revision`; watches from before it are Expired."""

    def apply(self, changes: builtins.list[tuple[str, str, str, int, int, bytes]], /) -> None:
        """A batch in the order of revisions: (resource, namespace, name, revision, type, value).

        Types: 1 ADDED, 2 MODIFIED, 3 DELETED (value: the last state with the deletion's revision). What was applied
        before is passed over.
        """

    @property
    def revision(self) -> int:
        """Every change up to here has been applied."""

    def newest(self, resource: str, /) -> int:
        """Of a resource the newest change: what is found of it stays as it is while this does. 0: never declared."""

    def newest_of(self, resources: tuple[str, ...], /) -> int:
        """The newest change of any of these resources, as `newest` tells it."""

    def get(self, resource: str, namespace: str, name: str, /) -> tuple[bytes, int] | None:
        """The object's bytes and revision; namespace "" for cluster-scoped ones."""

    def list(
        self,
        resource: str,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        after: tuple[str, str] | None = None,
        head: bytes | None = None,
        /,
    ) -> ListResult:
        """Objects as they are now, in the order of `namespace/name` as one text. namespace None: all; limit 0: all.

        `head`: what objects begin with that a list of them does not repeat, up to and with a comma
        (`{"apiVersion":"v1","kind":"Pod",`). Objects that begin otherwise are shown whole.

        ValueError: a selector that cannot be read, in upstream's words ("field label not supported: spec.x").
        """

    def watch(
        self,
        resource: str,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        since: int | None = None,
        initial: bool = False,
        bookmarks: bool = False,
        initial_end: bool = True,
        /,
    ) -> Watcher:
        """Events after `since`, or from now (None). Raises Expired when they are no longer all known; ValueError.

        `initial`: first all objects as they are now, as ADDED (`since` is then not looked at); with `bookmarks` and
        `initial_end` (sendInitialEvents; not a plain watch from "0") then a bookmark that is annotated
        k8s.io/initial-events-end. `bookmarks`: it gets those of `Hub.bookmark`.
        """

    def bookmark(self) -> None:
        """Makes a bookmark with the current revision due on each watcher that wants them. For a timer."""

    def fileno(self) -> int:
        """An eventfd, readable when `ready` has something. It stays the hub's: do not close or read it."""

    def ready(self) -> builtins.list[int]:
        """Ids of the watchers that have something they had not when this was last called, each once."""

    def stats(self) -> builtins.list[tuple[str, int, int]]:
        """(resource, objects, watchers)."""

@final
class ListResult:
    """A page of objects, held without a copy until it is asked for as bytes."""

    def __len__(self) -> int: ...
    @property
    def items(self) -> list[bytes]:
        """Each object's JSON, whole."""

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Each object's namespace and name."""

    def join(self, prefix: bytes, suffix: bytes, /) -> bytes:
        """One body: prefix, the objects separated by commas and without the list's head, suffix."""

    @property
    def size(self) -> int:
        """Bytes of the objects and the commas between them, if all begin with the list's head."""

    def gzip(self, prefix: bytes, suffix: bytes, /) -> bytes:
        """As `join`, as one gzip member: of blocks that are kept, so that only what changed is compressed anew. Takes
        some milliseconds without the GIL: call it in a thread."""

    @property
    def revision(self) -> int:
        """The list's: a watch from here misses nothing and repeats nothing."""

    @property
    def more(self) -> bool:
        """There are objects behind the limit."""

    @property
    def remaining(self) -> int | None:
        """How many are behind the limit; None where a selector is used, as upstream does not count then."""

    @property
    def last(self) -> tuple[str, str] | None:
        """Namespace and name of the last object: the next page's `after`."""

@final
class Watcher:
    """One watch: a position in the ring, without a buffer. Closed when it is dropped.

    What `take` or `events` leave behind makes the watcher ready again. Once the ring has moved past a watcher that
    lags, its state is "expired": what it gets next, and last, is an ERROR with a Status 410 Expired.
    """

    @property
    def id(self) -> int: ...
    @property
    def state(self) -> Literal["live", "expired", "closed"]: ...
    def take(self, max_bytes: int, /) -> bytes:
        """The next JSON watch frames, newline-ended and joined; at least one where there is one, then as long as
        `max_bytes` is not reached. b"" when there is nothing."""

    def events(self, max_events: int, /) -> list[tuple[_WatchType, int, bytes]]:
        """As `take`, for other encodings: (type, revision, the object's JSON)."""

    def bookmark(self) -> None:
        """Makes a bookmark due, if the watch wants any."""

    def close(self) -> None:
        """Ends the watch. Closing twice is fine."""

_WatchType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]

# --- front --------------------------------------------------------------------------------------

@final
class Front:
    """The listener: sockets and TLS. What comes in is polled, what goes out is put into connections.

    Any thread may call it; nothing waits for the network.
    """

    OPEN: Final[int]
    DATA: Final[int]
    EOF: Final[int]
    LOST: Final[int]
    RESUME: Final[int]
    ENDED: Final[int]
    REQUEST: Final[int]

    def __new__(
        cls,
        certificates: list[tuple[bytes, bytes, list[str]]],
        client_ca: bytes,
        *,
        only_tls13: bool,
        cipher_suites: list[str],
        alpn: list[str],
        threads: int,
        connections: int,
        streams: int,
        handshake_seconds: float,
        header_seconds: float,
        idle_seconds: float,
    ) -> Front:
        """Certificates are (chain, key, names), PEM; the first is for whoever asks for none of the others' names.

        `client_ca` (PEM) signs client certificates: one may be shown, another's ends the handshake. `cipher_suites`
        are of TLS 1.2 (none: all), `streams` those of a connection of HTTP/2 at a time. Raises ValueError that names
        what cannot be used.
        """

    def set_tls(
        self,
        certificates: list[tuple[bytes, bytes, list[str]]],
        client_ca: bytes,
        *,
        only_tls13: bool,
        cipher_suites: list[str],
        alpn: list[str],
    ) -> None:
        """As `__new__`, for connections that come from now on."""

    def listen(self, fd: int, /) -> None:
        """Takes connections from a listening, non-blocking socket. The descriptor is given away."""

    def fileno(self) -> int:
        """An eventfd, readable when `poll` has something. It stays the front's: do not close or read it."""

    def poll(self) -> list[tuple[int, int, Any]]:
        """What happened, in its order: (connection's number, kind, payload).

        OPEN: a `FrontConnection`. DATA: bytes. EOF: the client sends no more. LOST: the connection is gone; the last
        of it. RESUME: there is room to write again. ENDED: the stream of this token came to its end by itself.

        REQUEST: one that the front has read, with a number of its own in HTTP/2, the connection's in HTTP/1.1. Its
        payload is (`FrontExchange`, connection's number, method, path and query as sent, header fields with names in
        lower case, body, whether more of the body comes as DATA up to EOF). LOST with its number: nobody waits for
        the answer any more. In HTTP/1.1 DATA without a REQUEST: from here on the bytes are the app's to read.
        """

    def flush(self) -> None:
        """Lets what was put into connections go out."""

    def drain(self) -> None:
        """Takes no more connections; those without a request end, the others after their answers."""

    def close(self) -> None:
        """Ends every connection at once."""

@final
class FrontConnection:
    """One connection's way out, in order: bytes, streams, the end; and who is at its other end."""

    @property
    def peer(self) -> tuple[str, int] | None: ...
    @property
    def local(self) -> tuple[str, int] | None: ...
    @property
    def identity(self) -> tuple[str, list[str], int, bytes] | None:
        """Of a verified client certificate: common name, organizations, end (seconds since 1970), SHA-256."""

    @property
    def server_name(self) -> str | None:
        """The name that the client asked for (SNI)."""

    @property
    def size(self) -> int:
        """Bytes that wait."""

    def write(self, data: bytes, /) -> int:
        """Puts bytes at the end. Bit 0 of the answer: call `Front.flush`; bit 1: pause until RESUME."""

    def attach_watch(self, watcher: Watcher, form: str, of: str, chunked: bool, /) -> tuple[int, bool]:
        """Puts a watch at the end: its frames follow as they come, in chunks of HTTP/1.1 if `chunked`.

        `form`: "json" as stored; "protobuf" with the type key in `of`; "partial" and "partial-protobuf", the metadata
        alone, with meta.k8s.io's version in `of`. Gives the stream's token, and whether `Front.flush` is due. From
        here on the watcher is not among `Hub.ready`.
        """

    def attach_list(self, list: ListResult, before: bytes, after: bytes, chunked: bool, /) -> tuple[int, bool]:
        """Puts a join at the end: `before`, the objects separated by commas, `after`. As `attach_watch`."""

    def detach(self, token: int, /) -> None:
        """Ends a stream; what has been made of it goes out. One that has ended already is none the worse for it."""

    def write_eof(self) -> bool:
        """The writing half ends after what waits. Whether `Front.flush` is due."""

    def close(self) -> bool:
        """The connection ends after what waits. Whether `Front.flush` is due."""

    def abort(self) -> None:
        """The connection ends now."""

    def pause(self, paused: bool, /) -> None:
        """Whether to stop reading. What was read before still comes."""

@final
class FrontExchange:
    """The answer to one request: its head, its body in parts or streams, its end. Flags are those of
    `FrontConnection.write`."""

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes, end: bool, /) -> int:
        """Begins the answer, and with `end` ends it. Without a Content-Length HTTP/1.1's body is chunked where it is
        not whole here. Raises ValueError for a field that HTTP does not allow."""

    def write(self, body: bytes, end: bool, /) -> int:
        """More of the body, and with `end` its end."""

    def attach_watch(self, watcher: Watcher, form: str, of: str, /) -> tuple[int, bool]:
        """As `FrontConnection.attach_watch`."""

    def attach_list(self, list: ListResult, before: bytes, after: bytes, /) -> tuple[int, bool]:
        """As `FrontConnection.attach_list`."""

    def detach(self, token: int, /) -> None:
        """As `FrontConnection.detach`."""

    def abort(self) -> None:
        """Gives the answer up: the stream is reset, HTTP/1.1's connection ends."""

    def pause(self, paused: bool, /) -> None:
        """Whether to stop reading the body."""

# --- sched --------------------------------------------------------------------------------------

@final
class PodFacts:
    """What a queue needs to know of a pod, read by `SchedulerCore.upsert_pod`."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def scheduler_name(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def node(self) -> str:
        """spec.nodeName, "" while the pod waits (an assumption does not count)."""
    @property
    def assumed(self) -> bool:
        """The table counts it on a node that the API does not name yet."""
    @property
    def generation(self) -> int: ...
    @property
    def gated(self) -> bool:
        """spec.schedulingGates hold it back."""
    @property
    def terminating(self) -> bool: ...
    @property
    def ended(self) -> bool:
        """Phase Succeeded or Failed; the table does not keep such pods."""
    @property
    def nominated(self) -> str:
        """status.nominatedNodeName, empty without one."""
    @property
    def condition(self) -> tuple[str, str, str] | None:
        """Status, reason and message of the condition PodScheduled."""
    @property
    def changed(self) -> int:
        """What the update changed: POD_* bits of SchedulerCore."""
    @property
    def freed(self) -> str:
        """The node on which something became free; "" for none."""

@final
class Decision:
    """What `SchedulerCore.schedule` decided for one pod."""

    @property
    def waiting(self) -> bool:
        """False where there was nothing to decide: the pod is gone, is being deleted, or has a node."""
    @property
    def node(self) -> str | None:
        """The chosen node, on which the pod is assumed from now on. None: no node is feasible."""
    @property
    def feasible(self) -> int: ...
    @property
    def nodes(self) -> int:
        """How many nodes were looked at: all there are."""
    @property
    def message(self) -> str:
        """For a refusal: `0/3 nodes are available: ...`, as upstream's FitError has it."""
    @property
    def preemption(self) -> str | None:
        """For a refusal: what `message` says after "preemption: ", where it says something."""
    @property
    def reasons(self) -> builtins.list[tuple[str, int]]:
        """For a refusal: each reason and how many nodes gave it, sorted by reason."""
    @property
    def plugins(self) -> builtins.list[str]:
        """For a refusal: the filters that refused some node, sorted."""
    @property
    def nominated(self) -> str | None:
        """For a refusal: the node on which the pod fits once `victims` are gone. It counts as nominated there."""
    @property
    def victims(self) -> builtins.list[tuple[str, str, str]]:
        """Namespace, name and uid of the pods to be deleted, the most important first; not those ending already."""
    @property
    def displaced(self) -> builtins.list[tuple[str, str, str]]:
        """The same of waiting pods of lower priority whose nomination for that node is to be cleared."""
    @property
    def helpless(self) -> bool:
        """For a refusal: preemption would help on no node, so a nomination of the pod is to be cleared."""

@final
class Filtered:
    """What the core's own filters say of each node for one pod."""

    @property
    def refused_by(self) -> bytes:
        """For each slot the index in `filters` of the one that refuses the node; 255 where none does, 254 where there
        is no node."""
    @property
    def filters(self) -> builtins.list[str]: ...
    @property
    def layout(self) -> int:
        """Which nodes the slots held, for `SchedulerCore.place`."""

@final
class Column:
    """One signed 64-bit integer a slot, read by the buffer protocol (format "q") without a copy. It stays as it is
    while the table goes on."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Columns:
    """The nodes as columns: a slot a node; some slots may be empty."""

    @property
    def layout(self) -> int:
        """Which nodes are in which slots: changes when one comes or goes."""
    @property
    def names(self) -> builtins.list[str]:
        """The nodes' names by slot, "" where there is none."""
    @property
    def resources(self) -> builtins.list[str]:
        """The names for `allocatable` and `requested`: cpu (in thousandths), memory, ephemeral-storage, pods, …."""
    def allocatable(self, resource: str, /) -> Column | None:
        """What each node has of a resource."""
    def requested(self, resource: str, /) -> Column | None:
        """What the pods on each node request, assumed ones included."""

@final
class SchedulerCore:
    """Nodes and pods as the scheduler sees them, and the choice of nodes. Any thread may call it.

    Fed with objects as the API serves them (JSON). Filters, scores, weights and words are those of Kubernetes 1.37.
    Methods that read an object raise ValueError, naming object and field, and then leave everything as it was.
    """

    NODE_ADDED: int
    NODE_ALLOCATABLE: int
    NODE_LABELS: int
    NODE_TAINTS: int
    NODE_UNSCHEDULABLE: int
    NODE_FEATURES: int
    NODE_IMAGES: int
    POD_ADDED: int
    POD_SPEC: int
    """A waiting pod asks for something else than before."""
    POD_ASSIGNED: int
    """The pod is on a node where it was not known (or assumed) to be."""
    POD_FREED: int
    """Something became free on a node."""
    POD_LABELS: int
    """The labels of a pod on a node changed."""

    def __new__(cls, seed: int, profiles: builtins.list[bytes] | None = None, /) -> SchedulerCore:
        """Among equally good nodes one is chosen by lot; the lots follow from `seed` (64 bits, unsigned).

        `profiles` are JSON: schedulerName; preFilter, filter and postFilter, lists of plug-ins; score, a list of
        plug-ins with name and weight; args, by plug-in, as in KubeSchedulerConfiguration. They are taken as validated;
        plug-ins that the core does not have are passed over. A pod of a name that none has goes by the first. Without
        any there is upstream's default profile. Raises ValueError for what cannot be read.
        """

    @staticmethod
    def default_plugins() -> tuple[builtins.list[str], builtins.list[tuple[str, int]]]:
        """The filters and the scores (with weights) that the core has, in upstream's default order."""

    def upsert_node(self, value: bytes, /) -> int:
        """Takes over a Node; returns what changed, NODE_* bits."""

    def delete_node(self, name: str, /) -> bool:
        """Forgets a node; pods bound to it stay known. Returns whether it was there."""

    def upsert_namespace(self, value: bytes, /) -> bool:
        """Takes over a Namespace, for the namespaceSelectors of pod affinity. Returns whether its labels changed."""

    def delete_namespace(self, name: str, /) -> None:
        """Forgets a namespace."""

    def upsert_budget(self, value: bytes, /) -> None:
        """Takes over a PodDisruptionBudget: preemption breaks none that it need not break."""

    def delete_budget(self, namespace: str, name: str, /) -> None:
        """Forgets a PodDisruptionBudget."""

    def upsert_pod(self, value: bytes, /) -> PodFacts:
        """Takes over a Pod. An assumption about it stands until the API names a node, or it is being deleted."""

    def delete_pod(self, namespace: str, name: str, /) -> str | None:
        """Forgets a pod; returns the node on which something became free."""

    def assume(self, namespace: str, name: str, uid: str, node: str, /) -> bool:
        """Counts a waiting pod in on a node before the API says so. False where either is not there."""

    def forget(self, namespace: str, name: str, uid: str, /) -> str | None:
        """Takes an assumption back: the binding failed. Returns the node; None where there is none for that uid."""

    def schedule(self, pods: builtins.list[tuple[str, str]], /) -> builtins.list[Decision]:
        """Decides for each (namespace, name) in turn, as if asked one by one, and assumes what it places.

        Releases the GIL.
        """

    def filtered(self, namespace: str, name: str, /) -> Filtered | None:
        """What the core's filters say of each node for a waiting pod, for those who have a say too. None where it does
        not wait, or something in the pod itself refuses it everywhere: `schedule` says so then. Releases the GIL."""

    def place(
        self, namespace: str, name: str, layout: int, allowed: bytes, extra: builtins.list[int], /
    ) -> Decision | None:
        """Decides for one pod as `schedule` does, with what others say of the node in each slot.

        `allowed` has a byte a slot: 1 allows, 0 refuses (the node is then left out of the reasons and is none for
        preemption), 2 refuses where the core does too, whose reason is to be told. `extra` is added to the totals; it
        may be empty. None where nodes have come or gone since `layout`: ask again. Releases the GIL.
        """

    def candidates(
        self, namespace: str, name: str, allowed: bytes, /
    ) -> builtins.list[tuple[str, builtins.list[tuple[str, str, str]], int]]:
        """The nodes on which evictions would help a waiting pod, the best first: node, victims, budgets broken.
        Changes nothing. Releases the GIL."""

    def nominate(self, namespace: str, name: str, node: str | None, /) -> None:
        """Nominates a waiting pod for a node, or for none, instead of what `schedule` or `place` chose."""

    def kept_off(self, pods: builtins.list[tuple[str, str]], node: str, /) -> builtins.list[str | None]:
        """For each of the waiting pods the filter that keeps it from one node as things stand; None where it might be
        placed there, by evictions if need be. Filters that look at pods elsewhere are not asked."""

    def may_concern(self, pods: builtins.list[tuple[str, str]], /) -> builtins.list[bool]:
        """Whether the pod of the last change (`upsert_pod`, `delete_pod`, `forget`) is one that the affinity or the
        topology spread of each of the waiting pods speaks of, before or after it, or that speaks of them."""

    def columns(self) -> Columns:
        """The nodes as columns, as they are now."""

    def explain(
        self, value: bytes, /
    ) -> builtins.list[tuple[str, str | None, builtins.list[str], builtins.list[tuple[str, int, int]], int]]:
        """For a Pod, of each node: name, refusing filter, its reasons, (plug-in, score 0..100, weight) list, total.

        The pod need not be known. Changes nothing, draws no lot. Releases the GIL.
        """

    def why(
        self, value: bytes, /
    ) -> builtins.list[
        tuple[
            str,
            builtins.list[tuple[str, builtins.list[str], bool]],
            builtins.list[tuple[str, int, int, int]],
            builtins.list[tuple[str, int, int, int]],
            int,
        ]
    ]:
        """As `explain`, in full: of each node its name; every filter that refuses it, with its reasons and whether no
        eviction could change it; each resource of which it has too little, with what the pod requests, what is free
        and what there is (thousandths of cpu, whole units of all else); each score raw, normalized, and its weight; and
        the total."""

    def preview(self, value: bytes, /) -> Decision:
        """What would be decided for a Pod, were it waiting. It need not be known; nothing is changed and no lot drawn:
        of equally good nodes the same one is named each time. Releases the GIL."""

    def stats(self) -> tuple[int, int, int]:
        """Number of nodes, of pods, and of distinct things that pods ask for."""

# --- forward ------------------------------------------------------------------------------------

@final
class ServicePort:
    """One service port in one IP family, in full: as it is wanted, or as a backend says it is programmed.

    `id` is (namespace, service, port name, "TCP" | "UDP" | "SCTP", 4 | 6). A frontend is (kind, address, port, local):
    kind "ClusterIP", "NodePort" (address unspecified), "LoadBalancer" or "ExternalIP"; local is True where its traffic
    policy is Local. A backend is (address, port, weight). Lists are sorted. `cluster` holds the backends for policy
    Cluster, `local` those for policy Local. `affinity_seconds` is 0 without session affinity. `any_endpoint` tells
    whether some endpoint could serve at all: traffic without a backend is dropped if so, else rejected. `on_node` are
    the addresses of backends on this node. `scheduler` is the Service's own choice for IPVS, as in `Ipvs`.
    `source_ranges` are the CIDRs that may ask the load balancer's addresses, empty for all. `health_port` is where a
    load balancer asks whether this node has an endpoint, 0 for nowhere; `local_going` tells then that those of `local`
    are all terminating.
    """

    def __new__(
        cls,
        id: tuple[str, str, str, str, int],
        frontends: list[tuple[str, str, int, bool]],
        cluster: list[tuple[str, int, int]],
        local: list[tuple[str, int, int]],
        affinity_seconds: int,
        any_endpoint: bool,
        on_node: list[str] = ...,
        scheduler: str | None = None,
        source_ranges: list[str] = ...,
        health_port: int = 0,
        local_going: bool = False,
    ) -> ServicePort: ...
    @property
    def id(self) -> tuple[str, str, str, str, int]: ...
    @property
    def frontends(self) -> list[tuple[str, str, int, bool]]: ...
    @property
    def cluster(self) -> list[tuple[str, int, int]]: ...
    @property
    def local(self) -> list[tuple[str, int, int]]: ...
    @property
    def affinity_seconds(self) -> int: ...
    @property
    def any_endpoint(self) -> bool: ...
    @property
    def on_node(self) -> list[str]: ...
    @property
    def scheduler(self) -> str | None: ...
    @property
    def source_ranges(self) -> list[str]: ...
    @property
    def health_port(self) -> int: ...
    @property
    def local_going(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

RELAY_VERSION: int
"""Of what `relay_serve` understands: lines of JSON, see rust/core/src/forward/relay/control.rs."""

def relay_serve(path: str) -> None:
    """The userspace proxy's relay: makes a Unix socket, prints `ready`, and serves until it is told to end there.

    Raises OSError where the socket cannot be made.
    """

@final
class ForwardChanges:
    """What must be programmed: service ports to set in full, ids to remove, both sorted and each id once.

    `triggered` holds the last-change-trigger-time annotations of the EndpointSlices that brought the changes.
    """

    @property
    def set(self) -> list[ServicePort]: ...
    @property
    def removed(self) -> list[tuple[str, str, str, str, int]]: ...
    @property
    def triggered(self) -> list[str]: ...
    def __bool__(self) -> bool: ...

@final
class ForwardTable:
    """The wanted table of the node of this name and zone, fed with the API's JSON bytes.

    Safe to call from any thread. A node whose zone changes takes a new table.
    """

    def __new__(cls, node_name: str, zone: str = "") -> ForwardTable: ...
    def apply_service(self, data: bytes) -> list[str]:
        """Takes a Service as it is now; returns warnings. ValueError where the bytes cannot be understood."""
    def apply_slice(self, data: bytes) -> list[str]:
        """Takes an EndpointSlice as it is now; returns warnings. ValueError where the bytes cannot be understood."""
    def delete_service(self, namespace: str, name: str) -> None: ...
    def delete_slice(self, namespace: str, name: str) -> None: ...
    def has_changes(self) -> bool: ...
    def drain_changes(self) -> ForwardChanges:
        """What changed since the last report, coalesced."""
    def difference(self, programmed: list[ServicePort]) -> ForwardChanges:
        """What must change from `programmed` to what is wanted. Counts as the last report."""
    def lookup(
        self, protocol: str, address: str, port: int
    ) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]], bool] | None:
        """Backends of policy Cluster, of policy Local, and which of the two the frontend's policy is."""
    def __len__(self) -> int:
        """How many frontends the table has."""

@final
class CelDevice:
    """A device of a ResourceSlice as expressions see it, read once for all of them."""

    def __new__(cls, driver: str, json: bytes, /) -> CelDevice:
        """`driver` is the domain of names without one. Raises ValueError for what cannot be read."""

@final
class CelDocument:
    """A JSON document that expressions speak of, read once for all of them."""

    def __new__(cls, json: bytes, /) -> CelDocument:
        """Raises ValueError for what is no JSON."""

@final
class CelExpressions:
    """Expressions in CEL that belong together, with the variables that they share."""

    def __new__(cls, variables: list[tuple[str, str]], expressions: list[str], /) -> CelExpressions:
        """Variables by name, each of which may speak of those before it. What cannot be read is told by `evaluate`."""

    def evaluate(
        self,
        which: list[int],
        documents: list[tuple[str, CelDocument | None]],
        answers: dict[str, tuple[bool, str, str]],
        budget: int,
        /,
    ) -> tuple[list[tuple[Literal["value", "error", "spent"], bytes]], int, str | None]:
        """The outcomes of expressions over documents (None: null), by their numbers: JSON, or words; what is left of
        the budget; and a question to the authorizer (JSON), with whose answer (allowed, reason, error) all is to be
        asked again."""

@final
class CelSelector:
    """An expression in CEL that chooses devices."""

    def __new__(cls, text: str, /) -> CelSelector:
        """What cannot be read is told by `matches`."""

    def matches(self, device: CelDevice, /) -> bool:
        """Whether it holds for the device. Raises ValueError where it cannot be read or has no such answer, in
        upstream's words."""

def cel_issues(
    expressions: list[str], object: bytes, params: bytes | None, variables: list[tuple[str, str]], /
) -> list[str | None]:
    """What is wrong with each expression of a policy, where objects and parameters are of these schemas (JSON); None
    where nothing is. `params` is None where there are none, and empty where nothing is known of them. Raises ValueError
    for a schema that is none."""

def cel_wrong(
    expression: str,
    wanted: Literal["bool", "string", "message", "object", "patches", "any"],
    documents: list[tuple[str, bytes | None]],
    authorizer: bool,
    variables: list[tuple[str, str]] | None,
    /,
) -> str | None:
    """What is wrong with an expression over documents, each with its schema (JSON) if it is to be checked against one,
    and earlier variables (None: it cannot speak of any); None if nothing is. Raises ValueError for a schema that is
    none."""

@final
class Ipvs:
    """The kernel's IPVS in one network namespace: what is wanted there, what is programmed, and the steps between.

    A frontend is (protocol, address, port). Every method may raise OSError where netlink fails and RuntimeError with
    all that the kernel refused; then only `adopt` knows what is programmed. Each releases the GIL.
    """

    def __new__(cls, device: str, scheduler: str = "rr", namespace: str | None = None) -> Ipvs:
        """`device` bears the services' addresses. `scheduler` is for Services that do not say: NAME[,NAME-fallback]
        [,NAME-port]. `namespace` is the file of a network namespace. LookupError where the kernel has no IPVS,
        ValueError for an unknown scheduler."""
    @staticmethod
    def watch(namespace: str | None = None) -> int:
        """A netlink socket's descriptor, the caller's to close: readable when an address of the namespace changes."""
    def ensure_device(self) -> None:
        """Makes the device where it is not there. OSError where the kernel has no dummy links."""
    def node_addresses(self) -> list[str]:
        """The namespace's addresses, but for those of the device."""
    def set_node_addresses(self, node_ports: list[str], own: list[str]) -> None:
        """Node ports are served on `node_ports`; `own` are on the node anyway and need not be on the device."""
    def adopt(self, known: list[tuple[str, str, int]]) -> None:
        """Reads what is programmed. Ours is what is wanted, on the device's addresses, or `known`."""
    def forget(self) -> None:
        """Wants nothing any more."""
    def want(self, set: list[ServicePort], removed: list[tuple[str, str, str, str, int]]) -> None:
        """Takes service ports as they are now, and ids of those that are gone. Sends nothing."""
    def retire(self) -> int:
        """Removes virtual servers that are not wanted. How many messages that took."""
    def program(self) -> int:
        """Makes everything as wanted. How many messages that took. A destination that is not wanted gets weight 0."""
    def drain(self) -> int:
        """Removes destinations of weight 0 that have no connection left. How many still have some."""
    def draining(self) -> int:
        """How many destinations of weight 0 there are."""
    def sent(self) -> int:
        """How many messages have been sent to IPVS."""
    def cleanup(self, known: list[tuple[str, str, int]]) -> None:
        """Removes everything of ours, the device too."""
    def dump(self) -> list[IpvsServer]:
        """All virtual servers of the namespace, whoever made them."""

def ipvs_scheduler_error(text: str) -> str:
    """What is wrong with NAME[,NAME-fallback][,NAME-port]; empty where nothing is."""

@final
class IpvsServer:
    """A virtual server as the kernel has it. Counters are (connections, packets in, packets out, bytes in, bytes out);
    a destination is (address, port, weight, active connections, inactive ones, counters)."""

    @property
    def frontend(self) -> tuple[str, str, int]: ...
    @property
    def scheduler(self) -> str: ...
    @property
    def flags(self) -> int: ...
    @property
    def timeout(self) -> int: ...
    @property
    def counters(self) -> tuple[int, int, int, int, int]: ...
    @property
    def destinations(self) -> list[tuple[str, int, int, int, int, tuple[int, int, int, int, int]]]: ...

@final
class CustomSchema:
    """A version of a custom resource. For as long as it is held, `wire_decode`, `wire_managed` and `wire_apply` know
    the type by its key: bodies are pruned and filled in by the schema, fields owned as it says."""

    def __new__(cls, key: str, api_version: str, kind: str, schema: bytes, /) -> CustomSchema:
        """`schema` is a JSONSchemaProps in JSON. Raises WireError if it cannot be read."""

    def normalize(self, stored: bytes, /) -> bytes | None:
        """A stored object as the schema has it now, pruned and filled in; None if it is so already."""

    def untyped(self, json: bytes, stored: bool, /) -> str | None:
        """What of an applied configuration, or of the `stored` object that it is applied to, is not of the schema's
        types, in upstream's words: nobody could own it. Of the metadata it is only looked whether it is a map."""

    def validate(self, new: bytes, old: bytes | None, status: bool, /) -> list[tuple[str, str, bytes, str]]:
        """What is wrong with an object, each as reason of the StatusCause, path, value in JSON (empty: none), detail;
        with `old`, faults of what did not change are passed over. `status` checks that part alone."""

def schema_check(schema: bytes, path: str, /) -> tuple[list[tuple[str, str, bytes, str]], list[str]]:
    """What is wrong with the schema of a definition at `path`, as `CustomSchema.validate` tells it, and the warnings to
    its author. Raises WireError."""
