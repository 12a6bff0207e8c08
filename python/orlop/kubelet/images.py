"""Has the image there before a container is made, as imagePullPolicy says."""

import base64
import json

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services, container_reference

PULL_INITIAL = 10.0
"""Seconds before the second try of a pull."""
PULL_MAX = 300.0
"""Longest pause between tries."""


class ImageProblem(Exception):
    """Why a container waits for its image; `reason` is Kubernetes' word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


async def ensure_image(services: Services, pod: core_v1.Pod, container: core_v1.Container) -> v.Image | None:
    """The image, pulled where the policy asks for it. Raises ImageProblem."""
    reference = container_reference(pod, container)
    image = container.image
    try:
        present = await services.runtime.image_status(image)
    except base.ImageFailure as error:
        services.events.event(
            reference, "Warning", error.reason, f'Failed to apply default image tag "{image}": {error}'
        )
        raise ImageProblem(error.reason, f'Failed to apply default image tag "{image}": {error}') from error
    policy = container.image_pull_policy or "IfNotPresent"
    if present is not None and policy != "Always":
        services.events.event(
            reference,
            "Normal",
            "Pulled",
            f'Container image "{image}" already present on machine and can be accessed by the pod',
        )
        return present
    if policy == "Never":
        message = f'Container image "{image}" is not present with pull policy of Never'
        services.events.event(reference, "Warning", "ErrImageNeverPull", message)
        raise ImageProblem("ErrImageNeverPull", message)
    key = f"{pod.metadata.uid}/{image}"
    if services.pulls.left(key) > 0:
        message = f'Back-off pulling image "{image}"'
        services.events.event(reference, "Normal", "BackOff", message)
        raise ImageProblem("ImagePullBackOff", message)
    services.events.event(reference, "Normal", "Pulling", f'Pulling image "{image}"')
    began = services.clock.monotonic()
    try:
        await services.runtime.pull_image(image, await _auth(services, pod, image))
    except base.ImageFailure as error:
        services.pulls.next(key, services.clock.now())
        services.events.event(reference, "Warning", "Failed", f'Failed to pull image "{image}": {error}')
        services.events.event(reference, "Warning", "Failed", f"Error: {error.reason}")
        raise ImageProblem(error.reason, str(error)) from error
    took = services.clock.monotonic() - began
    found = await services.runtime.image_status(image)
    size = found.size if found else 0
    services.events.event(
        reference,
        "Normal",
        "Pulled",
        f'Successfully pulled image "{image}" in {took:.3f}s ({took:.3f}s including waiting). '
        f"Image size: {size} bytes.",
    )
    return found


async def _auth(services: Services, pod: core_v1.Pod, image: str) -> v.AuthConfig | None:
    """The credentials of the pod's imagePullSecrets for the image's registry, if it has them."""
    first = image.split("/", 1)[0]
    registry = first if "/" in image and ("." in first or ":" in first or first == "localhost") else "docker.io"
    for reference in pod.spec.image_pull_secrets:
        try:
            secret = await services.sources.get(core_v1.Secret, pod.metadata.namespace, reference.name)
        except errors.ApiError:
            continue
        raw = secret.data.get(".dockerconfigjson")
        entries = json.loads(raw).get("auths", {}) if raw else json.loads(secret.data.get(".dockercfg", b"{}"))
        for host, entry in entries.items():
            if registry in host:
                return _entry(host, entry)
    return None


def _entry(host: str, entry: dict[str, str]) -> v.AuthConfig:
    user, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return v.AuthConfig(
        username=user, password=password, server_address=host, identity_token=entry.get("identitytoken", "")
    )
