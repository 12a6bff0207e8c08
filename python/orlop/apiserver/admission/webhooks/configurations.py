"""The webhooks that are configured, in the order in which they are asked."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orlop.api import scheme
from orlop.api.types import admissionregistration_v1 as types
from orlop.apiserver.admission import matching
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.admission.expressions import Conditions
from orlop.apiserver.registry.objects import Objects

Webhook = types.MutatingWebhook | types.ValidatingWebhook


class Hook(NamedTuple):
    """One webhook."""

    uid: str
    """Tells it from others: a configuration's names need not be unique between configurations."""
    configuration: str
    webhook: Webhook
    matcher: matching.Matcher
    conditions: Conditions

    @property
    def name(self) -> str:
        return self.webhook.name

    @property
    def ignores_failure(self) -> bool:
        return self.webhook.failure_policy == "Ignore"


class Configurations:
    """One kind of configurations: read again when one of them changes, so that each holds for all later requests."""

    def __init__(self, objects: Objects, plural: str, step: str) -> None:
        kind = scheme.by_resource(matching.GROUP, "v1", plural)
        assert kind is not None
        self.kind = kind
        self._objects = objects
        self._step = step
        self._revision = -1
        self._hooks: tuple[Hook, ...] = ()

    def hooks(self) -> tuple[Hook, ...]:
        """In the order of their configurations' names."""
        newest = self._objects.hub.newest(self.kind.resource)
        if newest != self._revision:
            self._hooks = tuple(self._read())
            self._revision = newest
        return self._hooks

    def _read(self) -> Iterator[Hook]:
        items = self._objects.hub.list(self.kind.resource, None, "", "", 0, None).items
        found = [self._objects.decode(self.kind, item) for item in items]
        for configuration in sorted(found, key=lambda c: str(c.metadata.name)):
            name = configuration.metadata.name
            for i, hook in enumerate(configuration.webhooks):
                conditions = Conditions(hook.match_conditions, (hook.name, "webhook", self._step))
                yield Hook(f"{name}/{hook.name}/{i}", name, hook, matching.of_webhook(hook), conditions)

    def concern(self, a: Attributes, resources: Sequence[tuple[str, str, str]]) -> bool:
        """Whether any may be asked about writes like this."""
        return any(hook.matcher.may_match(a, resources) for hook in self.hooks())
