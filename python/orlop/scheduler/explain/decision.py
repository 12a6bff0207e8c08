"""The cluster as it was when a pod was decided on."""

from typing import Any, NamedTuple

import msgspec

from orlop.api import errors
from orlop.client import Client
from orlop.client.decode import RawList, decode, error_of
from orlop.scheduler.explain import stamp
from orlop.scheduler.explain.results import Moment
from orlop.scheduler.explain.stamp import Stamp
from orlop.scheduler.explain.world import Key, Object, World

REFUSED, SCHEDULED = "FailedScheduling", "Scheduled"
ASSIGNED = "Successfully assigned "
"""How the message of a Scheduled event begins."""


class Decision(NamedTuple):
    """The last decision on a pod, as far as it can be had back."""

    world: World
    moment: Moment
    message: str
    """What the scheduler said, if it said anything."""


async def events(client: Client, pod: Object) -> list[Object]:
    """The events about a pod, the newest last; none where they must not be listed."""
    metadata = pod["metadata"]
    selector = f"involvedObject.kind=Pod,involvedObject.name={metadata['name']},involvedObject.uid={metadata['uid']}"
    return await _events(client, f"/api/v1/namespaces/{metadata['namespace']}/events", selector)


async def _events(client: Client, path: str, selector: str) -> list[Object]:
    answer = await client.request("GET", path, query={"fieldSelector": selector})
    if answer.status == errors.Forbidden.code:
        return []
    if answer.status >= 400:
        raise error_of(answer)
    items = decode(RawList, answer.body).items or ()
    found: list[Object] = [msgspec.json.decode(item) for item in items]
    return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))


async def recall(client: Client, about: list[Object], reason: str, present: World) -> Decision:
    """The decision that the newest event of this reason tells of, with the cluster as it was then.

    Where that is not to be had the present state stands for it, and `moment.note` says why.
    """
    told = next((event for event in reversed(about) if event.get("reason") == reason), None)
    message = told.get("message", "") if told is not None else ""
    if told is None:
        return _now(present, message, f"there is no {reason} event (any more), so this is the present state")
    found = stamp.of(told["metadata"].get("annotations") or {})
    if found is None:
        return _now(present, message, "the scheduler did not note what it decided on, so this is the present state")
    try:
        world = await World.load(client, found.revisions, terms=present.terms)
    except errors.Expired as error:
        return _now(
            present, message, f"the state of the decision is no longer kept ({error}), so this is the present one"
        )
    note = ""
    if not await _count_in(client, world, found, present):
        note = "pods that were being bound at the same time may be missing"
    return Decision(world, Moment(exact=True, revisions=world.revisions, note=note), message)


def _now(present: World, message: str, note: str) -> Decision:
    return Decision(present, Moment(exact=False, revisions=present.revisions, note=note), message)


async def _count_in(client: Client, world: World, decided: Stamp, present: World) -> bool:
    """Puts the pods on their nodes that had been decided on and were not bound yet. Returns whether each that may be
    one of them is known."""
    open_: dict[Key, str] = {}
    for key, value in world.pods.items():
        if b'"nodeName"' in value and msgspec.json.decode(value)["spec"].get("nodeName"):
            continue
        now = present.pods.get(key)
        if now is not None and b'"nodeName"' in now and (node := present.pod(key)["spec"].get("nodeName")):
            open_[key] = node
    if not open_:
        return True
    known: dict[Key, tuple[str, int]] = {}
    for event in await _events(client, "/api/v1/events", f"reason={SCHEDULED}"):
        about, found = event["involvedObject"], stamp.of(event["metadata"].get("annotations") or {})
        if found is not None and found.run == decided.run:
            known[about.get("namespace", ""), about["name"]] = (about.get("uid", ""), found.number)
    complete = True
    for key, node in open_.items():
        pod: dict[str, Any] = world.pod(key)
        uid, number = known.get(key, ("", -1))
        if uid != pod["metadata"].get("uid"):
            complete = False
        elif number < decided.number:
            pod["spec"]["nodeName"] = node
            world.set_pod(msgspec.json.encode(pod))
    return complete
