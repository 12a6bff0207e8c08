"""What mutating and validating webhooks share: whether one is asked, and asking it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orlop import logging
from orlop.api import errors
from orlop.api.types import admission_v1
from orlop.apiserver.admission import metrics
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.admission.deadline import remaining
from orlop.apiserver.admission.expressions import Asker, Broken, documents
from orlop.apiserver.admission.metrics import ADMIT, VALIDATE
from orlop.apiserver.admission.shown import Shown, Version
from orlop.apiserver.admission.webhooks import review
from orlop.apiserver.admission.webhooks.configurations import Configurations, Hook
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.registry.objects import Objects
from orlop.apiserver.webhooks import failures
from orlop.apiserver.webhooks.client import Endpoint, WebhookClient
from orlop.clock import Clock

DEFAULT_SECONDS = 10
"""A webhook's time where its configuration does not say."""
SIDE_EFFECT_FREE = ("None", "NoneOnDryRun")
INTERNAL = "Internal error occurred: "
MAX_CODE = 600
"""Codes above it are counted as this one: a webhook may answer with any."""
USER_AGENT = "kube-apiserver-admission"

log = logging.get("apiserver")


class Webhooks:
    """The webhooks of one kind of configuration."""

    mutating: bool
    plural: str

    def __init__(self, objects: Objects, clock: Clock, client: WebhookClient, authorizer: Authorizer) -> None:
        self.step = ADMIT if self.mutating else VALIDATE
        self.configurations = Configurations(objects, self.plural, self.step)
        self.clock = clock
        self._client = client
        self._authorizer = authorizer

    @property
    def resources(self) -> tuple[str, ...]:
        """What configures it."""
        return (self.configurations.kind.resource,)

    def any(self) -> bool:
        """Whether anything is configured."""
        return bool(self.configurations.hooks())

    def concern(self, a: Attributes, resources: Sequence[tuple[str, str, str]]) -> bool:
        """Whether any may be asked about writes like this, which may be taken for ones of these resources."""
        return self.configurations.concern(a, resources)

    async def wanted(self, hook: Hook, shown: Shown) -> Version | None:
        """In which version the webhook is shown the write; None: not at all. Raises what its conditions come to."""
        version = hook.matcher.version(shown)
        if version is None or not hook.webhook.match_conditions:
            return version
        asker = Asker(self._authorizer, shown.a.user, self.clock)
        await self.prepare(shown, version)
        try:
            holds = hook.conditions.hold(asker, lambda: documents(shown, version), shown.a.operation)
        except Broken as broken:
            if hook.ignores_failure:
                return None
            kind = shown.version.served
            raise errors.forbidden(kind.plural, kind.group, shown.a.given, str(broken)) from None
        return version if holds else None

    async def prepare(self, shown: Shown, version: Version) -> None:
        """Has the objects ready in a version. Raises InternalError where they cannot be converted."""
        try:
            await shown.prepare(version)
        except errors.ApiError as error:
            # Upstream's mutating dispatcher wraps it twice.
            raise errors.InternalError(f"{INTERNAL * (1 + self.mutating)}{error.message}") from None

    @contextmanager
    def counted(self, hook: Hook, a: Attributes) -> Iterator[None]:
        """Counts what comes of a webhook, as metrics tell it."""
        name, operation, began = hook.name, a.operation, self.clock.monotonic()
        code, error, rejected = 200, "", False
        try:
            yield
        except review.CallFailed as failure:
            code, error, rejected = failure.code, "calling_webhook_error", not hook.ignores_failure
            if not rejected:
                metrics.WEBHOOKS_FAILED_OPEN.inc(name, self.step)
            raise
        except review.Denied as denied:
            code, error, rejected = denied.status.code, "no_error", True
            raise
        except errors.ApiError:
            code, error, rejected = 0, "apiserver_internal_error", True
            raise
        finally:
            shown = str(min(code, MAX_CODE))
            if rejected:
                metrics.WEBHOOK_REJECTIONS.inc(name, self.step, operation, error, shown)
            said = str(rejected).lower()
            metrics.WEBHOOK_REQUESTS.labels(name, self.step, operation, shown, said).inc()
            taken = self.clock.monotonic() - began
            metrics.WEBHOOK_SECONDS.labels(name, self.step, operation, said).observe(taken)

    async def ask(self, hook: Hook, shown: Shown, version: Version) -> admission_v1.AdmissionResponse:
        """The webhook's answer, when it allows. Raises CallFailed, and ApiError for a refusal."""
        webhook, a = hook.webhook, shown.a
        if a.dry_run and webhook.side_effects not in SIDE_EFFECT_FREE:
            raise review.without_dry_run(hook.name)
        spoken = next((v for v in webhook.admission_review_versions if v in review.VERSIONS), None)
        if spoken is None:
            raise review.CallFailed(hook.name, "could not create admission objects: no known AdmissionReview version")
        uid = self.clock.uuid()
        body = review.question(shown, version, uid, spoken)
        left = remaining(a, self.clock)
        if left <= 0:
            raise out_of_time()
        seconds = min(float(webhook.timeout_seconds or DEFAULT_SECONDS), left)
        try:
            data = await self._client.post(Endpoint.of(webhook.client_config), body, seconds, USER_AGENT)
        except failures.CallFailed as failed:
            code = failed.status or review.NO_ANSWER
            raise review.CallFailed(hook.name, f"failed to call webhook: {failed}", code) from None
        try:
            response = review.answer(data, uid, spoken, self.mutating)
        except review.Unreadable as error:
            raise review.CallFailed(hook.name, f"failed to call webhook: {error}") from None
        except ValueError as error:
            raise review.CallFailed(hook.name, f"received invalid webhook response: {error}") from None
        for key, value in response.audit_annotations.items():
            a.annotations.setdefault(f"{hook.name}/{key}", value)
        for warning in response.warnings:
            shown.warn(warning)
        if not response.allowed:
            raise review.denied(hook.name, response.status)
        return response

    def failed(self, hook: Hook, shown: Shown, failure: review.CallFailed, at: str) -> None:
        """What follows when a webhook gave no answer: nothing but a note of where it was to be asked (`at`), if its
        failurePolicy says so. Raises ApiError."""
        if not hook.ignores_failure:
            raise failure.error() from None
        shown.a.annotations.setdefault(f"failed-open.{at}", hook.name)
        log.warning("failed calling a webhook, which is ignored", extra={"error": str(failure)})
        if remaining(shown.a, self.clock) <= 0:
            raise out_of_time() from None


def out_of_time() -> errors.Timeout:
    """The request itself took too long."""
    return errors.Timeout("Timeout: request did not complete within requested timeout")
