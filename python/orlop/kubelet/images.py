"""Has the image there before a container is made, as imagePullPolicy says."""

from typing import Literal

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.kubelet import pullsecrets
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
    image = container.image

    def tell(type_: Literal["Normal", "Warning"], reason: str, message: str) -> str:
        services.events.event(container_reference(pod, container), type_, reason, message)
        return message

    try:
        present = await services.runtime.image_status(image)
    except base.ImageFailure as error:
        what = "apply default image tag" if error.reason == "InvalidImageName" else "inspect image"
        message = tell("Warning", "InspectFailed", f'Failed to {what} "{image}": {error}')
        raise ImageProblem(error.reason, message) from error
    policy = container.image_pull_policy or "IfNotPresent"
    if present is not None and policy != "Always":
        tell(
            "Normal",
            "Pulled",
            f'Container image "{image}" already present on machine and can be accessed by the pod',
        )
        return present
    if policy == "Never":
        message = f'Container image "{image}" is not present with pull policy of Never'
        raise ImageProblem("ErrImageNeverPull", tell("Warning", "ErrImageNeverPull", message))
    key = f"{pod.metadata.uid}/{image}"
    if services.pulls.left(key) > 0:
        message = tell("Normal", "BackOff", f'Back-off pulling image "{image}"')
        raise ImageProblem("ImagePullBackOff", _with_cause(pod, container, message))
    tell("Normal", "Pulling", f'Pulling image "{image}"')
    began = services.clock.monotonic()
    try:
        await _pull(services, pod, image)
    except base.ImageFailure as error:
        services.pulls.next(key, services.clock.now())
        tell("Warning", "Failed", f'Failed to pull image "{image}": {error}')
        raise ImageProblem(error.reason, str(error)) from error
    took = services.clock.monotonic() - began
    found = await services.runtime.image_status(image)
    size = found.size if found else 0
    tell(
        "Normal",
        "Pulled",
        f'Successfully pulled image "{image}" in {took:.3f}s ({took:.3f}s including waiting). '
        f"Image size: {size} bytes.",
    )
    return found


def _with_cause(pod: core_v1.Pod, container: core_v1.Container, message: str) -> str:
    """The back-off's message and what the last pull said, as the pod's status shows it."""
    status = pod.status
    for before in [
        *status.init_container_statuses,
        *status.container_statuses,
        *status.ephemeral_container_statuses,
    ]:
        waiting = before.state.waiting
        if before.name == container.name and waiting is not None:
            if waiting.reason == "ImagePullBackOff":
                return waiting.message
            if waiting.reason in ("ErrImagePull", "RegistryUnavailable"):
                return f"{message}: {waiting.reason}: {waiting.message}"
    return message


async def _pull(services: Services, pod: core_v1.Pod, image: str) -> None:
    """Pulls with each of the pod's credentials for the image until one is accepted; without any if it has none.

    Raises ImageFailure.
    """
    secrets = []
    for reference in pod.spec.image_pull_secrets:
        try:
            secrets.append(await services.sources.get(core_v1.Secret, pod.metadata.namespace, reference.name))
        except errors.ApiError:
            services.events.event(
                pod,
                "Warning",
                "FailedToRetrieveImagePullSecret",
                f"Unable to retrieve some image pull secrets ({reference.name}); attempting to pull the image may not "
                "succeed.",
            )
    failures = []
    tries: list[v.AuthConfig | None] = [*pullsecrets.candidates(secrets, image)]
    for auth in tries or [None]:
        try:
            await services.runtime.pull_image(image, auth)
            return
        except base.ImageFailure as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    raise base.ImageFailure(failures[-1].reason, "[" + ", ".join(map(str, failures)) + "]")
