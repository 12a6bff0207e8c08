"""What a kind's rules are: the base that a resource's file changes where the kind differs."""

from collections.abc import Callable
from typing import Any, ClassVar

from orlop.api.errors import FieldError
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver.auth.user import User
from orlop.apiserver.registry import declared, meta, names


class Strategy:
    """The rules of one kind between a decoded body and the store.

    The order for a create: default → (admission) → prepare_create → validate → canonicalize; for an update:
    default → (admission) → prepare_update → validate_update → canonicalize.
    """

    create_on_update: ClassVar[bool] = False
    """Whether a PUT may create (Leases, RBAC, …)."""
    unconditional_update: ClassVar[bool] = True
    """Whether a PUT may come without resourceVersion."""
    graceful: ClassVar[bool] = False
    """Whether a delete may leave time to end (pods)."""
    returns_deleted: ClassVar[bool] = False
    """Whether a delete at once answers with the object, not with a Status."""
    garbage_collected: ClassVar[str] = "background"
    """What becomes of dependents when a delete does not say: `background` or `orphan`."""
    deletion_advice: ClassVar[str] = ""
    """The warning on a delete that does not say what becomes of dependents."""
    deletion_grace: ClassVar[int | None] = 0
    """What metadata.deletionGracePeriodSeconds says of a deleted object that finalizers keep."""
    generation: ClassVar[bool] = False
    """Whether metadata.generation counts changes of the spec."""
    fills_spec: ClassVar[bool] = False
    """Whether `default` looks at the spec alone, and leaves one that is stored as it is."""
    alike: bool = False
    """Whether many objects come that differ in their names alone, and none of these rules reads a plain name."""
    fields: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Selectable fields besides metadata.name and metadata.namespace: (name, path in the JSON)."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        fields = getattr(kind.struct, "__struct_fields__", ())
        self.has_status = "status" in fields
        self.has_spec = "spec" in fields
        self._fills = type(self).default is not Strategy.default

    def nothing_to_default(self, *, stored_spec: bool) -> bool:
        """Whether `default` leaves an object as it is: it fills in nothing, or only a spec that was stored so."""
        return not self._fills or (stored_spec and self.fills_spec)

    # --- rules a kind may change ------------------------------------------------------------------

    def name_rule(self, name: str) -> list[str]:
        """What is wrong with a name."""
        return names.subdomain(name)

    def plain_name(self, name: str) -> bool:
        """Whether there is nothing to say of a name: no error, no warning."""
        return not self.name_rule(name)

    def default(self, obj: Any) -> None:
        """Fills what the client left out, as upstream's defaulting of the served version."""

    def made_by(self, obj: Any, user: User) -> None:
        """Writes into a new object who asks for it (certificate requests)."""

    def prepare_create(self, obj: Any) -> None:
        """Drops what a client may not set on a new object."""

    def validate(self, obj: Any) -> list[FieldError]:
        """What is wrong with a new object besides its metadata."""
        return []

    def prepare_update(self, new: Any, old: Any) -> None:
        """Drops what a client may not change."""

    def validate_update(self, new: Any, old: Any) -> list[FieldError]:
        """What is wrong with a change besides the metadata's."""
        return self.validate(new)

    def prepare_status(self, new: Any, old: Any) -> None:
        """Further than keeping spec and metadata: what the status subresource may not change."""

    def validate_status(self, new: Any, old: Any) -> list[FieldError]:
        """What is wrong with a change of status."""
        return []

    def canonicalize(self, obj: Any) -> None:
        """Puts a valid object into its one form."""

    def warnings(self, new: Any, old: Any = None) -> list[str]:
        """Advice that goes out as Warning headers; there is no old object when a new one is made."""
        return []

    # --- the order, the same for all --------------------------------------------------------------

    def before_create(self, obj: Any) -> list[FieldError]:
        """Prepares a new object and says what is wrong with it."""
        if self.has_status and not self.keeps_new_status:
            obj.status = type(obj.status)()
        if self.generation:
            obj.metadata.generation = 1
        self.prepare_create(obj)
        errors = meta.validate(obj.metadata, self.kind.namespaced, self.name_rule)
        errors += self.validate(obj)
        errors = declared.merged(errors, declared.check(obj, None))
        if not errors:
            self.canonicalize(obj)
        return errors

    def before_update(self, new: Any, old: Any) -> list[FieldError]:
        """Prepares a change through the main endpoint and says what is wrong with it."""
        _carry_meta(new.metadata, old.metadata)
        if self.has_status and self.resets_status:
            new.status = old.status
        self.prepare_update(new, old)
        if self.generation and self.changes_generation(new, old):
            new.metadata.generation = old.metadata.generation + 1
        errors = meta.validate_update(new.metadata, old.metadata)
        errors += self.validate_update(new, old)
        errors = declared.merged(errors, declared.check(new, old))
        if not errors:
            self.canonicalize(new)
        return errors

    status_keeps_metadata: ClassVar[bool] = False
    """Whether the status subresource leaves labels, annotations and finalizers as they are, too."""
    resets_status: ClassVar[bool] = True
    """Whether the main endpoint keeps the old status (it has a status subresource)."""
    keeps_new_status: ClassVar[bool] = False
    """Whether a create may bring a status (nodes)."""

    def changes_generation(self, new: Any, old: Any) -> bool:
        """Whether a change counts for metadata.generation."""
        return bool(new.spec != old.spec)

    def before_status_update(self, new: Any, old: Any) -> list[FieldError]:
        """Prepares a change through the status subresource and says what is wrong with it."""
        _carry_meta(new.metadata, old.metadata)
        if self.has_spec:
            new.spec = old.spec
        new.metadata.deletion_timestamp = old.metadata.deletion_timestamp
        new.metadata.owner_references = old.metadata.owner_references
        if self.status_keeps_metadata:
            new.metadata.labels = old.metadata.labels
            new.metadata.annotations = old.metadata.annotations
            new.metadata.finalizers = old.metadata.finalizers
        self.prepare_status(new, old)
        errors = meta.validate_update(new.metadata, old.metadata) + self.validate_status(new, old)
        return declared.merged(errors, declared.check(new, old))

    def before_finalize(self, new: Any, old: Any) -> list[FieldError]:
        """Prepares a change through the finalize subresource (namespaces)."""
        return self.before_update(new, old)

    def before(self, subresource: str) -> Callable[[Any, Any], list[FieldError]]:
        """What prepares a change through a subresource: `before_status_update`, `before_approval`, …"""
        if not subresource:
            return self.before_update
        if subresource == "status":
            return self.before_status_update
        found: Callable[[Any, Any], list[FieldError]] = getattr(self, f"before_{subresource}", self.before_update)
        return found

    def not_owned(self, subresource: str) -> list[str]:
        """Fields that a write through this endpoint leaves as they are, so that its field manager cannot own them."""
        if subresource == "status" and self.status_keeps_metadata:
            return ["spec", "metadata"]
        if subresource == "status":
            return ["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"]
        if subresource == "approval":
            return ["spec"]
        return ["status"] if self.has_status and self.resets_status else []

    @staticmethod
    def carry(new: Any, old: Any) -> None:
        """Takes from the old metadata what no write may change."""
        _carry_meta(new.metadata, old.metadata)

    def holds(self, obj: Any) -> bool:
        """Whether something besides metadata.finalizers keeps a deleted object (a namespace's content)."""
        return False

    def mark_deleting(self, obj: Any) -> None:
        """Shows in the object that its deletion has begun."""

    def grace(self, obj: Any, asked: int | None) -> int:
        """Seconds a graceful delete leaves `obj`; 0 removes it at once."""
        return 0


def _carry_meta(new: meta_v1.ObjectMeta, old: meta_v1.ObjectMeta) -> None:
    """What a client may leave out of an update and what it can never change by one."""
    new.generation = old.generation
    if not new.uid:
        new.uid = old.uid
    new.creation_timestamp = old.creation_timestamp
    if old.deletion_timestamp is not None:
        new.deletion_timestamp = old.deletion_timestamp
    if new.deletion_grace_period_seconds is None:
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds
    new.self_link = ""
