"""How keys are written in LMDB, which takes keys of at most 511 bytes.

An index key is `resource number, namespace, "/", name`. The resource, whose group and plural would not fit, is a
small number given out once (see lmdb.py). Namespace and name stand as they are, so that the index has the order of
lists, which is that of upstream's keys. A name that still does not fit is cut and ends in its hash; all names with that
beginning stand together, and `lmdb.py` puts them in order when it reads them.
"""

from collections.abc import Sequence
from hashlib import sha256

from orlop.store.base import Key, Write

MAX_KEY = 511
"""LMDB's compiled-in limit."""

REVISION = 8
"""Bytes of a revision, big-endian so that bytes order as numbers; the history index has it behind the key."""

RESOURCE = 4
"""Bytes of a resource's number."""

SHARED = MAX_KEY - REVISION - sha256().digest_size - 1
"""What is kept of a key that has to be cut; behind it come a NUL, which no whole name contains, and the hash. Keys
at least this long with the same beginning are in no order among themselves."""

MAX_RESOURCE = 500
"""Bytes; group and plural have at most 317."""

MAX_NAMESPACE = 128
"""Bytes; Kubernetes allows 63."""

MAX_NAME = 8192
"""Bytes; Kubernetes allows 253, and names of RBAC objects whatever fits into a URL."""


def check(key: Key) -> None:
    """Raises ValueError for a key that no store could keep."""
    resource, namespace, name = key
    if not resource or not name:
        raise ValueError(f"{key} needs a resource and a name")
    if "\0" in resource or "\0" in namespace or "\0" in name:
        raise ValueError(f"{key} contains a NUL")
    if "/" in namespace:
        raise ValueError(f"namespace {namespace!r} contains a slash")
    whole = f"{resource}{namespace}{name}"
    if len(whole) <= MAX_NAMESPACE and whole.isascii():
        return  # as most are: nothing need be encoded to be measured
    for what, text, limit in zip(key._fields, key, (MAX_RESOURCE, MAX_NAMESPACE, MAX_NAME), strict=True):
        if len(text.encode()) > limit:
            raise ValueError(f"{what} {text!r} is longer than {limit} bytes")


def check_transaction(writes: Sequence[Write]) -> None:
    """Raises ValueError for writes that no store could make together.

    A store may give a whole transaction one revision, and a client's watch of a resource resumes after a revision: two
    changes of one resource at the same revision would be one too many.
    """
    for write in writes:
        check(write.key)
    if len({write.key.resource for write in writes}) != len(writes):
        raise ValueError("a transaction writes each resource at most once")


def resource_prefix(number: int) -> bytes:
    """What the index keys of a resource begin with."""
    return number.to_bytes(RESOURCE)


def namespace_prefix(number: int, namespace: str) -> bytes:
    """What the index keys of a resource in one namespace begin with."""
    return number.to_bytes(RESOURCE) + namespace.encode() + b"/"


def index_key(number: int, key: Key) -> bytes:
    """The key's place in the index: unique, and in the order of lists but for `SHARED`."""
    whole = namespace_prefix(number, key.namespace) + key.name.encode()
    if len(whole) + REVISION <= MAX_KEY:
        return whole
    return whole[:SHARED] + b"\0" + sha256(whole.replace(b"/", b"\0", 1)).digest()
