"""Service account tokens: JSON Web Tokens that the API server signs and reads.

Claims, checks and their words are those of pkg/serviceaccount and the TokenRequest registry.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from orlop.apiserver.auth.objects import Objects
from orlop.apiserver.auth.user import (
    ALL_AUTHENTICATED,
    CREDENTIAL_ID,
    User,
    extra,
    service_account_groups,
    service_account_name,
)
from orlop.clock import Clock, parse_time
from orlop.pki import signing

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
"""Of tokens without an end, which stand in Secrets."""
LEEWAY = 60.0
"""Seconds by which a token's times may be off, and for which an object that is being deleted still counts."""
MAX_REMEMBERED = 8192
"""Tokens whose signature has been checked: every pod of a large cluster."""


class TokenError(Exception):
    """Why a token is not accepted. It is told to TokenReview, and to the log; a client learns only Unauthorized."""


class _Ref(msgspec.Struct):
    name: str = ""
    uid: str = ""


class _Private(msgspec.Struct):
    namespace: str = ""
    serviceaccount: _Ref = msgspec.field(default_factory=_Ref)
    pod: _Ref | None = None
    secret: _Ref | None = None
    node: _Ref | None = None
    warnafter: float | None = None


LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
"""Labels of Secrets with tokens, dates."""


class Claims(msgspec.Struct):
    """What a token says."""

    iss: str = ""
    sub: str = ""
    jti: str = ""
    aud: list[str] | str = []
    exp: float = 0
    nbf: float = 0
    iat: float = 0
    private: _Private = msgspec.field(name="kubernetes.io", default_factory=_Private)

    @property
    def audiences(self) -> list[str]:
        return [self.aud] if isinstance(self.aud, str) else self.aud


class _Legacy(msgspec.Struct):
    """What a token that stands in a Secret says."""

    sub: str
    namespace: str = msgspec.field(name="kubernetes.io/serviceaccount/namespace")
    secret: str = msgspec.field(name="kubernetes.io/serviceaccount/secret.name")
    account: str = msgspec.field(name="kubernetes.io/serviceaccount/service-account.name")
    uid: str = msgspec.field(name="kubernetes.io/serviceaccount/service-account.uid")


class _Metadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    deletion_timestamp: str | None = None


class _Object(msgspec.Struct):
    metadata: _Metadata


class _Secret(msgspec.Struct):
    metadata: _Metadata
    data: dict[str, bytes] = msgspec.field(default_factory=dict)


class _Issued(msgspec.Struct):
    iss: str = ""


class _Remembered(NamedTuple):
    user: User
    claims: Claims
    secret: str
    """The Secret that it stands in, if it does."""
    revision: int
    """The hub's revision at which the objects that the token is bound to were there."""


class ServiceAccountTokens:
    """Signs tokens with one key, and accepts those that it signed while what they are bound to exists."""

    def __init__(
        self,
        key: bytes,
        objects: Objects,
        clock: Clock,
        issuer: str = ISSUER,
        audiences: tuple[str, ...] = (),
    ) -> None:
        """`key` is a private key in PEM (ECDSA P-256, P-384, P-521 or RSA); `audiences` what the API server answers to,
        its issuer when none is given."""
        self.issuer = issuer
        self.audiences = audiences or (issuer,)
        self._pem = key
        self._objects = objects
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self.used: Callable[[str, str, str], None] = lambda namespace, name, label: None
        """Told of the Secret whose token was used, and what its label LAST_USED says."""

    @cached_property
    def _signer(self) -> signing.Signer:
        """Made at first use: a brought key's library takes 50 ms."""
        return signing.load(self._pem)

    def sign(
        self,
        namespace: str,
        account: tuple[str, str],
        *,
        audiences: list[str],
        seconds: int,
        bound: dict[str, tuple[str, str]],
        warn_after: int = 0,
    ) -> tuple[str, float]:
        """A token for the service account `account` (name, uid) and the time at which it expires.

        `bound` holds name and uid by kind (pod, secret, node). With `warn_after` use later than so many seconds is
        reported though the token still counts.
        """
        now = int(self._clock.now())
        private: dict[str, Any] = {
            "namespace": namespace,
            **{kind: {"name": name, "uid": uid} for kind, (name, uid) in bound.items()},
            "serviceaccount": {"name": account[0], "uid": account[1]},
        }
        if warn_after:
            private["warnafter"] = now + warn_after
        claims = {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": self._clock.uuid(),
            "kubernetes.io": private,
            "nbf": now,
            "sub": service_account_name(namespace, account[0]),
        }
        return self._signer.sign(claims), float(now + seconds)

    def authenticate(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[User, list[str]] | None:
        """The token's user, and which of `audiences` (the API server's own when empty) it is for.

        None for a token that is not one of ours. Raises TokenError for one of ours that does not count.
        """
        known = self._remembered.get(token)
        if known is None:
            verified = self._verify(token)
            if verified is None:
                return None
            claims, secret = verified
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            user = self._user(claims)
        else:
            user, claims, secret = known.user, known.claims, known.secret
        wanted = audiences or self.audiences
        shared = [audience for audience in wanted if audience in claims.audiences]
        if not shared:
            raise TokenError(
                f"token audiences {_list(claims.audiences)} is invalid for the target audiences {_list(wanted)}"
            )
        now = self._clock.now()
        if now > claims.exp + LEEWAY:
            self._remembered.pop(token, None)
            raise TokenError("service account token has expired")
        if now < claims.nbf - LEEWAY:
            raise TokenError("service account token is not valid yet")
        revision = self._objects.revision
        if known is None or known.revision != revision:
            self._check_bound(claims.private)
            if secret:
                self._check_secret(claims, secret, token)
            self._remembered[token] = _Remembered(user, claims, secret, revision)
        return user, shared

    def _verify(self, token: str) -> tuple[Claims, str] | None:
        """The claims of a token that carries our signature, and the Secret it stands in; None for any other."""
        if token.count(".") != 2:
            return None
        said = self._signer.verify(token)
        if said is None:
            return None
        try:  # the times are checked against our own clock
            if msgspec.json.decode(said, type=_Issued).iss == LEGACY_ISSUER:
                return self._legacy(msgspec.json.decode(said, type=_Legacy))
            claims = msgspec.json.decode(said, type=Claims)
        except msgspec.MsgspecError:
            return None
        return (claims, "") if claims.iss == self.issuer else None

    def _legacy(self, said: _Legacy) -> tuple[Claims, str] | None:
        """The same, of a token that has neither audience nor end."""
        if said.sub != service_account_name(said.namespace, said.account):
            return None
        private = _Private(said.namespace, _Ref(said.account, said.uid))
        return Claims(self.issuer, said.sub, aud=list(self.audiences), exp=math.inf, private=private), said.secret

    def _user(self, claims: Claims) -> User:
        private = claims.private
        more: dict[str, list[str]] = {}
        if claims.jti:
            more[CREDENTIAL_ID] = [f"JTI={claims.jti}"]
        for kind in ("pod", "node"):
            ref: _Ref | None = getattr(private, kind)
            if ref:
                more[f"authentication.kubernetes.io/{kind}-name"] = [ref.name]
                more[f"authentication.kubernetes.io/{kind}-uid"] = [ref.uid]
        return User(
            service_account_name(private.namespace, private.serviceaccount.name),
            (*service_account_groups(private.namespace), ALL_AUTHENTICATED),
            private.serviceaccount.uid,
            extra(more),
        )

    def _check_bound(self, private: _Private) -> None:
        namespace, account = private.namespace, private.serviceaccount
        found = self._metadata("serviceaccounts", namespace, account.name)
        if found is None:
            raise TokenError(f'serviceaccount "{account.name}" not found')
        if self._gone(found):
            raise TokenError(f"service account {namespace}/{account.name} has been deleted")
        if found.uid != account.uid:
            raise TokenError(f"service account UID ({found.uid}) does not match claim ({account.uid})")
        self._check("secrets", "secret", namespace, private.secret)
        self._check("pods", "pod", namespace, private.pod)
        if private.pod is None:
            # a token of a pod is bound to the pod alone; its node is only told
            self._check("nodes", "node", "", private.node)

    def _check_secret(self, claims: Claims, name: str, token: str) -> None:
        namespace = claims.private.namespace
        found = self._objects.get("secrets", namespace, name)
        secret = None if found is None else msgspec.json.decode(found[0], type=_Secret)
        if secret is None or secret.metadata.deletion_timestamp is not None:
            raise TokenError("service account token has been invalidated")
        if secret.data.get("token", b"") != token.encode():
            raise TokenError("service account token does not match server's copy")
        labels = secret.metadata.labels
        self.used(namespace, name, labels.get(LAST_USED, ""))
        if labels.get(INVALID_SINCE):
            account = f"{namespace}/{claims.private.serviceaccount.name}"
            raise TokenError(
                f"the token in secret {namespace}/{name} for service account {account} has been marked invalid. "
                "Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the "
                f"'{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )

    def _check(self, resource: str, kind: str, namespace: str, ref: _Ref | None) -> None:
        if ref is None:
            return
        found = self._metadata(resource, namespace, ref.name)
        if found is None or self._gone(found):
            raise TokenError("service account token has been invalidated")
        if found.uid != ref.uid:
            raise TokenError(f"{kind} UID ({found.uid}) does not match service account {kind} ref claim ({ref.uid})")

    def _gone(self, metadata: _Metadata) -> bool:
        deleted = metadata.deletion_timestamp
        return deleted is not None and parse_time(deleted) < self._clock.now() - LEEWAY

    def _metadata(self, resource: str, namespace: str, name: str) -> _Metadata | None:
        found = self._objects.get(resource, namespace, name)
        return None if found is None else msgspec.json.decode(found[0], type=_Object).metadata

    def key_set(self) -> bytes:
        """/openid/v1/jwks: the public key, for others who verify tokens (RFC 7517)."""
        names = {"kid": self._signer.key_id, "alg": self._signer.algorithm}
        return msgspec.json.encode({"keys": [{"use": "sig", **self._signer.public(), **names}]})

    def openid_configuration(self, jwks_uri: str = "") -> bytes:
        """/.well-known/openid-configuration (OpenID Connect Discovery, as much as verifying tokens needs)."""
        return msgspec.json.encode(
            {
                "issuer": self.issuer,
                "jwks_uri": jwks_uri or f"{self.issuer}/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [self._signer.algorithm],
            }
        )


def _list(values: list[str] | tuple[str, ...]) -> str:
    """As Go's %q shows a list."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
