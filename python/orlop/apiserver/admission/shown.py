"""A write as webhooks and policies are shown it: as JSON, in any version of its resource."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from orlop import native
from orlop.api import errors, scheme
from orlop.api.kind import Kind
from orlop.api.types import meta_v1
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.conversion import Conversion, conversion_of
from orlop.apiserver.crd.converter import Across
from orlop.apiserver.crd.served import GONE, Served
from orlop.apiserver.registry.objects import Objects, encode
from orlop.apiserver.registry.strategy import Strategy

_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions"}
_BAD_OWNERS = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating "
    "admission controller; please fix your requests: "
)


class Version(NamedTuple):
    """One way in which a resource is served."""

    served: Kind
    conversion: Conversion | None
    """How it becomes the stored one; None: as it is."""
    across: Across | None = None
    """What shows objects of the other versions in this one, where a webhook converts."""

    @property
    def resource(self) -> tuple[str, str, str]:
        """Group, version, plural."""
        return self.served.group, self.served.version, self.served.plural


class Versions:
    """All versions in which resources are served, built in and custom."""

    def __init__(self, objects: Objects, strategies: Mapping[str, Strategy], custom: Served) -> None:
        self.objects = objects
        self.strategies = strategies
        self._custom = custom

    def of(self, kind: Kind) -> Iterator[Version]:
        """Every served version of what is stored as `kind`."""
        for row in scheme.KINDS:
            if row.resource == kind.resource:
                yield Version(row, conversion_of(row) if row.storage else None)
        for served in self._custom.kinds():
            if served.resource == kind.resource:
                route = self._custom.route(served.group, served.version, served.plural)
                if route is not None:
                    yield Version(served, route.conversion, route.across)

    def find(self, api_version: str, kind: str) -> Version | None:
        """The version that a body of this type would be of."""
        row = scheme.by_kind(api_version, kind)
        if row is not None:
            return Version(row, conversion_of(row) if row.storage else None)
        for served in self._custom.kinds():
            route = self._custom.route(served.group, served.version, served.plural)
            named = served if route is None or route.conversion is None else route.conversion.served
            if route is not None and (named.api_version, named.kind) == (api_version, kind):
                return Version(named, route.conversion, route.across)
        return None

    @staticmethod
    def metadata(value: bytes) -> "Metadata":
        """An object's name, namespace and labels."""
        return _labelled(value).metadata


class Shown:
    """A write. What is asked for as JSON is encoded once for all who look."""

    def __init__(self, a: Attributes, versions: Versions) -> None:
        self.a = a
        self._versions = versions
        conversion = None if a.request is None else a.request.conversion
        self.version = Version(a.kind if conversion is None else conversion.served, conversion)
        """The one that was asked for."""
        self._memo: dict[tuple[str, tuple[str, str, str]], bytes | None] = {}
        self._documents: dict[tuple[str, tuple[str, str, str]], native.CelDocument] = {}
        """Of what is remembered, what expressions have spoken of."""
        self.spoken_of: dict[tuple[tuple[str, str, str], bool], list[tuple[str, native.CelDocument | None]]] = {}
        """The same by what expressions call them, for a version, with the Namespace or without."""
        self._namespace: native.CelDocument | None = None

    @property
    def namespace(self) -> str:
        """A Namespace is in itself."""
        return self.a.name if self.is_namespace else self.a.namespace

    @property
    def is_namespace(self) -> bool:
        return self.a.kind.resource == "namespaces"

    def others(self) -> Iterator[Version]:
        """Versions that show the same objects, besides the one that was asked for."""
        return (v for v in self._versions.of(self.a.kind) if v.resource != self.version.resource)

    def kind(self, version: Version) -> tuple[str, str, str]:
        """Group, version and kind of what is shown in a version."""
        kind = self.a.body or version.served
        return kind.group, kind.version, kind.kind

    async def prepare(self, version: Version) -> None:
        """Lets a webhook convert what is to be shown in a version, where one does. Raises ApiError (500)."""
        if not self._foreign(version):
            return
        assert version.across is not None
        present = {"object": self.a.object, "old": self._before()}
        missing = {
            (which, version.resource): encode(value)
            for which, value in present.items()
            if value is not None and (which, version.resource) not in self._memo
        }
        if not missing:
            return
        made = await version.across.made(list(missing.values()))
        self._memo.update(zip(missing, made, strict=True))

    def _foreign(self, version: Version) -> bool:
        """Whether a webhook is needed to show a write in a version."""
        return version.across is not None and self.a.body is None and version.resource != self.version.resource

    def _before(self) -> Any:
        """The present object, where it is shown."""
        return None if self.a.operation == "CONNECT" else self.a.old

    def object(self, version: Version) -> bytes | None:
        """The new object's JSON; None for a deletion. `prepare` comes first."""
        return self._json("object", self.a.object, version)

    def old(self, version: Version) -> bytes | None:
        """The present object's JSON; None for a creation and a connection."""
        return self._json("old", self._before(), version)

    def _json(self, which: str, value: Any, version: Version) -> bytes | None:
        key = (which, version.resource)
        if key not in self._memo:
            assert value is None or not self._foreign(version)
            data = None if value is None else encode(value)
            if data is not None and self.a.body is None and version.conversion is not None:
                data = version.conversion.to_served(data)
            self._memo[key] = data
        return self._memo[key]

    async def replace(self, version: Version, value: bytes) -> None:
        """The object is now this, in a version: checked, defaulted, and in the form in which it goes on.

        Raises InternalError for what is no such object, and ApiError where a webhook does not convert it.
        """
        a = self.a
        kind = a.body or version.served
        try:
            clean, _, _ = native.wire_decode(kind.type_key, "json", value)
            if a.body is None and version.conversion is not None:
                clean = version.conversion.to_stored(clean)
            own = await self._returned(clean) if self._foreign(version) else clean
            new = self._versions.objects.decode(a.body or a.kind, own)
        except (native.WireError, msgspec.DecodeError) as error:
            details = meta_v1.StatusDetails(causes=[meta_v1.StatusCause(message=str(error))])
            raise errors.InternalError(f"Internal error occurred: {error}", details=details) from None
        if a.body is None:
            self._versions.strategies[a.kind.type_key].default(new)
            self._owners(a.object.metadata, new.metadata)
        a.object = new
        self.changed()
        if self._foreign(version):
            self._memo["object", version.resource] = clean  # as it is: who comes next need not have it converted again

    async def _returned(self, value: bytes) -> bytes:
        """What was changed in another version, as a webhook shows it in the one that was asked for."""
        own = next((v for v in self._versions.of(self.a.kind) if v.resource == self.version.resource), None)
        if own is None or own.across is None:
            raise errors.NotFound(GONE, details=meta_v1.StatusDetails())
        [made] = await own.across.made([value])
        return made

    def changed(self) -> None:
        """The object is another one now."""
        self._memo = {key: data for key, data in self._memo.items() if key[0] != "object"}
        self.spoken_of = {}
        self._documents = {key: document for key, document in self._documents.items() if key[0] != "object"}

    def _owners(self, before: meta_v1.ObjectMeta, after: meta_v1.ObjectMeta) -> None:
        """Entries of owners that are none any more are put back."""
        if bytes(before.managed_fields) == bytes(after.managed_fields):
            return
        try:
            entries = msgspec.json.decode(after.managed_fields, type=list[meta_v1.ManagedFieldsEntry])
            wrong = next((e for e in entries if e.operation not in ("Apply", "Update")), None)
            why = "" if wrong is None else f"invalid operation `{wrong.operation}`"
        except msgspec.DecodeError as error:
            why = str(error)
        if why:
            after.managed_fields = before.managed_fields
            self.warn(_BAD_OWNERS + why)

    def warn(self, text: str) -> None:
        """Tells the client."""
        if self.a.request is not None and text and all(letter.isprintable() or letter.isspace() for letter in text):
            self.a.request.warn(text)

    def request(self, version: Version) -> bytes:
        """What expressions call `request`: an AdmissionRequest without its objects."""
        key = ("request", version.resource)
        found = self._memo.get(key)
        if found is None:
            a = self.a
            kind, resource = ("group", "version", "kind"), ("group", "version", "resource")
            told = {
                "kind": dict(zip(kind, self.kind(version), strict=True)),
                "resource": dict(zip(resource, version.resource, strict=True)),
                "subResource": a.subresource,
                "requestKind": dict(zip(kind, self.kind(self.version), strict=True)),
                "requestResource": dict(zip(resource, self.version.resource, strict=True)),
                "requestSubResource": a.subresource,
                "name": a.given,
                "namespace": self.namespace,
                "operation": a.operation,
                "userInfo": a.user.info(),
                "dryRun": a.dry_run,
                "options": self.options(),
            }
            found = self._memo[key] = encode({name: value for name, value in told.items() if value != ""})
        return found

    def labels(self) -> list[Mapping[str, str]]:
        """Of the new and of the old object, of those that there are."""
        a = self.a
        both = (a.object, None if a.operation == "CONNECT" else a.old)
        metadata = [getattr(o, "metadata", None) for o in both if o is not None]
        return [m.labels for m in metadata if m is not None]

    def namespace_object(self) -> bytes | None:
        """The Namespace that the write is in; None where it is in none. Raises NotFound."""
        if not self.a.namespace and not self.is_namespace:
            return None
        found = self._versions.objects.hub.get("namespaces", "", self.namespace)
        if found is None:
            raise errors.not_found("namespaces", "", self.namespace)
        return found[0]

    def own_namespace(self) -> native.CelDocument | None:
        """What expressions call `namespaceObject`: a Namespace itself has none. Raises NotFound."""
        if self._namespace is None and not self.is_namespace:
            value = self.namespace_object()
            self._namespace = None if value is None else native.CelDocument(value)
        return self._namespace

    def document(self, which: Literal["object", "old", "request"], version: Version) -> native.CelDocument | None:
        """The new object, the present one or the request, as expressions speak of it: read once."""
        key = (which, version.resource)
        found = self._documents.get(key)
        if found is None:
            value = getattr(self, which)(version)
            if value is None:
                return None
            found = self._documents[key] = native.CelDocument(value)
        return found

    def namespace_labels(self) -> Mapping[str, str] | None:
        """Of the namespace that the write is in; None: in none. Raises NotFound."""
        a = self.a
        if self.is_namespace and not a.subresource and a.object is not None:
            labels: Mapping[str, str] = a.object.metadata.labels
            return labels
        value = self.namespace_object()
        return None if value is None else _labelled(value).metadata.labels

    def options(self) -> dict[str, Any]:
        """The options of the request."""
        a = self.a
        if isinstance(a.options, meta_v1.DeleteOptions):
            shown: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
            return shown | {k: v for k, v in msgspec.json.decode(encode(a.options)).items() if k not in shown}
        if a.operation == "CONNECT":
            return dict(msgspec.json.decode(encode(a.object)))
        shown = {"kind": _OPTIONS[a.operation], "apiVersion": "meta.k8s.io/v1"}
        if a.request is None or not a.request.scope.get("query_string"):
            return shown
        if a.dry_run:
            shown["dryRun"] = ["All"]
        for name in ("fieldManager", "fieldValidation"):
            if value := a.request.param(name):
                shown[name] = value
        return shown


class Metadata(msgspec.Struct, gc=False, frozen=True):
    """What selectors and names read of an object."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}


class _Labelled(msgspec.Struct, gc=False):
    metadata: Metadata = Metadata()


_labelled: Callable[[bytes], _Labelled] = msgspec.json.Decoder(_Labelled).decode
