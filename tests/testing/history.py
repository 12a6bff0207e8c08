"""A random history: what users, nodes and accidents do to a cluster, by the world's one seed."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from orlop.api import errors
from orlop.api.types import apps_v1, batch_v1, core_v1, meta_v1, policy_v1
from orlop.controllers import Options, all_controllers
from orlop.testing import World

NAMES = {controller.name for controller in all_controllers(Options())}
"""What there is: a kind without its controller is left alone."""
STAGE = "hollow.orlop/stage"
PAUSE = 4.0
"""Mean seconds between two of its steps."""


def template(labels: dict[str, str], image: str = "app:1", stage: str = "", **spec: Any) -> core_v1.PodTemplateSpec:
    container = core_v1.Container(name="app", image=image)
    return core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=labels, annotations={STAGE: stage} if stage else {}),
        spec=core_v1.PodSpec(containers=[container], termination_grace_period_seconds=2, **spec),
    )


class History:
    """One history. Every step is something that anybody may do at any time."""

    def __init__(self, world: World, most: int = 8) -> None:
        """`most`: the pods that a Deployment or a Job may have."""
        self.world = world
        self.most = most
        self.client = world.client
        self.random = world.clock.random
        self.jobs = 0
        self.gone: set[str] = set()
        """Nodes that are away."""

    async def play(self, steps: int) -> None:
        await self.provide()
        doings: list[Callable[[], Awaitable[None]]] = [
            self.roll,
            self.roll,
            self.scale,
            self.scale,
            self.start_job,
            self.suspend_job,
            self.delete_pod,
            self.evict,
            self.evict,
            self.lose_or_find_a_node,
            self.replace_deployment,
            self.come_and_go,
        ]
        if "statefulset-controller" in NAMES:
            doings += [self.scale_set, self.roll_set]
        for _ in range(steps):
            await self.world.sleep(self.random.expovariate(1 / PAUSE))
            with suppress(errors.NotFound, errors.Conflict, errors.TooManyRequests, errors.AlreadyExists):
                await self.random.choice(doings)()

    def labels(self, app: str) -> dict[str, str]:
        return {"app": app}

    def meta(self, name: str, namespace: str = "default") -> meta_v1.ObjectMeta:
        return meta_v1.ObjectMeta(name=name, namespace=namespace)

    async def provide(self) -> None:
        chance = self.random
        for app in ("web", "api"):
            await self.client.create(self.deployment(app))
            ports = [core_v1.ServicePort(port=80)]
            spec = core_v1.ServiceSpec(selector=self.labels(app), ports=ports)
            await self.client.create(core_v1.Service(metadata=self.meta(app), spec=spec))
        floor: int | str = chance.choice([1, 2, "50%"])
        budget = policy_v1.PodDisruptionBudgetSpec(
            selector=meta_v1.LabelSelector(match_labels=self.labels("web")), max_unavailable=floor
        )
        await self.client.create(policy_v1.PodDisruptionBudget(metadata=self.meta("web"), spec=budget))
        if "statefulset-controller" in NAMES:
            await self.client.create(self.stateful_set("db"))
        if "resourcequota-controller" in NAMES:
            quota = core_v1.ResourceQuotaSpec(hard={"pods": "100"})
            await self.client.create(core_v1.ResourceQuota(metadata=self.meta("all"), spec=quota))

    def deployment(self, app: str) -> apps_v1.Deployment:
        chance = self.random
        rolling = apps_v1.RollingUpdateDeployment(
            max_surge=chance.choice([0, 1, "25%", "50%"]), max_unavailable=chance.choice([0, 1, "25%", "50%"])
        )
        if rolling.max_surge == rolling.max_unavailable == 0:
            rolling.max_surge = 1
        ready = chance.choice(["", '{"startDelay": 1, "jitter": 0.9}'])
        return apps_v1.Deployment(
            metadata=self.meta(app),
            spec=apps_v1.DeploymentSpec(
                replicas=chance.randrange(1, self.most),
                selector=meta_v1.LabelSelector(match_labels=self.labels(app)),
                strategy=apps_v1.DeploymentStrategy(type="RollingUpdate", rolling_update=rolling),
                template=template(self.labels(app), stage=ready),
            ),
        )

    def stateful_set(self, app: str) -> apps_v1.StatefulSet:
        chance = self.random
        return apps_v1.StatefulSet(
            metadata=self.meta(app),
            spec=apps_v1.StatefulSetSpec(
                replicas=chance.randrange(1, 5),
                service_name=app,
                pod_management_policy=chance.choice(["OrderedReady", "Parallel"]),
                selector=meta_v1.LabelSelector(match_labels=self.labels(app)),
                template=template(self.labels(app)),
            ),
        )

    # --- what may happen

    async def roll(self) -> None:
        await self._image(apps_v1.Deployment, self.random.choice(["web", "api"]))

    async def roll_set(self) -> None:
        await self._image(apps_v1.StatefulSet, "db")

    async def _image(self, kind: type[Any], name: str) -> None:
        container = {"name": "app", "image": f"app:{self.random.randrange(100)}"}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await self.client.patch(kind, name, "default", patch, type="strategic")

    async def scale(self) -> None:
        replicas = {"spec": {"replicas": self.random.randrange(0, self.most + 1)}}
        await self.client.patch(apps_v1.Deployment, self.random.choice(["web", "api"]), "default", replicas)

    async def scale_set(self) -> None:
        replicas = {"spec": {"replicas": self.random.randrange(0, 5)}}
        await self.client.patch(apps_v1.StatefulSet, "db", "default", replicas)

    async def replace_deployment(self) -> None:
        how = self.random.choice(["Foreground", "Background"])
        await self.client.delete(apps_v1.Deployment, "api", "default", propagation=how)
        await self.client.create(self.deployment("api"))

    async def start_job(self) -> None:
        chance = self.random
        self.jobs += 1
        indexed = chance.random() < 0.5
        fails = chance.random() < 0.2
        stage = f'{{"run": {chance.choice([1, 5, 20])}, "exitCode": {int(fails)}, "jitter": 0.9}}'
        spec = batch_v1.JobSpec(
            completions=chance.randrange(1, self.most),
            parallelism=chance.randrange(1, 5),
            completion_mode="Indexed" if indexed else "NonIndexed",
            backoff_limit_per_index=chance.choice([None, 1]) if indexed else None,
            pod_replacement_policy=chance.choice([None, "Failed"]),
            backoff_limit=2 if fails else 100,
            ttl_seconds_after_finished=chance.choice([None, 10]),
            template=template({}, stage=stage, restart_policy="Never"),
        )
        if spec.backoff_limit_per_index is not None:
            spec.backoff_limit = None
        await self.client.create(batch_v1.Job(metadata=self.meta(f"work-{self.jobs}"), spec=spec))

    async def suspend_job(self) -> None:
        if self.jobs:
            name = f"work-{self.random.randrange(1, self.jobs + 1)}"
            await self.client.patch(batch_v1.Job, name, "default", {"spec": {"suspend": self.random.random() < 0.5}})

    async def delete_pod(self) -> None:
        if pod := await self._some_pod():
            await self.client.delete(core_v1.Pod, pod.metadata.name, "default")

    async def evict(self) -> None:
        if pod := await self._some_pod():
            await self.client.evict("default", pod.metadata.name)

    async def _some_pod(self) -> core_v1.Pod | None:
        pods = (await self.client.list(core_v1.Pod, "default")).items
        return self.random.choice(pods) if pods else None

    async def lose_or_find_a_node(self) -> None:
        """Its kubelet is gone, its containers run on; sooner or later it is found again. One at a time is enough."""
        if self.gone:
            self.world.back(self.gone.pop())
        else:
            node = self.random.choice(self.world.nodes)
            self.gone.add(node)
            self.world.away(node)

    async def come_and_go(self) -> None:
        """A namespace with something in it, which is deleted at once or when it is met again."""
        try:
            await self.client.delete(core_v1.Namespace, "guest")
        except errors.NotFound:
            await self.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="guest")))
            guest = self.deployment("guest")
            guest.metadata.namespace = "guest"
            await self.client.create(guest)

    async def end(self) -> None:
        """All that was suspended or away goes on."""
        for job in (await self.client.list(batch_v1.Job, "default")).items:
            if job.spec.suspend:
                await self.client.patch(batch_v1.Job, job.metadata.name, "default", {"spec": {"suspend": False}})
        await self.world.settle()
