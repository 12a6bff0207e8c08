"""What every handler is given: the store, the hub and the rules, in one place."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orlop.apiserver.auth import Authenticator, Authorizer
from orlop.apiserver.auth.tokens import ServiceAccountTokens
from orlop.apiserver.auth.user import User
from orlop.apiserver.config import Config
from orlop.apiserver.crd.served import Served
from orlop.apiserver.flows import Flows
from orlop.apiserver.registry.objects import Objects
from orlop.apiserver.registry.strategy import Strategy
from orlop.clock import Clock
from orlop.native import Hub
from orlop.store.base import Store
from orlop.store.feed import Waker

if TYPE_CHECKING:
    from orlop.apiserver.admission import Chain
    from orlop.apiserver.aggregate.follow import Aggregator
    from orlop.apiserver.alike import Alike
    from orlop.apiserver.audit import Auditor
    from orlop.apiserver.subresources.kubelet import Kubelets
    from orlop.apiserver.webhooks.client import WebhookClient

TokenIssuer = Callable[[str, str, Any], Awaitable[Any]]
"""(namespace, service account, TokenRequest) → TokenRequest with its status. Raises ApiError."""


@dataclass(kw_only=True)
class Core:
    """The server without its network."""

    config: Config
    clock: Clock
    store: Store
    hub: Hub
    waker: Waker
    objects: Objects
    strategies: dict[str, Strategy]
    custom: Served
    """The custom resources that are served."""
    webhooks: "WebhookClient"
    """How all webhooks are called."""
    aggregator: "Aggregator" = field(init=False)
    """The API servers beside this one."""
    admission: "Chain"
    alike: "Alike"
    authenticator: Authenticator
    authorizer: Authorizer
    flows: Flows
    """Which FlowSchema a request belongs to."""
    kubelets: "Kubelets | None" = None
    issue_token: TokenIssuer | None = None
    tokens: ServiceAccountTokens | None = None
    reviews: dict[str, Callable[["User", Any], Awaitable[Any]]] = field(default_factory=dict)
    """How the create-only review kinds are answered, by type key: (user, review) → review."""
    background: Callable[[str, Coroutine[Any, Any, None]], Any] = lambda _, work: asyncio.ensure_future(work)
    """Starts a task of the server's own."""
    ready: Callable[[], bool] = lambda: True
    scraper: Any = None
    """The readings behind the metrics API: a `resourcemetrics.Scraper`, which itself knows of all this."""
    auditor: "Auditor | None" = None
    """Who records requests; None: nobody."""
    stopping: bool = False
    joined: set["asyncio.Task[None]"] = field(default_factory=set)
    """Connections that are passed on as they are: ended when the server stops."""
