"""What would become of a manifest: its pods scheduled against the live table, one after the other.

Nothing is written: the API server defaults and checks the objects by dry run. It is told what is there in the end: pods
that a changed workload replaces are taken away first, whatever its rollout would keep meanwhile.
"""

from collections.abc import Iterable

import msgspec

from orlop.api import errors, scheme
from orlop.api.types import resource_v1
from orlop.client import Client
from orlop.client.decode import decode
from orlop.scheduler.explain import search, workloads
from orlop.scheduler.explain.atoms import Key, Object
from orlop.scheduler.explain.details import detailed
from orlop.scheduler.explain.dryrun import DryRun
from orlop.scheduler.explain.results import Placement, Plan
from orlop.scheduler.explain.terms import Terms
from orlop.scheduler.explain.workloads import Template
from orlop.scheduler.explain.world import World
from orlop.scheduler.podvolumes import Claim

STORAGE = ("PersistentVolumeClaim", "PersistentVolume", "StorageClass")
DEVICES = ("ResourceClaim", "DeviceClass")
GATED = "Scheduling is blocked due to non-empty scheduling gates"
TEMPLATE = "ResourceClaimTemplate"
DAEMON_FILTERS = {"NodeAffinity", "TaintToleration", "NodeName"}
"""Where one of these refuses, a DaemonSet makes no pod."""


async def plan(
    client: Client,
    documents: Iterable[Object],
    namespace: str = "default",
    *,
    changes: int = search.LIMIT,
    terms: Terms | None = None,
) -> Plan:
    """Schedules the pods of a manifest's objects, and up to `changes` changes for each sort of pod that finds no place.

    Raises ApiError where an object would be refused or the cluster cannot be read.
    """
    return await _Planner(client, namespace, changes, terms).run(list(documents))


class _Planner:
    def __init__(self, client: Client, namespace: str, changes: int, terms: Terms | None) -> None:
        self._client = client
        self._namespace = namespace
        self._changes = changes
        self._terms = terms
        self._plan = Plan(placements=[])
        self._explained: dict[str, Placement] = {}
        self._bases: dict[Key, Object] = {}
        self._claim_templates: dict[Key, Object] = {}

    async def run(self, documents: list[Object]) -> Plan:
        objects = [self._located(document) for document in documents]
        self._dry = DryRun(self._client, objects)
        self._world = await World.load(self._client, terms=self._terms)
        self._plan.notes += self._world.notes
        await self._surroundings(objects)
        waiting: list[tuple[Template, str, Object]] = []
        ignored: set[str] = set()
        for obj in objects:
            if obj["kind"] == "Pod":
                waiting += await self._pod(obj)
            elif obj["kind"] in workloads.KINDS:
                waiting += await self._workload(obj)
            elif obj["kind"] == "CronJob":
                ignored.add("CronJob (its pods come with the clock)")
        self._plan.notes += [f"not looked at: {kind}" for kind in sorted(ignored)]
        # As the queue has it: the more important first, and then in their order.
        for made, name, pod in sorted(waiting, key=lambda of: -of[2]["spec"].get("priority", 0)):
            await self._claimed(pod)
            self._place(made, name, pod)
        return self._plan

    def _located(self, document: Object) -> Object:
        metadata = document.get("metadata") or {}
        kind = scheme.by_kind(document["apiVersion"], document["kind"])
        if kind is not None and not kind.namespaced:
            return document
        return {**document, "metadata": {"namespace": self._namespace, **metadata}}

    async def _surroundings(self, objects: list[Object]) -> None:
        """Takes over what the manifest itself brings and scheduling looks at."""
        for obj in objects:
            if obj["kind"] == "Namespace":
                self._world.core.upsert_namespace(msgspec.json.encode(obj))
            elif obj["kind"] in STORAGE:
                await self._storage(obj)
            elif obj["kind"] in DEVICES:
                value = msgspec.json.encode(_identified(await self._dry.stored(obj)))
                self._world.devices.fill(*([value] if obj["kind"] == kind else [] for kind in DEVICES))
            elif obj["kind"] == TEMPLATE:
                self._claim_templates[obj["metadata"]["namespace"], obj["metadata"]["name"]] = await self._dry.stored(
                    obj
                )

    async def _storage(self, obj: Object) -> None:
        value = msgspec.json.encode(await self._dry.stored(obj))
        lists: list[list[bytes]] = [[value] if obj["kind"] == kind else [] for kind in STORAGE]
        self._world.storage.fill(*lists)

    async def _pod(self, obj: Object) -> list[tuple[Template, str, Object]]:
        name = obj["metadata"]["name"]
        there = await self._dry.get(obj)
        if there is not None:
            where = there["spec"].get("nodeName")
            state = f"it is there already, on node {where}" if where else "it is there already and waits"
            self._plan.notes.append(f"pod {obj['metadata']['namespace']}/{name}: {state}; `orlop why {name}`")
            return []
        made = Template("", obj, [name])
        return [(made, name, await self._dry.pod(obj, name))]

    async def _workload(self, obj: Object) -> list[tuple[Template, str, Object]]:
        stored = await self._dry.stored(obj)
        present = await self._dry.get(obj)
        kept = self._keep(present, stored) if present is not None else []
        made = workloads.template(stored, len(kept))
        sample = await self._base(made)
        if sample is None:
            return []
        if made.each_node:
            return list(self._daemons(made, sample, {self._world.pod(key)["spec"].get("nodeName") for key in kept}))
        found = []
        for name in made.names:
            pod = search.deep(sample)
            pod["metadata"] |= {"name": name, "uid": f"planned-{made.owner}-{name}"}
            for claim in workloads.claims_of(made, name):
                await self._claim(claim)
            found.append((made, name, workloads.with_claims(pod, made, name)))
        return found

    async def _base(self, made: Template) -> Object | None:
        """A pod of the template as the API server would store it."""
        name = made.names[0] if made.names else made.owner.partition("/")[2]
        if not made.names and not made.each_node:
            return None
        pod = workloads.with_claims(made.pod, made, name)
        try:
            return await self._dry.pod(pod, name)
        except errors.ApiError as error:
            where = made.pod["metadata"]["namespace"]
            for of in made.names or [name]:
                refused = Placement(
                    pod=f"{where}/{of}", owner=made.owner, message=f"the API server refuses it: {error}"
                )
                self._plan.placements.append(refused)
            return None

    async def _claim(self, claim: Object) -> None:
        metadata = claim["metadata"]
        if self._world.storage.claim(metadata["namespace"], metadata["name"]) is None:
            stored = await self._dry.stored(claim)
            self._world.storage.add_claim(decode(Claim, msgspec.json.encode(stored)))

    async def _claimed(self, pod: Object) -> None:
        """Makes what controllers would make for the pod: claims of ephemeral volumes, and claims for devices."""
        for claim in workloads.ephemeral_claims(pod):
            await self._claim(claim)
        for name, template in workloads.claim_templates(pod):
            key = pod["metadata"]["namespace"], template
            if key not in self._claim_templates:
                named = {"name": template, "namespace": key[0]}
                found = await self._dry.get({"apiVersion": "resource.k8s.io/v1", "kind": TEMPLATE, "metadata": named})
                if found is None:
                    continue  # it waits, as it would
                self._claim_templates[key] = found
            claim = workloads.device_claim(pod, name, self._claim_templates[key])
            self._world.devices.add_claim(decode(resource_v1.ResourceClaim, msgspec.json.encode(claim)))

    def _keep(self, present: Object, stored: Object) -> list[Key]:
        """The workload's pods that stay. Those that are replaced, or too many, are taken out of the world."""
        mine = self._pods_of(present)
        same = present["spec"]["template"] == stored["spec"]["template"]
        wanted = stored["spec"].get("replicas", 1) if "replicas" in stored["spec"] else len(mine)
        keep = min(len(mine), wanted) if same else 0
        for key in mine[keep:]:
            self._world.drop_pod(key)
            self._plan.replaced.append(f"{key[0]}/{key[1]}")
        return mine[:keep]

    def _pods_of(self, workload: Object) -> list[Key]:
        """The pods that are there of a workload, those with a node first."""
        found: list[tuple[bool, Key]] = []
        kind, name, uid = workload["kind"], workload["metadata"]["name"], workload["metadata"]["uid"]
        for key in self._world.pods:
            if key[0] != workload["metadata"]["namespace"]:
                continue
            pod = self._world.pod(key)
            for owner in pod["metadata"].get("ownerReferences") or ():
                hash_ = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
                of_deployment = kind == "Deployment" and owner["kind"] == "ReplicaSet"
                if owner.get("uid") == uid or (of_deployment and owner["name"] == f"{name}-{hash_}"):
                    found.append((not pod["spec"].get("nodeName"), key))
        return [key for _, key in sorted(found)]

    def _daemons(
        self, made: Template, sample: Object, there: set[str | None]
    ) -> Iterable[tuple[Template, str, Object]]:
        """One pod for each node that the DaemonSet is for and that has none yet."""
        name = made.owner.partition("/")[2]
        for report in self._world.explain(sample):
            if report.node in there or any(refusal.plugin in DAEMON_FILTERS for refusal in report.refusals):
                continue
            pod = workloads.on_node(search.deep(sample), report.node)
            pod["metadata"] |= {"name": f"{name}-{report.node}", "uid": f"planned-{name}-{report.node}"}
            yield made, f"{name}-{report.node}", pod

    def _place(self, made: Template, name: str, pod: Object) -> None:
        where = f"{pod['metadata']['namespace']}/{name}"
        placement = Placement(pod=where, owner=made.owner)
        self._plan.placements.append(placement)
        if pod["spec"].get("nodeName"):
            placement.node = pod["spec"]["nodeName"]
            self._world.set_pod(msgspec.json.encode(pod))
        elif pod["spec"].get("schedulingGates"):
            placement.message = GATED
        else:
            self._schedule(placement, pod)
            if placement.node:
                self._world.settle(pod, placement.node)

    def _schedule(self, placement: Placement, pod: Object) -> None:
        outcome = self._world.place(pod)
        if outcome.node is not None:
            placement.node = outcome.node
        elif outcome.nominated:
            placement.node = outcome.nominated
            for key in outcome.victims:
                self._world.drop_pod(key)
                placement.evicts.append(f"{key[0]}/{key[1]}")
        else:
            placement.message = outcome.message
            known = self._explained.get(placement.owner)
            if known is not None and known.message == placement.message:
                return  # its like has been told of
            reports = self._world.explain(pod)
            placement.reasons = detailed(self._world, pod, reports)
            placement.changes = search.changes(self._world, pod, reports, self._changes)
            if placement.owner:
                self._explained[placement.owner] = placement


def _identified(obj: Object) -> Object:
    """The object with a uid of its own: what a dry run answers may have none that stays."""
    obj["metadata"].setdefault("uid", f"planned-{obj['metadata']['name']}")
    return obj
