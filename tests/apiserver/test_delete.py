"""Deletes: grace, finalizers, propagation, preconditions."""

from typing import Any

from tests.apiserver.conftest import DEPLOYMENTS, MAPS, PODS, Api, config_map, pod


async def test_a_plain_object_goes_at_once_and_a_status_comes(api: Api) -> None:
    made = await api.made(MAPS, config_map("a"))
    answer = await api("DELETE", f"{MAPS}/a")
    assert answer.status == 200
    assert answer.body["status"] == "Success"
    assert answer.body["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    again = await api("DELETE", f"{MAPS}/a")
    assert (again.status, again.message) == (404, 'configmaps "a" not found')


async def test_a_scheduled_pod_gets_its_grace(api: Api) -> None:
    await api.made(PODS, pod(nodeName="n", terminationGracePeriodSeconds=20))
    first = (await api("DELETE", f"{PODS}/p")).body["metadata"]
    assert first["deletionGracePeriodSeconds"] == 20
    assert first["generation"] == 2
    longer = (await api("DELETE", f"{PODS}/p?gracePeriodSeconds=40")).body["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 20
    shorter = (await api("DELETE", f"{PODS}/p?gracePeriodSeconds=1")).body["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 1
    assert shorter["deletionTimestamp"] < first["deletionTimestamp"]
    assert (await api("GET", f"{PODS}/p")).status == 200
    last = await api("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert last.body["kind"] == "Pod"
    assert (await api("GET", f"{PODS}/p")).status == 404


async def test_an_unscheduled_or_ended_pod_goes_at_once(api: Api) -> None:
    await api.made(PODS, pod("waiting"))
    ended = await api.made(PODS, pod("ended", nodeName="n"))
    ended["status"]["phase"] = "Succeeded"
    await api("PUT", f"{PODS}/ended/status", ended)
    for name in ("waiting", "ended"):
        await api("DELETE", f"{PODS}/{name}")
        assert (await api("GET", f"{PODS}/{name}")).status == 404


async def test_finalizers_keep_an_object_until_the_last_is_gone(api: Api) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/keep"]
    await api.made(MAPS, body)
    marked = (await api("DELETE", f"{MAPS}/a")).body
    assert marked["metadata"]["deletionTimestamp"]
    marked["metadata"]["finalizers"].append("example.com/more")
    refused = await api("PUT", f"{MAPS}/a", marked)
    assert refused.status == 422
    assert "no new finalizers can be added if the object is being deleted" in refused.message
    marked["metadata"]["finalizers"] = []
    assert (await api("PUT", f"{MAPS}/a", marked)).status == 200
    assert (await api("GET", f"{MAPS}/a")).status == 404


async def test_a_pod_with_a_finalizer_stays_past_its_grace(api: Api) -> None:
    body = pod(nodeName="n")
    body["metadata"]["finalizers"] = ["example.com/keep"]
    await api.made(PODS, body)
    await api("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
    kept = (await api("GET", f"{PODS}/p")).body
    assert kept["metadata"]["deletionGracePeriodSeconds"] == 0
    kept["metadata"]["finalizers"] = []
    await api("PUT", f"{PODS}/p", kept)
    assert (await api("GET", f"{PODS}/p")).status == 404


async def deployment(api: Api) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    made: dict[str, Any] = await api.made(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec})
    return made


async def test_propagation_leaves_its_finalizer(api: Api) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await deployment(api)
        kept = (await api("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": policy})).body
        assert kept["metadata"]["finalizers"] == [finalizer]
        assert kept["metadata"]["generation"] == 2
        kept["metadata"]["finalizers"] = []
        await api("PUT", f"{DEPLOYMENTS}/d", kept)
        assert (await api("GET", f"{DEPLOYMENTS}/d")).status == 404
    await deployment(api)
    assert (await api("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": "Background"})).body["status"] == "Success"
    wrong = await api("DELETE", f"{DEPLOYMENTS}/d", {"propagationPolicy": "Never"})
    assert wrong.message == (
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Never": supported values: '
        '"Foreground", "Background", "Orphan", "nil"'
    )


async def test_preconditions(api: Api) -> None:
    made = await api.made(MAPS, config_map("a"))
    uid = made["metadata"]["uid"]
    other = await api("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "x"}})
    assert other.status == 409
    assert f"the UID in the precondition (x) does not match the UID in record ({uid})" in other.message
    old = await api("DELETE", f"{MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
    assert "the ResourceVersion in the precondition (1) does not match" in old.message
    assert (await api("DELETE", f"{MAPS}/a", {"preconditions": {"uid": uid}, "dryRun": ["All"]})).status == 200
    assert (await api("GET", f"{MAPS}/a")).status == 200
    assert (await api("DELETE", f"{MAPS}/a", {"preconditions": {"uid": uid}})).status == 200


async def test_a_body_goes_before_the_query(api: Api) -> None:
    """Where a delete has options as its body, those of the query are not read."""
    await api("POST", MAPS, {"metadata": {"name": "a"}})
    assert (
        await api("DELETE", f"{MAPS}/a?dryRun=All&propagationPolicy=Nonsense", {"kind": "DeleteOptions"})
    ).status == 200
    assert (await api("GET", f"{MAPS}/a")).status == 404


async def test_pods_of_jobs_stay_unless_it_is_said(api: Api) -> None:
    """batch/v1 keeps what a Job leaves behind, and warns of it; so does a ReplicationController, silently."""
    pods = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    for name in ("a", "b"):
        await api("POST", jobs, {"metadata": {"name": name}, "spec": {"template": {"spec": pods}}})
    kept = await api("DELETE", f"{jobs}/a")
    assert kept.body["metadata"]["finalizers"] == ["orphan"]
    assert "child pods are preserved by default when jobs are deleted" in kept.headers["warning"]
    again = await api("POST", jobs, {"metadata": {"name": "a"}, "spec": {"template": {"spec": pods}}})
    assert (again.status, again.message) == (409, 'object is being deleted: jobs.batch "a" already exists')
    gone = await api("DELETE", f"{jobs}/b", {"propagationPolicy": "Background"})
    assert (gone.status, gone.body["status"]) == (200, "Success")
    assert "warning" not in gone.headers
