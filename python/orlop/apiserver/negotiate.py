"""Which form a client wants its answer in, and in which form it sent its body.

Content negotiation is that of k8s.io/apiserver's pkg/endpoints/handlers/negotiation.
"""

import zlib
from functools import lru_cache
from typing import Literal, NamedTuple

from orlop.api import errors
from orlop.api.types import meta_v1

Media = Literal["json", "yaml", "protobuf"]
As = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList", "APIGroupDiscoveryList"]

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA: dict[str, Media] = {JSON: "json", YAML: "yaml", PROTOBUF: "protobuf"}
CONTENT_TYPES: dict[str, bytes] = {m: t.encode() for t, m in MEDIA.items()}
_WILD = {"*/*": JSON, "application/*": JSON}
WATCH_TYPES = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
"""What a collection answers with besides."""

GZIP_MIN = 128 * 1024
"""Bytes from which a body is compressed when the client asks: upstream's defaultGzipThresholdBytes."""
GZIP_LEVEL = 1


class Accepted(NamedTuple):
    """The form of an answer."""

    media: Media
    as_: As = ""
    group: str = ""
    version: str = ""
    pretty: bool = False
    stream: bool = False

    @property
    def plain(self) -> bool:
        """Whether stored bytes go out as they are."""
        return self.media == "json" and not self.as_


_PLAIN = Accepted("json")
_ROUTED = frozenset({*MEDIA, "*/*"})
"""One of these must be named: upstream's router looks at the header before the handlers, which know more, do."""


@lru_cache(1024)
def accept(header: str, tables: bool = True, collection: bool = False, routed: bool = True) -> Accepted:
    """The best form that an Accept header allows; of a `collection` the error names streams too. Raises NotAcceptable.

    Not `routed` are the pages that stand before upstream's router.

    Raised errors are made anew by the caller of the cache: lru_cache keeps no exceptions.
    """
    if not header or header == JSON or header == "*/*":
        return _PLAIN
    if routed and not any(clause.partition(";")[0].strip() in _ROUTED for clause in header.split(",")):
        available = ", ".join((*MEDIA, *(WATCH_TYPES if collection else ())))
        raise errors.NotAcceptable(
            f"406: Not Acceptable\n\nAvailable representations: {available}", details=meta_v1.StatusDetails()
        )
    clauses = []
    for order, clause in enumerate(header.split(",")):
        name, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(p.partition("=")[::2] for p in parameters)
        try:
            quality = float(options.get("q", "1"))
        except ValueError:
            quality = 0.0
        clauses.append((-quality, order, name.lower(), options))
    for _, _, name, options in sorted(clauses, key=lambda c: c[:2]):
        media = MEDIA.get(_WILD.get(name, name))
        if media is None:
            continue
        as_ = options.get("as", "")
        if as_ or "g" in options or "v" in options:
            if not tables or not _convertible(as_, options.get("g", ""), options.get("v", "")):
                continue
            if as_ == "Table" and media == "protobuf":
                continue
            return Accepted(media, as_, options.get("g", ""), options.get("v", ""))  # type: ignore[arg-type]
        return Accepted(media, stream=options.get("stream") == "watch")
    raise errors.NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}")


def _convertible(as_: str, group: str, version: str) -> bool:
    if as_ in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
        return group == "meta.k8s.io" and version in ("v1", "v1beta1")
    return False


def only_json(header: str) -> None:
    """Of pages that are JSON alone. Raises NotAcceptable."""
    if header and not any(clause.partition(";")[0].strip() in (JSON, "*/*") for clause in header.split(",")):
        raise errors.NotAcceptable(
            f"406: Not Acceptable\n\nAvailable representations: {JSON}", details=meta_v1.StatusDetails()
        )


def body_media(content_type: str) -> Media:
    """The form of a body; JSON where nothing is said. Raises UnsupportedMediaType."""
    if not content_type or content_type == JSON:
        return "json"
    name = content_type.partition(";")[0].strip().lower()
    media = MEDIA.get(name)
    if media is None:
        raise errors.UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            f"{JSON}, {YAML}, {PROTOBUF}"
        )
    return media


def gzip(body: bytes) -> bytes:
    """`body` as one gzip member at the speed that a server affords."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
