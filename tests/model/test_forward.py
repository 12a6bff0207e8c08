"""Random histories of Services and EndpointSlices: the table equals the plain model at every step, its reported
changes carry a follower exactly there, and what it says of a restart is the true difference."""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.model.forward import wanted

from orlop.native import ForwardTable, ServicePort

NODE, ZONE = "node-1", "zone-a"
CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))
# Few values, and the usual one most often, so that ports, addresses and names meet.
NAMES = st.sampled_from(["a", "b"])
SLICE_NAMES = st.sampled_from(["s1", "s2", "s3"])
PORT_NAMES = st.sampled_from(["", "", "http"])
PROTOCOLS = st.sampled_from(["TCP", None, "TCP", "UDP", "SCTP"])
POLICIES = st.sampled_from(["Cluster", "Local", None])
CLUSTER_IPS = st.sampled_from(
    [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.1", "fd00::1"], ["fd00::2", "10.0.0.2"], ["None"], []]
)
IPS = st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"])
RANGES = st.sampled_from(["192.0.2.0/24", "192.0.2.0/25", "0.0.0.0/0", "fd00::/8"])


def some(fields: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that are None, as the API writes them."""
    return {k: v for k, v in fields.items() if v is not None}


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    keys = st.lists(st.tuples(PORT_NAMES, PROTOCOLS), min_size=1, max_size=2, unique_by=lambda k: (k[0], k[1] or "TCP"))
    ports = [
        some({"name": name or None, "protocol": protocol, "port": 80 + i,
              "nodePort": draw(st.sampled_from([None, 30080, 30081]))})
        for i, (name, protocol) in enumerate(draw(keys))
    ]  # fmt: skip
    ips = draw(
        st.sampled_from([["10.0.0.1"], ["10.0.0.2"], ["10.0.0.1", "fd00::1"], ["fd00::2", "10.0.0.2"], ["None"], []])
    )
    spec = some({
        "type": draw(st.sampled_from(["ClusterIP", "NodePort", "NodePort", "LoadBalancer", "ExternalName", None])),
        "clusterIP": ips[0] if ips else None,
        "clusterIPs": ips or None,
        "externalIPs": draw(st.one_of(st.none(), st.lists(IPS, max_size=2))),
        "ports": ports,
        "internalTrafficPolicy": draw(POLICIES),
        "externalTrafficPolicy": draw(POLICIES),
        "loadBalancerSourceRanges": draw(st.one_of(st.none(), st.lists(RANGES, max_size=3))),
        "healthCheckNodePort": draw(st.sampled_from([None, 30500])),
        "sessionAffinity": draw(st.sampled_from(["ClientIP", "None", None])),
        "sessionAffinityConfig": draw(st.sampled_from([None, {"clientIP": {"timeoutSeconds": 60}}])),
    })  # fmt: skip
    ingress = draw(st.lists(st.builds(lambda ip, mode: some({"ip": ip, "ipMode": mode}), IPS,
                                      st.sampled_from(["VIP", "Proxy", None])), max_size=1))  # fmt: skip
    return {"spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}


@st.composite
def slices(draw: st.DrawFn) -> dict[str, Any]:
    family = draw(st.sampled_from(["IPv4", "IPv4", "IPv6"]))
    prefix = "10.1.0." if family == "IPv4" else "fd01::"
    flag = st.sampled_from([True, True, False, None])
    zones = st.sampled_from([None, None, [{"name": ZONE}], [{"name": "zone-b"}]])
    nodes = st.sampled_from([None, None, [{"name": NODE}], [{"name": "node-2"}]])
    endpoints = [
        some({
            "addresses": [f"{prefix}{last}"],
            "conditions": some({"ready": draw(flag), "serving": draw(flag), "terminating": draw(flag)}),
            "nodeName": draw(st.sampled_from([None, NODE, "node-2"])),
            "hints": draw(st.one_of(st.none(), st.builds(
                lambda z, n: some({"forZones": z, "forNodes": n}), zones, nodes))),
        })
        for last in draw(st.lists(st.integers(1, 3), max_size=4))
    ]  # fmt: skip
    ports = [
        some({"name": name, "protocol": protocol, "port": draw(st.sampled_from([8080, 8081]))})
        for name, protocol in draw(st.lists(st.tuples(PORT_NAMES, PROTOCOLS), min_size=1, max_size=2))
    ]
    return {"service": draw(NAMES), "addressType": family, "endpoints": endpoints or None, "ports": ports or None}


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = ForwardTable(NODE, ZONE)
        self.services: dict[str, dict[str, Any]] = {}
        self.slices: dict[str, dict[str, Any]] = {}
        self.follower: dict[tuple[Any, ...], ServicePort] = {}

    @initialize(
        services=st.lists(services(), min_size=2, max_size=2), slices=st.lists(slices(), min_size=3, max_size=3)
    )
    def begin(self, services: tuple[dict[str, Any], ...], slices: tuple[dict[str, Any], ...]) -> None:
        for name, service in zip("ab", services, strict=True):
            self.apply_service(name, service)
        for name, slice in zip(["s1", "s2", "s3"], slices, strict=True):
            self.apply_slice(name, slice)

    @rule(name=NAMES, service=services())
    def apply_service(self, name: str, service: dict[str, Any]) -> None:
        self.services[name] = {"metadata": {"namespace": "d", "name": name}, **service}
        self.table.apply_service(json.dumps(self.services[name]).encode())

    @rule(name=NAMES)
    def delete_service(self, name: str) -> None:
        self.services.pop(name, None)
        self.table.delete_service("d", name)

    @rule(name=SLICE_NAMES, slice=slices())
    def apply_slice(self, name: str, slice: dict[str, Any]) -> None:
        slice = dict(slice)
        labels = {"kubernetes.io/service-name": slice.pop("service")}
        self.slices[name] = {"metadata": {"namespace": "d", "name": name, "labels": labels}, **slice}
        self.table.apply_slice(json.dumps(self.slices[name]).encode())

    @rule(name=SLICE_NAMES)
    def delete_slice(self, name: str) -> None:
        self.slices.pop(name, None)
        self.table.delete_slice("d", name)

    @rule()
    def follow(self) -> None:
        changes = self.table.drain_changes()
        for port in changes.set:
            assert self.follower.get(port.id) != port, "a change that changes nothing"
            self.follower[port.id] = port
        for id in changes.removed:
            del self.follower[id]
        assert self.follower == self.model()
        assert not self.table.has_changes()

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """Some of what is wanted is programmed, some of it wrongly, and some things nobody wants."""
        model = self.model()
        programmed = {}
        for id, port in model.items():
            fate = data.draw(st.sampled_from(["right", "absent", "wrong"]))
            if fate == "right":
                programmed[id] = port
            elif fate == "wrong":
                programmed[id] = ServicePort(id, [], port.cluster[1:], port.local, 7, port.any_endpoint)
        stale = data.draw(st.booleans())
        if stale:
            programmed[("d", "stale", "", "TCP", 4)] = ServicePort(("d", "stale", "", "TCP", 4), [], [], [], 0, False)
        changes = self.table.difference(list(programmed.values()))
        assert len(changes.set) == len({p.id for p in changes.set})
        assert {p.id for p in changes.set} == {id for id in model if programmed.get(id) != model[id]}
        assert changes.removed == ([("d", "stale", "", "TCP", 4)] if stale else [])
        self.follower = model

    @invariant()
    def lookups_agree(self) -> None:
        model = self.model()
        frontends = 0
        for port in model.values():
            for _, address, number, local in port.frontends:
                frontends += 1
                assert self.table.lookup(port.id[3], address, number) == (port.cluster, port.local, local)
        assert len(self.table) == frontends

    def model(self) -> dict[tuple[Any, ...], ServicePort]:
        return wanted(list(self.services.values()), list(self.slices.values()), NODE, ZONE)


TestHistories = pytest.mark.campaign(pytest.mark.timeout(120 * CAMPAIGN)(Histories.TestCase))
TestHistories.settings = settings(
    max_examples=100 * CAMPAIGN,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=CAMPAIGN == 1,
)
