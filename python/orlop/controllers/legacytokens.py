"""Tokens that were made for ServiceAccounts by themselves, before 1.24, and that nobody uses: KEP-2799.

Upstream: pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go. The API server writes on each such
Secret when its token was last used, and in a ConfigMap since when it does. One that has not been used for a year is
first marked as invalid, and after another year it goes.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.serviceaccounttokens import NAME, TYPE, UID

TRACKING = Key("kube-system", "kube-apiserver-legacy-service-account-token-tracking")
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
DAY = "%Y-%m-%d"
INTERVAL = 24 * 3600.0
"""Seconds between two looks at all."""
CLEAN_UP_PERIOD = 365 * 24 * 3600.0
"""Seconds without use, upstream's --legacy-service-account-token-clean-up-period."""
ALL = Key("", "tokens")


class LegacyTokenCleaner(Controller):
    """All Secrets are the one key."""

    name = "legacy-serviceaccount-token-cleaner-controller"
    account = "legacy-service-account-token-cleaner"

    def __init__(self, period: float = CLEAN_UP_PERIOD) -> None:
        """`period`: seconds that a token must not have been used."""
        self._period = timedelta(seconds=period)

    def setup(self, builder: Builder) -> None:
        self.secrets = builder.informer(core_v1.Secret, fields=f"type={TYPE}")
        self.accounts = builder.informer(core_v1.ServiceAccount)
        builder.workers(1)

    async def prepare(self) -> None:
        self.context.enqueue(ALL, 0.0)

    async def reconcile(self, key: Key) -> Result | None:
        now = datetime.fromtimestamp(self.context.clock.now(), UTC)
        since = await self._tracked_since()
        if since is not None and now >= since + timedelta(days=1) + self._period:
            used: dict[str, set[str]] = {}
            for secret in sorted(self.secrets.items(), key=lambda s: (s.metadata.namespace, s.metadata.name)):
                if self._is_unused(secret, now):
                    namespace = secret.metadata.namespace
                    if namespace not in used:
                        used[namespace] = await self._in_pods(namespace)
                    if secret.metadata.name not in used[namespace]:
                        await self._retire(secret, now)
        return Result(requeue_after=INTERVAL)

    async def _tracked_since(self) -> datetime | None:
        """The day from which on the server notes each use; None if it does not say."""
        try:
            found = await self.context.client.get(core_v1.ConfigMap, TRACKING.name, TRACKING.namespace)
        except errors.NotFound:
            return None
        return _day(found.data.get("since", ""))

    def _is_unused(self, secret: core_v1.Secret, now: datetime) -> bool:
        """Made by itself, and neither made nor used for so long."""
        meta = secret.metadata
        before = now - self._period
        if meta.deletion_timestamp is not None or parse_time(meta.creation_timestamp) >= before.timestamp():
            return False
        last = meta.labels.get(LAST_USED)
        if last is not None and (_day(last) is None or last >= before.strftime(DAY)):
            return False
        account = self.accounts.get(meta.namespace, meta.annotations.get(NAME, ""))
        if account is None or meta.annotations.get(UID, "") not in ("", account.metadata.uid):
            return False
        return any(ref.name == meta.name for ref in account.secrets)

    async def _in_pods(self, namespace: str) -> set[str]:
        """The Secrets that pods of the namespace name."""
        pods = (await self.context.reader.list(core_v1.Pod, namespace)).items
        return {name for pod in pods for name in secret_names(pod)}

    async def _retire(self, secret: core_v1.Secret, now: datetime) -> None:
        """Marks it; or, marked for so long, takes it away."""
        meta, client = secret.metadata, self.context.client
        since = meta.labels.get(INVALID_SINCE, "")
        with suppress(errors.NotFound, errors.Conflict):  # gone, or changed meanwhile: used perhaps
            if _day(since) is None:
                patch = {"metadata": {"uid": meta.uid, "labels": {INVALID_SINCE: now.strftime(DAY)}}}
                await client.patch(core_v1.Secret, meta.name, meta.namespace, patch)
            elif since < (now - self._period).strftime(DAY):
                revision = meta.resource_version
                await client.delete(core_v1.Secret, meta.name, meta.namespace, uid=meta.uid, resource_version=revision)


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, DAY).replace(tzinfo=UTC)
    except ValueError:
        return None


def secret_names(pod: core_v1.Pod) -> Iterator[str]:
    """Every Secret that the pod names: upstream's VisitPodSecretNames in pkg/api/v1/pod/util.go."""
    spec = pod.spec
    yield from (ref.name for ref in spec.image_pull_secrets)
    containers: list[core_v1.Container | core_v1.EphemeralContainer] = [
        *spec.init_containers,
        *spec.containers,
        *spec.ephemeral_containers,
    ]
    for container in containers:
        yield from (source.secret_ref.name for source in container.env_from if source.secret_ref is not None)
        for variable in container.env:
            if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
                yield variable.value_from.secret_key_ref.name
    for volume in spec.volumes:
        if volume.secret is not None:
            yield volume.secret.secret_name
        if volume.azure_file is not None:
            yield volume.azure_file.secret_name
        if volume.projected is not None:
            yield from (part.secret.name for part in volume.projected.sources if part.secret is not None)
        if volume.csi is not None and volume.csi.node_publish_secret_ref is not None:
            yield volume.csi.node_publish_secret_ref.name
        for source in (volume.cephfs, volume.flex_volume, volume.iscsi, volume.rbd, volume.scale_io, volume.storageos):
            if source is not None and source.secret_ref is not None:
                yield source.secret_ref.name
