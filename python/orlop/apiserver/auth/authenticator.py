"""Who a request comes from: a certificate, a bearer token, the caller in the same process, or nobody known."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from orlop.api import errors
from orlop.apiserver.auth.tokens import TokenError
from orlop.apiserver.auth.user import ANONYMOUS, User, authenticated
from orlop.apiserver.auth.x509 import PEER, Peer
from orlop.clock import Clock

LOCAL_USER = "orlop.user"
"""The key in scope["state"] by which a caller in the same process says who it is. No header can set it."""
_WEBSOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."
"""Browsers cannot set headers on a WebSocket: the token comes as a subprotocol."""


class TokenAuthenticator(Protocol):
    """One kind of bearer token: None for a token of another kind, TokenError for one that does not count."""

    def authenticate(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[User, list[str]] | None: ...


class Authenticator:
    """Tries what a request carries in upstream's order. With no credentials at all it is `system:anonymous`."""

    def __init__(self, tokens: Sequence[TokenAuthenticator], clock: Clock, *, anonymous: bool = True) -> None:
        self._tokens = tokens
        self._clock = clock
        self._anonymous = anonymous

    def authenticate(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> User:
        """The user of a request; `headers` are its fields by lower-case name. Raises Unauthorized."""
        state = scope.get("state")
        if state:
            local: User | None = state.get(LOCAL_USER)
            if local is not None:
                return local
            peer: Peer | None = state.get(PEER)
            if peer is not None and self._clock.now() < peer.not_after:
                return peer.user
            if peer is not None:
                raise errors.Unauthorized
        token = _bearer(headers)
        if token:
            try:
                found = self.token(token)
            except TokenError:
                found = None
            if found is None:
                raise errors.Unauthorized
            return found[0]
        if not self._anonymous:
            raise errors.Unauthorized
        return ANONYMOUS

    def token(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[User, list[str]] | None:
        """The user of a token and which of `audiences` it is for; None if no authenticator knows it.

        Raises TokenError, with the reason, for a token of a known kind that does not count.
        """
        for authenticator in self._tokens:
            found = authenticator.authenticate(token, audiences)
            if found is not None:
                return authenticated(found[0]), found[1]
        return None


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, token = value.decode("latin-1").strip().partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    protocols = headers.get(b"sec-websocket-protocol")
    if protocols is not None:
        for protocol in protocols.decode("latin-1").split(","):
            name = protocol.strip()
            if name.startswith(_WEBSOCKET_TOKEN):
                encoded = name[len(_WEBSOCKET_TOKEN) :]
                try:
                    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
                except ValueError:
                    raise errors.Unauthorized from None
    return ""
