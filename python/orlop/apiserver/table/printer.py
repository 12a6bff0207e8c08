"""What a printer is: the columns of a kind, the fields that it reads, and how an object becomes cells."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from orlop.api import selectors
from orlop.api.types import meta_v1
from orlop.apiserver import nulls
from orlop.apiserver.table.duration import since

NONE = "<none>"
UNSET = "<unset>"

Part = TypeVar("Part", bound="Object")


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """What printers read of an object's metadata."""

    name: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    owner_references: list[meta_v1.OwnerReference] = []


class Fields(msgspec.Struct, rename="camel", gc=False):
    """Base of the small structs that printers read; unknown fields are skipped."""


class Object(Fields):
    """Base of the top ones. Metadata is kept as it is, for the row's object, and read once for the cells."""

    metadata: msgspec.Raw = msgspec.Raw(b"{}")


class Loose(Object):
    """An object of a kind that is seldom listed: spec and status as they stand."""

    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    status: dict[str, Any] = msgspec.field(default_factory=dict)


class Column(NamedTuple):
    """A column's definition. Priority 0 is always shown, 1 with `-o wide`."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


class Condition(NamedTuple):
    """Something true of a whole row."""

    type: str
    status: str
    reason: str
    message: str


NAME = Column("Name", format="name", description="Name of the object, unique of its kind in a namespace.")
AGE = Column("Age", description="Time since the object was created.")
CONTAINERS = Column("Containers", description="Names of each container in the template.", priority=1)
IMAGES = Column("Images", description="Images referenced by each container in the template.", priority=1)


def wide(name: str, description: str, type: str = "string") -> Column:
    """A column of `-o wide`."""
    return Column(name, type, description=description, priority=1)


Cells = Callable[[Part, Metadata, float], list[Any]]
"""(object, its metadata, now) → one value for each column."""


def _no_conditions(_: Any) -> Sequence[Condition]:
    return ()


Order = Callable[[Part, Metadata], Any]
"""What the rows of a list are sorted by."""


class Printer(Generic[Part]):
    """How one kind is shown."""

    def __init__(
        self,
        part: type[Part],
        cells: Cells[Part],
        *columns: Column,
        conditions: Callable[[Part], Sequence[Condition]] = _no_conditions,
        order: Order[Part] | None = None,
    ) -> None:
        self.decode = nulls.reader(part)
        self.cells = cells
        self.conditions = conditions
        self.order = order
        self.columns = columns
        self.definitions = msgspec.json.encode([column._asdict() for column in columns])


def age(metadata: Metadata, now: float) -> str:
    return since(metadata.creation_timestamp, now)


def labels(values: Mapping[str, str]) -> str:
    """`a=1,b=2`, sorted; `<none>` for no labels."""
    return ",".join(f"{key}={values[key]}" for key in sorted(values)) or NONE


def selector(value: meta_v1.LabelSelector | None) -> str:
    """A label selector's text; `<none>` for an empty one or none at all."""
    if value is None:
        return NONE
    try:
        return str(selectors.from_struct(value)) or NONE
    except ValueError:
        return "<error>"


def flag(value: bool | None) -> str:
    """A boolean that may be unset, in words."""
    return UNSET if value is None else str(value)


def some(values: Sequence[str], limit: int = 3) -> str:
    """The first few, and how many more there are."""
    shown = ",".join(values[:limit])
    return f"{shown} + {len(values) - limit} more..." if len(values) > limit else shown


class Container(Fields):
    name: str = ""
    image: str = ""


class _TemplateSpec(Fields):
    containers: tuple[Container, ...] = ()
    node_selector: dict[str, str] = msgspec.field(default_factory=dict)


class _TemplateMetadata(Fields):
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class Template(Fields):
    """A pod template."""

    metadata: _TemplateMetadata = msgspec.field(default_factory=_TemplateMetadata)
    spec: _TemplateSpec = msgspec.field(default_factory=_TemplateSpec)

    def cells(self) -> tuple[str, str]:
        """The containers' names and their images."""
        containers = self.spec.containers
        return ",".join(c.name for c in containers), ",".join(c.image for c in containers)
