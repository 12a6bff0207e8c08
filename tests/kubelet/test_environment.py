"""Expansion, service links, downward API."""

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.kubelet.environment import expand, service_variables
from orlop.kubelet.fields import NodeFacts, field_value, resource_value
from tests.kubelet.worlds import pod

NODE = NodeFacts("n1", ["192.0.2.1"], {"cpu": "4", "memory": "8Gi"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$(NOPE)", "$(NOPE)"),
        ("$A $ $()", "$A $ $()"),
        ("$$$$", "$$"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


def service(name: str, namespace: str, ip: str, *ports: core_v1.ServicePort) -> core_v1.Service:
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=name, namespace=namespace),
        spec=core_v1.ServiceSpec(cluster_ip=ip, ports=list(ports)),
    )


def test_service_links() -> None:
    services = [
        service("kubernetes", "default", "10.96.0.1", core_v1.ServicePort(name="https", port=443, protocol="TCP")),
        service("my-db", "other", "10.96.0.9", core_v1.ServicePort(port=5432)),
        service("headless", "default", "None", core_v1.ServicePort(port=1)),
    ]
    p = pod("a")
    values = service_variables(p, services)
    assert values["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert values["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert values["KUBERNETES_PORT_443_TCP"] == "tcp://10.96.0.1:443"
    assert not any(name.startswith(("MY_DB", "HEADLESS")) for name in values)
    p.metadata.namespace = "other"
    assert service_variables(p, services)["MY_DB_PORT_5432_TCP_ADDR"] == "10.96.0.9"
    p.spec.enable_service_links = False
    assert "MY_DB_SERVICE_HOST" not in service_variables(p, services)


def test_fields() -> None:
    p = pod("a")
    p.metadata.labels = {"b": 'say "hi"', "a": "1"}
    assert field_value(p, "metadata.name", [], NODE) == "p"
    assert field_value(p, "status.podIPs", ["10.0.0.2", "fd00::2"], NODE) == "10.0.0.2,fd00::2"
    assert field_value(p, "metadata.labels['a']", [], NODE) == "1"
    assert field_value(p, "metadata.labels", [], NODE) == 'a="1"\nb="say \\"hi\\""'
    with pytest.raises(ValueError, match="unsupported fieldPath: spec\\.nope"):
        field_value(p, "spec.nope", [], NODE)


def test_resources_fall_back_to_what_the_node_can_give() -> None:
    p = pod("a")
    p.spec.containers[0].resources = core_v1.ResourceRequirements(limits={"cpu": "1500m"})
    cpu = core_v1.ResourceFieldSelector(resource="limits.cpu")
    assert resource_value(p, cpu, "a", NODE) == "2"
    cpu.divisor = "1m"
    assert resource_value(p, cpu, "a", NODE) == "1500"
    memory = core_v1.ResourceFieldSelector(resource="limits.memory", divisor="1Mi")
    assert resource_value(p, memory, "a", NODE) == "8192"
