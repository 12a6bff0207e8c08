"""Making and deleting the pods of a controller whose pods have no numbers, with the events that tell of it."""

from typing import Any

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.client import copy
from orlop.control import Context, controller_reference
from orlop.controllers.views import PodView

NAMESPACE_TERMINATING = "NamespaceTerminating"


def pod_of(owner: Any, template: core_v1.PodTemplateSpec) -> core_v1.Pod:
    """A pod as the template says, controlled by the owner and named after it."""
    template = copy(template)
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            generate_name=f"{owner.metadata.name}-",
            namespace=owner.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[controller_reference(owner)],
        ),
        spec=template.spec,
    )


async def create(context: Context, owner: Any, pod: core_v1.Pod) -> errors.ApiError | None:
    """Makes the pod, or gives the error. Where the namespace is being deleted nothing is made, and nothing is wrong."""
    return unless_terminating(await try_create(context, owner, pod))


async def try_create(context: Context, owner: Any, pod: core_v1.Pod) -> errors.ApiError | None:
    """As `create`, and gives also the error of a namespace that is being deleted, so that no more is tried there."""
    try:
        created = await context.client.create(pod)
    except errors.ApiError as error:
        if not has_cause(error, NAMESPACE_TERMINATING):
            context.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
        return error
    context.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {created.metadata.name}")
    return None


def unless_terminating(error: errors.ApiError | None) -> errors.ApiError | None:
    """The error, unless it only says that the namespace is being deleted."""
    return None if error is not None and has_cause(error, NAMESPACE_TERMINATING) else error


async def delete(context: Context, owner: Any, pod: PodView) -> errors.ApiError | None:
    """Deletes the pod as the cache shows it, or gives the error.

    A pod that has changed since is left alone for now: it may have become ready, and another be the one to go.
    """
    meta, remove = pod.metadata, context.client.delete
    try:
        await remove(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid, resource_version=meta.resource_version)
    except errors.NotFound:
        return None
    except errors.Conflict as error:
        return error
    except errors.ApiError as error:
        context.recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
        return error
    context.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name}")
    return None


def has_cause(error: errors.ApiError, reason: str) -> bool:
    """Whether the error names that cause."""
    details = error.status.details
    return details is not None and any(cause.reason == reason for cause in details.causes)
