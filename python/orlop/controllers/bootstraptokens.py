"""Bootstrap tokens, by which nodes join: those whose time is over go, and those that may sign `cluster-info` do.

Upstream: pkg/controller/bootstrap. A token is a Secret `bootstrap-token-ID` in kube-system. The ConfigMap
`cluster-info` in kube-public holds a kubeconfig that anybody may read; who has a token can tell by its signature, a
detached JSON Web Signature (RFC 7515, appendix F) with the token as key, that the kubeconfig comes from who gave him
the token.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import NamedTuple

import msgspec

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
PREFIX = "bootstrap-token-"
CLUSTER_INFO = Key("kube-public", "cluster-info")
KUBECONFIG = "kubeconfig"
SIGNATURE = "jws-kubeconfig-"


class Token(NamedTuple):
    """A token's id and secret."""

    id: str
    secret: str


class TokenCleaner(Controller):
    """One Secret a key."""

    name = "token-cleaner-controller"
    account = "token-cleaner"

    def setup(self, builder: Builder) -> None:
        self.secrets = builder.for_(core_v1.Secret, namespace=NAMESPACE, fields=f"type={TYPE}")

    async def reconcile(self, key: Key) -> Result | None:
        secret = self.secrets.get(*key)
        left = time_left(secret, self.context.clock.now()) if secret is not None else None
        if secret is None or left is None:
            return None
        if left > 0:
            return Result(requeue_after=left)
        with suppress(errors.NotFound, errors.Conflict):  # gone, or another of that name
            await self.context.client.delete(core_v1.Secret, key.name, key.namespace, uid=secret.metadata.uid)
        return None


class BootstrapSigner(Controller):
    """The one ConfigMap is the one key."""

    name = "bootstrap-signer-controller"
    account = "bootstrap-signer"

    def setup(self, builder: Builder) -> None:
        self.maps = builder.for_(
            core_v1.ConfigMap, namespace=CLUSTER_INFO.namespace, fields=f"metadata.name={CLUSTER_INFO.name}"
        )
        self.secrets = builder.watches(
            core_v1.Secret, lambda s: [CLUSTER_INFO], namespace=NAMESPACE, fields=f"type={TYPE}"
        )

    async def reconcile(self, key: Key) -> Result | None:
        found = self.maps.get(*key)
        if found is None or KUBECONFIG not in found.data:
            return None
        now = self.context.clock.now()
        content = found.data[KUBECONFIG]
        data = {name: text for name, text in found.data.items() if not name.startswith(SIGNATURE)}
        for secret in sorted(self.secrets.items(), key=lambda s: s.metadata.name):
            token = signing_token(secret, now)
            if token is not None:
                data[SIGNATURE + token.id] = detached_signature(content, token)
        if data != found.data:
            await self.context.client.update(msgspec.structs.replace(found, data=data))
        ends = (time_left(secret, now) for secret in self.secrets.items())
        return Result(requeue_after=min((left for left in ends if left is not None and left > 0), default=None))


def time_left(secret: core_v1.Secret, now: float) -> float | None:
    """Seconds until the token's time is over, 0 when it is (or nobody can read it), None if it has no end."""
    expiration = _text(secret, "expiration")
    if not expiration:
        return None
    try:
        return max(0.0, parse_time(expiration) - now)
    except ValueError:
        return 0.0


def signing_token(secret: core_v1.Secret, now: float) -> Token | None:
    """The token, if it is one that may sign."""
    id_, key = _text(secret, "token-id"), _text(secret, "token-secret")
    if not id_ or not key or secret.metadata.name != PREFIX + id_:
        return None
    if time_left(secret, now) == 0 or _text(secret, "usage-bootstrap-signing") != "true":
        return None
    return Token(id_, key)


def detached_signature(content: str, token: Token) -> str:
    """The signature without what it signs: `HEADER..SIGNATURE`."""
    header = _encoded(msgspec.json.encode({"alg": "HS256", "kid": token.id}))
    signed = f"{header}.{_encoded(content.encode())}".encode()
    return f"{header}..{_encoded(hmac.digest(token.secret.encode(), signed, hashlib.sha256))}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _text(secret: core_v1.Secret, name: str) -> str:
    return secret.data.get(name, b"").decode(errors="replace")
