"""A controller is a function from a key to a result.

`reconcile` gets the key of one object, looks at the world as the caches show it, and does what is missing. It does not
learn which event made it run, treats what it reads as read-only, and is safe to run twice. The frame (`loop`) promises:

* one `reconcile` at a time for a key, different keys in parallel (`Builder.workers`);
* a key whose `reconcile` raised is tried again with back-off, 5 ms doubling to 1000 s;
* a controller reads its own writes: everything written through `context.client` during a `reconcile` is in the caches
  before the same key is reconciled again.

```python
class ConfigMapCounter(Controller):
    name = "configmap-counter-controller"

    def setup(self, builder: Builder) -> None:
        self.namespaces = builder.for_(core_v1.Namespace)
        self.maps = builder.watches(core_v1.ConfigMap, lambda m: [Key("", m.metadata.namespace)])

    async def reconcile(self, key: Key) -> Result | None:
        namespace = self.namespaces.get(key.namespace, key.name)
        ...
```
"""

from collections.abc import Callable
from dataclasses import dataclass
from logging import Logger
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from orlop.client import Client, Informers, Recorder
from orlop.clock import Clock

if TYPE_CHECKING:
    from orlop.control.builder import Builder


class Key(NamedTuple):
    """The object to reconcile; cluster-scoped ones have the namespace ""."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Any) -> Key:
    """The key of an object."""
    return Key(obj.metadata.namespace, obj.metadata.name)


class Result(NamedTuple):
    """What `reconcile` asks for."""

    requeue_after: float | None = None
    """Seconds after which to run again without an event."""


@dataclass(frozen=True)
class Context:
    """What a controller works with."""

    client: Client
    """Remembers what is written during a `reconcile`, for reading one's own writes. Where controllers have accounts of
    their own it is this one's."""
    reader: Client
    """Reads as the manager, which may see everything."""
    informers: Informers
    clock: Clock
    recorder: Recorder
    """Writes events as the controller's component."""
    log: Logger
    enqueue: Callable[[Key, float], None]
    """Asks for a reconcile of the key, after so many seconds (0 for at once)."""
    own: Callable[[Key, Any], None]
    """Remembers a write made outside of a `reconcile` of that key: the object as the server answered it."""


class Controller:
    """The base of every controller."""

    name: ClassVar[str]
    """Upstream's name, as `--controllers` knows it: `deployment-controller`."""
    component: ClassVar[str] = ""
    """The source of its events where that is not the name."""
    account: ClassVar[str | None] = ""
    """The ServiceAccount that it acts as where each has one (`control.accounts`), if that is not the name; None for the
    manager's own identity."""
    context: Context
    """Set before `setup`."""

    def setup(self, builder: "Builder") -> None:
        """Says what is reconciled and what else is looked at. Called once, before anything runs."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Runs once when the caches are filled, before the first `reconcile`. What it raises is tried again."""

    async def reconcile(self, key: Key) -> Result | None:
        """Brings the world nearer to what the object of `key` says. None is done; errors are raised."""
        raise NotImplementedError
