"""TokenRequest: a token for a service account, bound to what the request names.

As pkg/registry/core/serviceaccount/storage/token.go.
"""

import msgspec

from orlop.api import errors
from orlop.api.types import authentication_v1
from orlop.apiserver.auth.attributes import quote
from orlop.apiserver.auth.objects import Objects
from orlop.apiserver.auth.tokens import ServiceAccountTokens
from orlop.clock import rfc3339

WARN_ONLY_SECONDS = 3607
"""The lifetime that the ServiceAccount admission plug-in asks for. Such a token for the API server itself counts for a
year, so that clients which never read the file again go on working, and its late use is noticed."""
EXTENDED_SECONDS = 365 * 24 * 3600
DEFAULT_SECONDS = 3600


class _Metadata(msgspec.Struct):
    uid: str = ""


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""
    service_account_name: str = ""


class _Bound(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class TokenIssuer:
    """Answers `serviceaccounts/NAME/token`."""

    def __init__(self, tokens: ServiceAccountTokens, objects: Objects) -> None:
        self._tokens = tokens
        self._objects = objects

    async def __call__(
        self, namespace: str, name: str, request: authentication_v1.TokenRequest
    ) -> authentication_v1.TokenRequest:
        """The request with its token. Raises NotFound, BadRequest for an object it cannot be bound to, and Conflict
        for one that has been made anew under its name."""
        spec = request.spec
        if not spec.audiences:
            spec.audiences = list(self._tokens.audiences)
        if spec.expiration_seconds is None:
            spec.expiration_seconds = DEFAULT_SECONDS
        account = self._find("serviceaccounts", namespace, name)
        bound = self._bound(namespace, name, spec.bound_object_ref)
        seconds, warn_after = spec.expiration_seconds, 0
        if seconds == WARN_ONLY_SECONDS and set(spec.audiences) <= set(self._tokens.audiences):
            seconds, warn_after = EXTENDED_SECONDS, WARN_ONLY_SECONDS
        token, expires = self._tokens.sign(
            namespace,
            (name, account.metadata.uid),
            audiences=spec.audiences,
            seconds=seconds,
            bound=bound,
            warn_after=warn_after,
        )
        # what was asked for: who asked is to come again by then, however long the token counts
        told = expires - seconds + spec.expiration_seconds
        request.metadata.name, request.metadata.namespace = name, namespace
        request.status = authentication_v1.TokenRequestStatus(token=token, expiration_timestamp=rfc3339(told))
        return request

    def _bound(
        self, namespace: str, account: str, ref: authentication_v1.BoundObjectReference | None
    ) -> dict[str, tuple[str, str]]:
        """Name and uid, by kind, of what the token ends with."""
        if ref is None:
            return {}
        if ref.api_version not in ("v1", "") or ref.kind not in ("Pod", "Secret", "Node"):
            group, _, version = ref.api_version.rpartition("/")
            raise errors.BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={ref.kind}")
        resource = f"{ref.kind.lower()}s"
        found = self._find(resource, "" if ref.kind == "Node" else namespace, ref.name)
        uid = found.metadata.uid
        if ref.uid and ref.uid != uid:
            why = f"the UID in the bound object reference ({ref.uid}) does not match the UID in record. "
            raise errors.conflict(resource, "", ref.name, f"{why}The object might have been deleted and then recreated")
        bound = {ref.kind.lower(): (ref.name, uid)}
        if ref.kind == "Pod":
            if found.spec.service_account_name != account:
                raise errors.BadRequest(
                    f"cannot bind token for serviceaccount {quote(account)} to pod running with different "
                    "serviceaccount name."
                )
            node = found.spec.node_name
            if node:
                there = self._objects.get("nodes", "", node)
                # a node that is not registered any more is told by its name alone
                bound["node"] = (node, msgspec.json.decode(there[0], type=_Bound).metadata.uid if there else "")
        return bound

    def _find(self, resource: str, namespace: str, name: str) -> _Bound:
        found = self._objects.get(resource, namespace, name)
        if found is None:
            raise errors.not_found(resource, "", name)
        return msgspec.json.decode(found[0], type=_Bound)
