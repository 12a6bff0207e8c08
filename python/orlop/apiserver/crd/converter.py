"""Conversion by webhook: objects of one version become those of another by asking their author's server.

apiextensions' pkg/apiserver/conversion. A webhook may change everything but apiVersion, kind and metadata; of the
metadata it may change labels and annotations.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.types import apiextensions_v1
from orlop.apiserver.crd.objects import CustomObject, read
from orlop.apiserver.registry import meta
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.webhooks.client import Endpoint, WebhookClient
from orlop.apiserver.webhooks.failures import CallFailed
from orlop.clock import Clock
from orlop.native import CustomSchema

TIMEOUT = 30.0
"""Seconds that one review may take: upstream's limit for a conversion."""
REVIEWS = ("v1", "v1beta1")
GROUP = "apiextensions.k8s.io"
REVIEW_OBJECTS = 1000
"""Objects in one review: a list of thousands is asked for in several, so that none is too large to answer in time."""
KEPT = 16 << 20
"""Bytes of converted objects that are kept for one version: what watchers of one object share. Upstream's watch cache
keeps all of them."""

_START = b'{"apiVersion":"'
RULES = {"labels": meta.validate_labels, "annotations": meta.validate_annotations}
"""What of the metadata is a webhook's to change, and what it must be."""
PATHS = {"labels": "metadata.labels", "annotations": "metadata.annotation"}
"""How upstream names them."""


class _Head(msgspec.Struct, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""


class _Response(msgspec.Struct, gc=False, rename="camel"):
    uid: str = ""
    converted_objects: list[msgspec.Raw] = []
    result: dict[str, Any] = {}


class _Review(msgspec.Struct, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""
    response: _Response | None = None


_head = msgspec.json.Decoder(_Head).decode
_review = msgspec.json.Decoder(_Review).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def version_of(value: bytes) -> str:
    """The apiVersion of stored bytes, which begin with it."""
    end = value.index(b'"', len(_START))
    return value[len(_START) : end].decode()


class Webhook:
    """The server of one definition, and the words for what goes wrong with it."""

    def __init__(self, conversion: apiextensions_v1.CustomResourceConversion, client: WebhookClient, clock: Clock):
        webhook = conversion.webhook
        assert webhook is not None
        assert webhook.client_config is not None
        self._to = Endpoint.of(webhook.client_config)
        self._review = next((v for v in webhook.conversion_review_versions if v in REVIEWS), "")
        self._client = client
        self._clock = clock

    async def convert(self, api_version: str, kind: str, values: Sequence[bytes]) -> list[bytes]:
        """Objects of any other versions as those of `api_version`, in the form in which the webhook has them, with the
        metadata that they had. Raises ApiError (500) in upstream's words."""
        out: list[bytes] = []
        for start in range(0, len(values), REVIEW_OBJECTS):
            out += await self._convert(api_version, kind, values[start : start + REVIEW_OBJECTS])
        return out

    async def _convert(self, api_version: str, kind: str, values: Sequence[bytes]) -> list[bytes]:
        first = _head(values[0])
        shown = f"{first.api_version}, Kind={first.kind}"
        if not self._review:
            raise failed("no supported conversion review versions")
        uid = self._clock.uuid()
        body = b'{"kind":"ConversionReview","apiVersion":"%b/%b","request":{"uid":"%b","desiredAPIVersion":%b,' % (
            GROUP.encode(),
            self._review.encode(),
            uid.encode(),
            msgspec.json.encode(api_version),
        )
        body += b'"objects":[' + b",".join(values) + b"]}}"
        try:
            answer = await self._client.post(self._to, body, TIMEOUT)
            given = self._objects(uid, answer)
        except CallFailed as error:
            raise failed(f"conversion webhook for {shown} failed: {error}") from error
        if len(given) != len(values):
            raise failed(f"conversion webhook for {shown} returned {len(given)} objects, expected {len(values)}")
        return [_checked(shown, api_version, old, bytes(new)) for old, new in zip(values, given, strict=True)]

    def _objects(self, uid: str, answer: bytes) -> list[msgspec.Raw]:
        try:
            review = _review(answer)
        except msgspec.MsgspecError as error:
            raise CallFailed(f"the answer is no ConversionReview: {error}") from None
        wanted = f"{GROUP}/{self._review}"
        if self._review == "v1" and (review.api_version, review.kind) != (wanted, "ConversionReview"):
            got = f"{review.api_version}, Kind={review.kind}"
            raise CallFailed(f"expected webhook response of {wanted}, Kind=ConversionReview, got {got}")
        response = review.response
        if response is None:
            raise CallFailed("no response provided")
        if self._review == "v1" and response.uid != uid:
            raise CallFailed(f'expected response.uid="{uid}", got "{response.uid}"')
        status = response.result.get("status", "")
        if status != "Success":
            message = response.result.get("message")
            raise CallFailed(str(message) if message else f"response.result.status was '{status}', not 'Success'")
        return response.converted_objects


def failed(message: str) -> errors.ApiError:
    """A conversion that could not be made: an error without a reason, as upstream has it."""
    return errors.ApiError(message, code=500, reason="")


def _checked(shown: str, api_version: str, old: bytes, new: bytes) -> bytes:
    """What a webhook made of an object, with the metadata that is not its to change."""
    invalid = f"conversion webhook for {shown} returned invalid"
    try:
        before, after = _members(old), _members(new)
        head = _head(new)
    except msgspec.MsgspecError as error:
        raise failed(f"{invalid} object at index 0: {error}") from None
    if head.api_version != api_version:
        words = f"invalid groupVersion (expected {api_version}, received {head.api_version})"
        raise failed(f"{invalid} object at index 0: {words}")
    kind = msgspec.json.decode(before["kind"])
    if head.kind != kind:
        raise failed(f"{invalid} object at index 0: invalid kind (expected {kind}, received {head.kind})")
    given = msgspec.json.decode(after["metadata"]) if "metadata" in after else None
    kept = msgspec.json.decode(before["metadata"])
    theirs = given if isinstance(given, dict) else {}
    for field, named in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        e, a = kept.get(field) or "", theirs.get(field) or ""
        if e != a:
            raise failed(f"{invalid} object: must have the same {named}: {e} != {a}")
    if given is None:
        raise failed(f"{invalid} metadata: missing metadata in converted object")
    if not isinstance(given, dict):
        raise failed(f"{invalid} metadata: invalid metadata of type {_go_type(given)} in converted object")
    for field in RULES:
        if wrong := _restore(kept, given, field):
            raise failed(f"{invalid} metadata: {wrong}")
    after["metadata"] = msgspec.Raw(msgspec.json.encode(kept, order="sorted"))
    return msgspec.json.encode(after)


def _restore(kept: dict[str, Any], given: dict[str, Any], field: str) -> str:
    """Takes labels or annotations over; says what is wrong with them."""
    theirs = given.get(field)
    if theirs is None:
        kept.pop(field, None)
        return ""
    if not isinstance(theirs, dict):
        return f"invalid metadata.{field} of type {_go_type(theirs)} in converted object"
    for name, value in theirs.items():
        if not isinstance(value, str):
            return f"metadata.{field}[{name}] must be a string, but is {_go_type(value)} in converted object"
    if theirs != kept.get(field):
        wrong = RULES[field](theirs, PATHS[field])
        if wrong:
            texts = [str(e) for e in wrong]
            return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    kept[field] = theirs
    return ""


def _go_type(value: Any) -> str:
    names = {type(None): "<nil>", bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


class Across:
    """A served version, in which the webhook shows objects of the other ones."""

    def __init__(self, webhook: Webhook, api_version: str, kind: str, schema: CustomSchema) -> None:
        self._webhook = webhook
        self._api_version = api_version
        self._kind = kind
        self._schema = schema

    async def made(self, values: Sequence[bytes]) -> list[bytes]:
        """Objects of one other version as this one has them. Raises ApiError (500)."""
        given = await self._webhook.convert(self._api_version, self._kind, values)
        return [_normal(self._schema, value) for value in given]


class WebhookConverter:
    """One served version's way from and to what is stored."""

    def __init__(
        self,
        webhook: Webhook,
        served: tuple[str, CustomSchema],
        storage: tuple[str, CustomSchema],
        schemas: Mapping[str, CustomSchema],
        type_: type[CustomObject],
    ) -> None:
        """`served` and `storage` are apiVersions with their schemas, `schemas` those of all versions."""
        self._webhook = webhook
        self._served, self._schema = served
        self._storage, self._storage_schema = storage
        self._schemas = schemas
        self._type = type_
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0
        self._asked: dict[bytes, asyncio.Future[bytes]] = {}

    async def read(self, values: Sequence[bytes]) -> list[bytes]:
        """Stored objects as the served version has them; what others ask for at the same time is asked once."""
        missing: list[bytes] = []
        found: dict[bytes, bytes] = {}
        waiting: dict[bytes, asyncio.Future[bytes]] = {}
        for value in values:
            if (made := self._kept.get(value)) is not None:
                self._kept.move_to_end(value)
                found[value] = made
            elif version_of(value) == self._served:
                found[value] = _normal(self._schema, value)
            elif (asked := self._asked.get(value)) is not None:
                waiting[value] = asked
            elif value not in found:
                missing.append(value)
        missing = list(dict.fromkeys(missing))
        if missing:
            found |= await self._ask(missing)
        for value, asked in waiting.items():
            try:
                found[value] = await asyncio.shield(asked)
            except asyncio.CancelledError:
                if not asked.cancelled():
                    raise
                found |= await self._ask([value])  # who asked has gone away
        return [found[value] for value in values]

    async def _ask(self, values: list[bytes]) -> dict[bytes, bytes]:
        loop = asyncio.get_running_loop()
        asked = {value: loop.create_future() for value in values}
        self._asked |= asked
        try:
            sent = [self._as_stored(value) for value in values]
            given = await self._webhook.convert(self._served, self._type.__kind__.kind, sent)
            made = {v: _normal(self._schema, g) for v, g in zip(values, given, strict=True)}
            for value, one in made.items():
                asked[value].set_result(one)
                self._keep(value, one)
            return made
        except Exception as error:
            for future in asked.values():
                future.set_exception(error)
                future.exception()  # nobody else may have waited
            raise
        finally:
            for value, future in asked.items():
                future.cancel()
                if self._asked.get(value) is future:
                    del self._asked[value]

    def _as_stored(self, value: bytes) -> bytes:
        """A stored object in the form of its own version's schema, as far as there is one still."""
        schema = self._schemas.get(version_of(value))
        return value if schema is None else _normal(schema, value)

    def _keep(self, value: bytes, made: bytes) -> None:
        self._kept[value] = made
        self._size += len(value) + len(made)
        while self._size > KEPT and self._kept:
            old, new = self._kept.popitem(last=False)
            self._size -= len(old) + len(new)

    async def stored(self, obj: CustomObject) -> CustomObject:
        """An object of the served version as it is stored."""
        if self._served == self._storage:
            return obj
        revision, obj.metadata.resource_version = obj.metadata.resource_version, ""
        try:
            [given] = await self._webhook.convert(self._storage, obj.__kind__.kind, [encode(obj)])
        finally:
            obj.metadata.resource_version = revision
        return read(self._type, _normal(self._storage_schema, given))

    def settled(self, value: bytes) -> bool:
        """Whether stored bytes are of the storage version: what is not is written again by an update of nothing."""
        return version_of(value) == self._storage

    def bookmark(self, value: bytes) -> bytes:
        """A bookmark's object, which has no more than its revision."""
        return value.replace(b'"%b"' % self._storage.encode(), b'"%b"' % self._served.encode(), 1)


def _normal(schema: CustomSchema, value: bytes) -> bytes:
    made = schema.normalize(value)
    return value if made is None else made
