"""What access control and the printers cost: a remembered decision, one amid writes, a token, a kubelet's question,
a table of 500 pods. Each figure is taken after a check that the answer is right."""

import timeit

import msgspec
from machine import describe, scaled

from orlop.api import scheme
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import table
from orlop.apiserver.auth import Access, Authorizer, ServiceAccountTokens, User
from orlop.apiserver.auth.policy import bootstrap_policy
from orlop.clock import SystemClock
from orlop.native import Hub
from orlop.pki.authority import key_pem, new_key

RING = 1024
PODS = 500
PODS_OF_NODE = 100
TIMES = scaled(20_000, least=100)


def hub_with_policy() -> Hub:
    hub = Hub(RING)
    for kind in scheme.KINDS:
        fields = [("spec.nodeName", "spec.nodeName")] if kind.plural == "pods" else []
        hub.declare(kind.resource, fields, kind.namespaced, kind.api_version, kind.kind)
    for obj in bootstrap_policy():
        kind = scheme.of(type(obj))
        value = msgspec.json.encode(obj)
        hub.load(kind.resource, [(obj.metadata.namespace, obj.metadata.name, 1, value)])
    hub.start(1)
    return hub


def pod(index: int) -> core_v1.Pod:
    container = core_v1.Container(name="c", image="registry.example/app:1", env=[core_v1.EnvVar(name="A", value="b")])
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=f"p{index}", namespace="default", uid=f"uid-{index}", labels={"app": "web"}),
        spec=core_v1.PodSpec(
            containers=[container],
            node_name="n1",
            volumes=[core_v1.Volume(name="v", secret=core_v1.SecretVolumeSource(secret_name="files"))],
        ),
        status=core_v1.PodStatus(phase="Running", conditions=[core_v1.PodCondition(type="Ready", status="True")] * 5),
    )


def put(hub: Hub, obj: core_v1.Pod | core_v1.ServiceAccount | core_v1.ConfigMap) -> None:
    kind = scheme.of(type(obj))
    where = kind.resource, obj.metadata.namespace, obj.metadata.name
    hub.apply([(*where, hub.revision + 1, 2 if hub.get(*where) else 1, msgspec.json.encode(obj))])


def show(what: str, seconds: float, times: int) -> None:
    print(f"{what:58} {seconds / times * 1e6:10.2f} µs")


def main() -> None:
    print(describe())
    hub = hub_with_policy()
    access = Authorizer(hub)
    manager = User("system:kube-controller-manager", ("system:authenticated",))
    asked = Access("update", "deployments", "apps", "default", "web", "status")
    assert access.authorize(manager, asked).allowed
    show("a decision, remembered", timeit.timeit(lambda: access.authorize(manager, asked), number=TIMES), TIMES)

    other = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="c", namespace="default"))
    writes = timeit.timeit(lambda: put(hub, other), number=TIMES)
    both = timeit.timeit(lambda: (put(hub, other), access.authorize(manager, asked)), number=TIMES)
    show("a decision, after another write each time", both - writes, TIMES)

    for index in range(PODS_OF_NODE):
        put(hub, pod(index))
    kubelet = User("system:node:n1", ("system:nodes",))
    mounted = Access("get", "secrets", "", "default", "files")
    foreign = Access("get", "secrets", "", "default", "none")
    assert access.authorize(kubelet, mounted).allowed
    assert not access.authorize(kubelet, foreign).allowed
    few = TIMES // 100
    show(
        f"a kubelet's secret, refused, {PODS_OF_NODE} pods",
        timeit.timeit(lambda: access.authorize(kubelet, foreign), number=few),
        few,
    )

    put(hub, core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="app", namespace="default", uid="sa")))
    tokens = ServiceAccountTokens(key_pem(new_key()), hub, SystemClock())

    def sign() -> str:
        bound = {"pod": ("p1", "uid-1")}
        return tokens.sign("default", ("app", "sa"), audiences=[tokens.issuer], seconds=3600, bound=bound)[0]

    token = sign()
    assert tokens.authenticate(token) is not None
    show("a token, signed", timeit.timeit(sign, number=few), few)
    fresh = [sign() for _ in range(few)]
    show("a token, seen first", timeit.timeit(lambda: tokens.authenticate(fresh.pop()), number=few), few)
    show("a token, remembered", timeit.timeit(lambda: tokens.authenticate(token), number=TIMES), TIMES)

    kind = scheme.by_resource("", "v1", "pods")
    assert kind is not None
    values = [msgspec.json.encode(pod(index)) for index in range(PODS)]
    now = SystemClock().now()
    assert len(msgspec.json.decode(table.rows(kind, values, now))["rows"]) == PODS
    show(
        f"a table of {PODS} pods of {len(values[0])} bytes",
        timeit.timeit(lambda: table.rows(kind, values, now), number=20),
        20,
    )


if __name__ == "__main__":
    main()
