"""ServiceAccount: every pod has an account and, unless it declines, its token as a projected volume.

The rules are those of plugin/pkg/admission/serviceaccount.
"""

from orlop.api import errors, scheme
from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.registry.projected import TOKEN_PROJECTION

DEFAULT_ACCOUNT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
DEFAULT_TRIES = 10
"""The default account of a new namespace comes from a controller: how often it is looked for."""
RETRY_SECONDS = 0.1

_ACCOUNT = scheme.by_resource("", "v1", "serviceaccounts")


class ServiceAccount(Admission):
    """Sets the account, checks that it exists, mounts its token."""

    resources = ("pods",)
    operations = ("CREATE",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("serviceaccounts",)

    async def admit(self, a: Attributes) -> None:
        pod: core_v1.Pod = a.object
        spec = pod.spec
        if MIRROR_ANNOTATION in pod.metadata.annotations:
            self._mirror(a)
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

    def _mirror(self, a: Attributes) -> None:
        spec = a.object.spec
        if spec.service_account_name:
            raise errors.forbidden("pods", "", a.name, "a mirror pod may not reference service accounts")
        for volume in spec.volumes:
            if volume.projected and any(s.service_account_token for s in volume.projected.sources):
                raise errors.forbidden(
                    "pods", "", a.name, "a mirror pod may not use ServiceAccountToken volume projections"
                )

    async def _account(self, a: Attributes, name: str) -> core_v1.ServiceAccount:
        assert _ACCOUNT is not None
        for attempt in range(DEFAULT_TRIES if name == DEFAULT_ACCOUNT else 1):
            if attempt:
                await self.clock.sleep(RETRY_SECONDS)
            found: core_v1.ServiceAccount | None = self.objects.get(_ACCOUNT, a.namespace, name)
            if found is not None:
                return found
        raise errors.forbidden(
            "pods",
            "",
            a.name,
            f'error looking up service account {a.namespace}/{name}: serviceaccount "{name}" not found',
        )

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
