"""ServiceAccount: every pod has an account and, unless it declines, its token as a projected volume.

The rules are those of plugin/pkg/admission/serviceaccount.
"""

from collections.abc import Container, Sequence

from orlop.api import errors, scheme
from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.auth.node import references
from orlop.apiserver.registry.projected import TOKEN_PROJECTION

DEFAULT_ACCOUNT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
DEFAULT_TRIES = 10
"""The default account of a new namespace comes from a controller: how often it is looked for."""
RETRY_SECONDS = 0.1
ENFORCE_SECRETS = "kubernetes.io/enforce-mountable-secrets"
"""An account's annotation: its pods may use its own Secrets alone."""
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's ParseBool takes for true."""

_ACCOUNT = scheme.by_resource("", "v1", "serviceaccounts")


class ServiceAccount(Admission):
    """Sets the account, checks that it exists, mounts its token."""

    resources = ("pods",)
    operations = ("CREATE", "UPDATE")
    subresources = ("", "ephemeralcontainers")

    def handles(self, a: Attributes) -> bool:
        return super().handles(a) and (a.operation == "UPDATE") == (a.subresource == "ephemeralcontainers")

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("serviceaccounts",)

    async def admit(self, a: Attributes) -> None:
        pod: core_v1.Pod = a.object
        spec = pod.spec
        if a.operation == "UPDATE" or MIRROR_ANNOTATION in pod.metadata.annotations:
            return
        if not spec.service_account_name:
            spec.service_account_name = DEFAULT_ACCOUNT
        spec.service_account = spec.service_account_name
        account = await self._account(a, spec.service_account_name)
        automount = spec.automount_service_account_token
        if automount is None:
            automount = account.automount_service_account_token
        if automount is not False:
            self._mount(a, spec)
        if not spec.image_pull_secrets:
            spec.image_pull_secrets = list(account.image_pull_secrets)

    async def validate(self, a: Attributes) -> None:
        pod: core_v1.Pod = a.object
        spec = pod.spec
        if MIRROR_ANNOTATION in pod.metadata.annotations:
            if a.operation == "CREATE" and (why := _wrong_with_mirror(pod)):
                raise errors.forbidden("pods", "", a.name, why)
            return
        name = spec.service_account_name
        if not name:
            # Somebody has taken it away since it was set.
            why = f"no service account specified for pod {a.namespace}/{pod.metadata.name}"
            raise errors.forbidden("pods", "", a.name, why)
        found = self.objects.hub.get("serviceaccounts", a.namespace, name)
        if found is None:
            if a.operation == "CREATE":
                raise self._missing(a, name)
            return
        if ENFORCE_SECRETS.encode() not in found[0]:
            return
        assert _ACCOUNT is not None
        account: core_v1.ServiceAccount = self.objects.decode(_ACCOUNT, found[0])
        if account.metadata.annotations.get(ENFORCE_SECRETS) in TRUE and (why := _unlisted_secret(a, account)):
            raise errors.forbidden("pods", "", a.name, why)

    async def _account(self, a: Attributes, name: str) -> core_v1.ServiceAccount:
        assert _ACCOUNT is not None
        for attempt in range(DEFAULT_TRIES if name == DEFAULT_ACCOUNT else 1):
            if attempt:
                await self.clock.sleep(RETRY_SECONDS)
            found: core_v1.ServiceAccount | None = self.objects.get(_ACCOUNT, a.namespace, name)
            if found is not None:
                return found
        raise self._missing(a, name)

    @staticmethod
    def _missing(a: Attributes, name: str) -> errors.Forbidden:
        why = f'error looking up service account {a.namespace}/{name}: serviceaccount "{name}" not found'
        return errors.forbidden("pods", "", a.name, why)

    def _mount(self, a: Attributes, spec: core_v1.PodSpec) -> None:
        volume = next((v.name for v in spec.volumes if _is_token_volume(v)), "")
        used = False
        if not volume:
            taken = {v.name for v in spec.volumes}
            while not volume or volume in taken:
                volume = self.objects.generate_name(VOLUME_PREFIX)
            a.drawn.append((VOLUME_PREFIX, volume))
        for container in [*spec.init_containers, *spec.containers]:
            if any(m.mount_path == MOUNT_PATH for m in container.volume_mounts):
                continue
            container.volume_mounts.append(core_v1.VolumeMount(name=volume, read_only=True, mount_path=MOUNT_PATH))
            used = True
        if used and not any(v.name == volume for v in spec.volumes):
            spec.volumes.append(core_v1.Volume(name=volume, projected=TOKEN_PROJECTION))


def _is_token_volume(volume: core_v1.Volume) -> bool:
    return volume.name.startswith(VOLUME_PREFIX) and volume.projected is not None


def _wrong_with_mirror(pod: core_v1.Pod) -> str:
    """What a pod that mirrors a file of its node may not speak of."""
    if pod.spec.service_account_name:
        return "a mirror pod may not reference service accounts"
    if any(resource == "secrets" for resource, _ in references(pod)):
        return "a mirror pod may not reference secrets"
    for volume in pod.spec.volumes:
        if volume.projected and any(s.service_account_token for s in volume.projected.sources):
            return "a mirror pod may not use ServiceAccountToken volume projections"
    return ""


def _unlisted_secret(a: Attributes, account: core_v1.ServiceAccount) -> str:
    """Which of a pod's Secrets its account does not name; of an update, of its ephemeral containers."""
    spec: core_v1.PodSpec = a.object.spec
    listed = {secret.name for secret in account.secrets}
    because = f"is not allowed because service account {account.metadata.name} does not reference that"
    if a.operation == "UPDATE":
        return _in_containers("ephemeral container", spec.ephemeral_containers, listed, because)
    for volume in spec.volumes:
        if volume.secret is not None and volume.secret.secret_name not in listed:
            return f'volume with secret.secretName="{volume.secret.secret_name}" {because} secret'
    for what, containers in (("init container", spec.init_containers), ("container", spec.containers)):
        if why := _in_containers(what, containers, listed, because):
            return why
    pulls = {secret.name for secret in account.image_pull_secrets}
    for i, pull in enumerate(spec.image_pull_secrets):
        if pull.name not in pulls:
            return f'imagePullSecrets[{i}].name="{pull.name}" {because} imagePullSecret'
    return ""


def _in_containers(
    what: str,
    containers: Sequence[core_v1.Container | core_v1.EphemeralContainer],
    listed: Container[str],
    because: str,
) -> str:
    for container in containers:
        for env in container.env:
            key = None if env.value_from is None else env.value_from.secret_key_ref
            if key is not None and key.name not in listed:
                where = f'{what} {container.name} with envVar {env.name} referencing secret.secretName="{key.name}"'
                return f"{where} {because} secret"
        for source in container.env_from:
            if source.secret_ref is not None and source.secret_ref.name not in listed:
                where = f'{what} {container.name} with envFrom referencing secret.secretName="{source.secret_ref.name}"'
                return f"{where} {because} secret"
    return ""
