"""Random histories of creates, updates and applies: `wire` and the plain model note the same owners."""

import json
import os
import random
from typing import Any

import pytest
from tests.model.apply import Model, paths_of

from orlop import native

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))
MANAGERS = ("kate", "tom", "eve")


def config_map(r: random.Random) -> dict[str, Any]:
    out: dict[str, Any] = {"metadata": metadata(r)}
    if r.random() < 0.8:
        out["data"] = {k: r.choice("xy") for k in r.sample("abcd", r.randrange(4))}
    if r.random() < 0.3:
        out["immutable"] = r.random() < 0.5
    return out


def metadata(r: random.Random) -> dict[str, Any]:
    out: dict[str, Any] = {"name": "n"}
    if r.random() < 0.5:
        out["labels"] = {k: r.choice("xy") for k in r.sample("abc", r.randrange(1, 3))}
    if r.random() < 0.3:
        out["finalizers"] = r.sample(["a/a", "b/b", "c/c"], r.randrange(1, 4))
    if r.random() < 0.2:
        out["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "K", "name": u, "uid": u} for u in r.sample("uvw", r.randrange(1, 3))
        ]
    return out


def container(r: random.Random, name: str) -> dict[str, Any]:
    out: dict[str, Any] = {"name": name}
    if r.random() < 0.8:
        out["image"] = r.choice(["i:1", "i:2"])
    if r.random() < 0.5:
        out["command"] = r.choice([["a"], ["b", "c"]])
    if r.random() < 0.5:
        ports = r.sample([(80, "TCP"), (80, "UDP"), (81, None)], r.randrange(1, 4))
        out["ports"] = [{"containerPort": p, **({"protocol": t} if t else {})} for p, t in ports]
        for port in out["ports"]:
            if r.random() < 0.3:
                port["name"] = r.choice("pq")
    if r.random() < 0.4:
        out["env"] = [{"name": n, "value": r.choice("12")} for n in r.sample("EFG", r.randrange(1, 3))]
    if r.random() < 0.3:
        out["resources"] = r.choice([{}, {"limits": {"cpu": "1"}}, {"requests": {"cpu": "1", "memory": "1"}}])
    return out


def deployment(r: random.Random) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if r.random() < 0.5:
        spec["replicas"] = r.randrange(3)
    if r.random() < 0.5:
        spec["selector"] = {"matchLabels": {"a": r.choice("xy")}}
    if r.random() < 0.3:
        spec["strategy"] = r.choice([{"type": "Recreate"}, {"rollingUpdate": {"maxSurge": 1}}, {}])
    pod: dict[str, Any] = {}
    if r.random() < 0.9:
        pod["containers"] = [container(r, n) for n in r.sample("abc", r.randrange(1, 4))]
    if r.random() < 0.3:
        pod["nodeSelector"] = dict.fromkeys(r.sample("ab", r.randrange(1, 3)), "v")
    if r.random() < 0.3:
        pod["tolerations"] = [{"key": r.choice("ab")}]
    if r.random() < 0.3:
        pod["hostAliases"] = [{"ip": ip, "hostnames": [r.choice("hg")]} for ip in r.sample(["1", "2"], 1)]
    spec["template"] = {"spec": pod}
    return {"metadata": metadata(r), "spec": spec}


def service(r: random.Random) -> dict[str, Any]:
    ports = r.sample([(80, "TCP"), (80, "UDP"), (81, None)], r.randrange(4))
    spec: dict[str, Any] = {"ports": [{"port": p, **({"protocol": t} if t else {})} for p, t in ports]}
    if r.random() < 0.5:
        spec["selector"] = {"a": r.choice("xy")}
    if r.random() < 0.3:
        spec["externalIPs"] = r.sample(["1", "2"], 1)
    return {"metadata": metadata(r), "spec": spec}


KINDS = {"core/v1.ConfigMap": config_map, "apps/v1.Deployment": deployment, "core/v1.Service": service}
ZEROS = {
    "core/v1.ConfigMap": {"metadata": {}},
    "core/v1.Service": {"metadata": {}, "spec": {}, "status": {"loadBalancer": {}}},
    "apps/v1.Deployment": {
        "metadata": {},
        "spec": {"selector": None, "template": {"metadata": {}, "spec": {"containers": []}}, "strategy": {}},
        "status": {},
    },
}


def owners_of(managed: list[dict[str, Any]]) -> dict[tuple[str, str], set[Any]]:
    return {(e["manager"], e["operation"]): paths_of(e["fieldsV1"]) for e in managed}


def dump(tree: Any) -> bytes:
    return json.dumps(tree, sort_keys=True).encode()


@pytest.mark.parametrize("type_key", KINDS)
@pytest.mark.parametrize("seed", range(20 * CAMPAIGN))
def test_histories(type_key: str, seed: int) -> None:
    r = random.Random(f"{type_key} {seed}")
    make = KINDS[type_key]
    model = Model(type_key, ZEROS[type_key])
    live: bytes | None = None
    for at in range(12):
        manager, force = r.choice(MANAGERS), r.random() < 0.4
        writer = (manager, "v1", "", f"2026-01-01T00:00:{at:02}Z", [])
        new = make(r)
        if r.random() < 0.5:
            if model.object is not None and r.random() < 0.5:
                # Most updates change a part of what is there.
                new = json.loads(json.dumps(model.object))
                part = make(r)
                for name in r.sample(sorted(part), 1):
                    new[name] = part[name]
            managed = native.wire_managed(type_key, live, dump(new), writer)
            model.update(manager, new)
            before = [] if live is None else json.loads(live)["metadata"].get("managedFields", [])
            entries = before if managed is None else json.loads(managed)
        else:
            done, conflicts = native.wire_apply(type_key, live, dump(new), writer, force)
            expected = model.apply(manager, new, force)
            assert len(conflicts) == len(expected), (conflicts, expected)
            if expected:
                continue
            assert done is not None
            assert json.loads(done[0]) == model.object
            entries = json.loads(done[1])
        assert owners_of(entries) == model.owners
        assert model.object is not None
        stored = json.loads(json.dumps(model.object))
        stored["metadata"] = {**(stored.get("metadata") or {}), "managedFields": entries}
        live = dump(stored)
