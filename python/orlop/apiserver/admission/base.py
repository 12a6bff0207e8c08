"""What an admission plug-in is and what it is shown."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from orlop.api.scheme import Kind
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.clock import Clock

if TYPE_CHECKING:
    from orlop.apiserver.request import Request

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class Attributes:
    """One write on its way in."""

    __slots__ = (
        "annotations",
        "body",
        "drawn",
        "dry_run",
        "given",
        "kind",
        "name",
        "namespace",
        "object",
        "old",
        "operation",
        "options",
        "request",
        "subresource",
        "user",
    )

    def __init__(
        self,
        operation: Operation,
        kind: Kind,
        namespace: str,
        name: str,
        obj: Any,
        old: Any,
        user: Any,
        subresource: str = "",
        dry_run: bool = False,
        *,
        request: "Request | None" = None,
        body: Kind | None = None,
        options: Any = None,
    ) -> None:
        self.operation = operation
        self.kind = kind
        self.namespace = namespace
        self.name = name
        """What a refusal calls the object."""
        self.object = obj
        self.old = old
        self.user = user
        self.subresource = subresource
        self.dry_run = dry_run
        self.request = request
        """Which asks for it; None where the server itself writes."""
        self.body = body
        """What the object is where it is none of `kind`: a Scale, a Binding, options of a connection."""
        creates = operation == "CREATE" and not subresource and obj is not None
        self.given: str = obj.metadata.name if creates else name
        """The name that the request gave: none for an object whose name the server makes."""
        self.options = options
        """DeleteOptions; None: what the request's query says."""
        recorded = None if request is None else request.audit
        self.annotations: dict[str, str] = {} if recorded is None else recorded.annotations
        """What is to be noted of it for an audit; what stands there stays."""
        self.drawn: list[tuple[str, str]] = []
        """What was drawn by lot for the object: what `Objects.generate_name` was given, and what it gave."""


class Admission:
    """A plug-in: says what it handles, then changes (`admit`) or refuses (`validate`) it by raising an ApiError."""

    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    resources: ClassVar[tuple[str, ...] | None] = None
    """Resources as the store names them; None means all."""
    subresources: ClassVar[tuple[str, ...] | None] = ("",)
    """None means all."""

    def __init__(self, objects: Objects, clock: Clock, config: Config, authorizer: Authorizer) -> None:
        self.objects = objects
        self.clock = clock
        self.config = config
        self.authorizer = authorizer

    def handles(self, a: Attributes) -> bool:
        """Whether writes like this concern the plug-in; asked once per resource, subresource and operation."""
        return (
            a.operation in self.operations
            and (self.resources is None or a.kind.resource in self.resources)
            and (self.subresources is None or a.subresource in self.subresources)
        )

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        """The resources whose objects it looks at for a write like this, where it looks at nothing else but the write,
        its user and its namespace, and draws by `Attributes.drawn`. None: its answer holds for this write alone."""
        return None

    async def admit(self, a: Attributes) -> None:
        """May change `a.object`."""

    async def validate(self, a: Attributes) -> None:
        """May refuse `a.object` as it will be stored."""
