"""APIServices of what this server serves itself: made and kept as they should be, so that lists of them are whole.

kube-aggregator's autoregister and crdregistration controllers.
"""

import asyncio
from typing import TYPE_CHECKING

from orlop.api import errors, scheme
from orlop.api.types import apiregistration_v1, meta_v1
from orlop.apiserver.aggregate import priorities
from orlop.apiserver.discovery import UNSTORED
from orlop.store.base import Attribution

if TYPE_CHECKING:
    from orlop.apiserver.core import Core

APIService = apiregistration_v1.APIService
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
RESOURCE = "apiregistration.k8s.io/apiservices"
OWN = ("apiregistration.k8s.io", "v1")
BY = Attribution("system:apiserver", "kube-apiserver")


def wanted(core: "Core") -> dict[str, APIService]:
    """By name, for every group-version of this server, built in and custom, but their own."""
    built_in = {*scheme.group_versions(), *((kind.group, kind.version) for kind in UNSTORED)}
    made = {}
    for group, version in sorted((built_in | core.custom.group_versions()) - {OWN}):
        priority = priorities.of(group, version)
        name = f"{version}.{group}"
        made[name] = APIService(
            metadata=meta_v1.ObjectMeta(
                name=name, labels={MANAGED: "onstart" if (group, version) in built_in else "true"}
            ),
            spec=apiregistration_v1.APIServiceSpec(
                group=group,
                version=version,
                group_priority_minimum=priority.group,
                version_priority=priority.version,
            ),
        )
    return made


async def register(core: "Core", there: dict[str, APIService]) -> None:
    """Makes what is missing, puts right what was changed, removes what is served no longer.

    What somebody else has registered under such a name is left alone: it is served from where it says.
    """
    row = scheme.of(APIService)
    strategy = core.strategies[row.type_key]
    ours = wanted(core)

    async def make(one: APIService) -> None:
        try:
            await core.objects.create(strategy, one, by=BY)
        except errors.AlreadyExists:
            return

    async def remove(name: str) -> None:
        try:
            await core.objects.delete(strategy, "", name, meta_v1.DeleteOptions(), by=BY)
        except errors.NotFound:
            return

    async def repair(name: str, one: APIService) -> None:
        async def change(old: APIService) -> APIService:
            new: APIService = core.objects.get(row, "", name) or old
            new.spec = one.spec
            return new

        try:
            await core.objects.update(strategy, "", name, change, by=BY)
        except errors.NotFound:
            return

    work = [make(one) for name, one in ours.items() if name not in there]
    for name, found in there.items():
        if MANAGED not in found.metadata.labels or found.spec.service is not None:
            continue
        if name not in ours:
            work.append(remove(name))
        elif found.spec != ours[name].spec:
            work.append(repair(name, ours[name]))
    await asyncio.gather(*work)


def local_condition(now: str) -> apiregistration_v1.APIServiceCondition:
    """What is served here is there as long as this server is."""
    return apiregistration_v1.APIServiceCondition(
        type="Available",
        status="True",
        last_transition_time=now,
        reason="Local",
        message="Local APIServices are always available",
    )
