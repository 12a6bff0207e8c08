"""Who may use the kubelet's server: clients with a certificate of the cluster's CA or a token the API vouches for,
and whom the API server allows what they ask (webhook mode, pkg/kubelet/server/auth.go)."""

from typing import Any

import msgspec

from orlop.api.types import authentication_v1, authorization_v1
from orlop.client.client import Client
from orlop.clock import Clock

ALLOWED_SECONDS, DENIED_SECONDS = 300.0, 30.0
"""How long an answer of the API is trusted (upstream: cacheAuthorizedTTL, cacheUnauthorizedTTL)."""

MASTERS = "system:masters"

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class User(msgspec.Struct, frozen=True):
    """A name and its groups."""

    name: str
    groups: tuple[str, ...] = ()


def subject(certificate: dict[str, Any]) -> User | None:
    """The user a client certificate names: CN, groups from O (as ssl.getpeercert gives it)."""
    name, groups = "", []
    for relative in certificate.get("subject", ()):
        for key, value in relative:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return User(name, tuple(groups)) if name else None


def attributes(method: str, path: str) -> tuple[str, str]:
    """(verb, subresource of nodes) that a request needs."""
    verb = VERBS.get(method, "get")
    first = path.strip("/").split("/", 1)[0]
    return verb, {"stats": "stats", "metrics": "metrics", "containerLogs": "proxy", "healthz": "healthz"}.get(
        first, "proxy"
    )


class Access:
    """Remembers the API's answers for a while."""

    def __init__(self, client: Client, clock: Clock, node: str) -> None:
        self._client = client
        self._clock = clock
        self._node = node
        self._tokens: dict[str, tuple[User | None, float]] = {}
        self._answers: dict[tuple[User, str, str], tuple[bool, float]] = {}

    async def user_of_token(self, token: str) -> User | None:
        """Whom a bearer token stands for; None for one that is not good."""
        now = self._clock.monotonic()
        known = self._tokens.get(token)
        if known is not None and now < known[1]:
            return known[0]
        review = await self._client.create(
            authentication_v1.TokenReview(spec=authentication_v1.TokenReviewSpec(token=token))
        )
        user = None
        if review.status.authenticated:
            user = User(review.status.user.username, tuple(review.status.user.groups))
        self._tokens[token] = (user, now + DENIED_SECONDS)
        return user

    async def allowed(self, user: User, method: str, path: str) -> bool:
        """Whether the API server lets `user` do this to the node."""
        if MASTERS in user.groups:
            return True
        verb, subresource = attributes(method, path)
        key = (user, verb, subresource)
        now = self._clock.monotonic()
        known = self._answers.get(key)
        if known is not None and now < known[1]:
            return known[0]
        review = await self._client.create(
            authorization_v1.SubjectAccessReview(
                spec=authorization_v1.SubjectAccessReviewSpec(
                    user=user.name,
                    groups=list(user.groups),
                    resource_attributes=authorization_v1.ResourceAttributes(
                        verb=verb, version="v1", resource="nodes", subresource=subresource, name=self._node
                    ),
                )
            )
        )
        allowed = review.status.allowed
        self._answers[key] = (allowed, now + (ALLOWED_SECONDS if allowed else DENIED_SECONDS))
        return allowed
