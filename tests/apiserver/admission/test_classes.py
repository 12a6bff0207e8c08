"""RuntimeClass and DefaultIngressClass."""

import pytest
from tests.apiserver.conftest import PODS, Api, pod

from orlop.api.types.core_v1 import Toleration
from orlop.apiserver.admission import check_names
from orlop.apiserver.admission.runtimeclass import merged

CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


async def test_a_pod_gets_what_its_class_asks(api: Api) -> None:
    toleration = {"key": "kata", "operator": "Exists"}
    scheduling = {"nodeSelector": {"kata": "yes"}, "tolerations": [toleration]}
    overhead = {"podFixed": {"cpu": "250m", "memory": "64Mi"}}
    body = {"metadata": {"name": "kata"}, "handler": "kata", "overhead": overhead, "scheduling": scheduling}
    await api.made(CLASSES, body)
    made = await api.made(PODS, pod(runtimeClassName="kata", nodeSelector={"disk": "ssd"}))
    assert made["spec"]["overhead"] == {"cpu": "250m", "memory": "64Mi"}
    assert made["spec"]["nodeSelector"] == {"disk": "ssd", "kata": "yes"}
    assert toleration in made["spec"]["tolerations"]
    same = pod("same", runtimeClassName="kata", overhead={"cpu": "0.25", "memory": "64Mi"})
    assert (await api("POST", PODS, same)).status == 201


async def test_what_differs_from_the_class_is_refused(api: Api) -> None:
    overhead = {"podFixed": {"cpu": "250m"}}
    scheduling = {"nodeSelector": {"kata": "yes"}}
    await api.made(
        CLASSES, {"metadata": {"name": "kata"}, "handler": "kata", "overhead": overhead, "scheduling": scheduling}
    )
    start = 'pods "p" is forbidden: '
    answer = await api("POST", PODS, pod(runtimeClassName="missing"))
    assert (answer.status, answer.message) == (403, f'{start}pod rejected: RuntimeClass "missing" not found')
    answer = await api("POST", PODS, pod(runtimeClassName="kata", overhead={"cpu": "1"}))
    assert answer.message == f"{start}pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
    answer = await api("POST", PODS, pod(overhead={"cpu": "1"}))
    words = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
    assert answer.message == start + words
    answer = await api("POST", PODS, pod(runtimeClassName="kata", nodeSelector={"kata": "no"}))
    assert answer.message == (
        f"{start}conflict: runtimeClass.scheduling.nodeSelector[kata] = yes; pod.spec.nodeSelector[kata] = no"
    )


async def test_a_class_that_appears_counts_for_alike_pods(api: Api) -> None:
    for i in range(3):
        assert (await api("POST", PODS, pod(f"p{i}", runtimeClassName="late"))).status == 403
    await api.made(CLASSES, {"metadata": {"name": "late"}, "handler": "late"})
    for i in range(3):
        assert (await api("POST", PODS, pod(f"p{i}", runtimeClassName="late"))).status == 201
    await api("DELETE", f"{CLASSES}/late")
    assert (await api("POST", PODS, pod("p9", runtimeClassName="late"))).status == 403


def test_tolerations_that_others_include_are_left_out() -> None:
    wide = Toleration(operator="Exists")
    narrow = Toleration(key="a", operator="Exists", effect="NoExecute", toleration_seconds=5)
    longer = Toleration(key="a", operator="Exists", effect="NoExecute", toleration_seconds=9)
    other = Toleration(key="b", operator="Equal", value="c")
    assert merged([narrow], [wide]) == [wide]
    assert merged([narrow], [longer]) == [longer]
    assert merged([longer], [narrow, other]) == [longer, other]
    assert merged([other], [other]) == [other]


def ingress(name: str, **metadata: object) -> dict[str, object]:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    return {"metadata": {"name": name, **metadata}, "spec": {"defaultBackend": backend}}


async def test_an_ingress_gets_the_default_class(api: Api) -> None:
    assert "ingressClassName" not in (await api.made(INGRESSES, ingress("none")))["spec"]
    mark = {"ingressclass.kubernetes.io/is-default-class": "true"}
    for name, annotations in (("other", {}), ("b", mark), ("a", mark)):
        spec = {"controller": "example.com/c"}
        await api.made(INGRESS_CLASSES, {"metadata": {"name": name, "annotations": annotations}, "spec": spec})
    # Made within one second these are equally old: the name decides.
    assert (await api.made(INGRESSES, ingress("i")))["spec"]["ingressClassName"] in ("a", "b")
    by_annotation = ingress("annotated", annotations={"kubernetes.io/ingress.class": "other"})
    assert "ingressClassName" not in (await api.made(INGRESSES, by_annotation))["spec"]


def test_names_of_plugins_are_checked() -> None:
    check_names(frozenset({"ServiceAccount"}), frozenset({"ResourceQuota", "PodSecurity"}))
    with pytest.raises(ValueError, match="enable-admission-plugins plugin 'PodPreset' is unknown"):
        check_names(frozenset({"PodPreset"}), frozenset())
    with pytest.raises(ValueError, match="overlapped"):
        check_names(frozenset({"Priority"}), frozenset({"Priority"}))
