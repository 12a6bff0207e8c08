"""Create, get, list, update, patch: what a client sees of them."""

from tests.apiserver.conftest import DEPLOYMENTS, MAPS, PODS, Api, config_map, pod


async def test_an_object_comes_back_with_its_metadata(api: Api) -> None:
    made = await api.made(MAPS, config_map("a", data={"z": "1", "b": "2"}))
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"]
    assert int(metadata["resourceVersion"]) > 0
    assert (await api("GET", f"{MAPS}/a")).body == made
    assert [i["metadata"]["name"] for i in (await api("GET", MAPS)).body["items"]] == ["a"]
    again = await api("POST", MAPS, config_map("a"))
    assert (again.status, again.message) == (409, 'configmaps "a" already exists')


async def test_generated_names_spell_no_words(api: Api) -> None:
    made = [await api.made(MAPS, {"metadata": {"generateName": "x" * 70}}) for _ in range(3)]
    names = {m["metadata"]["name"] for m in made}
    assert len(names) == 3
    assert all(len(name) == 63 and not set(name[58:]) & set("aeiou013") for name in names)


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    revision = api.server.core.hub.revision
    answer = await api("POST", f"{MAPS}?dryRun=All", config_map("a"))
    assert answer.status == 201
    assert answer.body["metadata"]["uid"]
    assert "resourceVersion" not in answer.body["metadata"]
    assert (await api("GET", f"{MAPS}/a")).status == 404
    assert api.server.core.hub.revision == revision


async def test_a_write_that_changes_nothing_writes_nothing(api: Api) -> None:
    made = await api.made(MAPS, config_map("a", data={"b": "1", "a": "2"}))
    turned = config_map("a", data={"a": "2", "b": "1"})
    answer = await api("PUT", f"{MAPS}/a", turned)
    assert answer.status == 200
    assert answer.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_an_update_of_an_old_revision_is_a_conflict(api: Api) -> None:
    made = await api.made(MAPS, config_map("a"))
    assert (await api("PUT", f"{MAPS}/a", {**made, "data": {"k": "1"}})).status == 200
    answer = await api("PUT", f"{MAPS}/a", {**made, "data": {"k": "2"}})
    assert answer.status == 409
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )


async def test_leases_want_a_revision_and_may_be_made_by_put(api: Api) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    assert (await api("PUT", path, lease)).status == 201
    answer = await api("PUT", path, lease)
    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in answer.message


async def test_generation_counts_changes_of_the_spec(api: Api) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    made = await api.made(
        DEPLOYMENTS,
        {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}},
    )
    assert made["metadata"]["generation"] == 1
    made["metadata"]["labels"] = {"l": "1"}
    made["status"] = {"replicas": 7}
    updated = (await api("PUT", f"{DEPLOYMENTS}/d", made)).body
    assert updated["metadata"]["generation"] == 1
    assert "replicas" not in updated["status"]
    updated["spec"]["replicas"] = 4
    assert (await api("PUT", f"{DEPLOYMENTS}/d", updated)).body["metadata"]["generation"] == 2


async def test_the_status_subresource_changes_the_status_alone(api: Api) -> None:
    made = await api.made(PODS, pod())
    made["status"] = {"phase": "Running"}
    made["spec"]["nodeName"] = "n"
    answer = await api("PUT", f"{PODS}/p/status", made)
    assert answer.status == 200
    assert answer.body["status"]["phase"] == "Running"
    assert answer.body["status"]["qosClass"] == "BestEffort"
    assert "nodeName" not in answer.body["spec"]


async def test_patches(api: Api) -> None:
    await api.made(MAPS, config_map("a", data={"a": "1"}))
    merge = await api("PATCH", f"{MAPS}/a", {"data": {"a": None, "b": "2"}}, "application/merge-patch+json")
    assert merge.body["data"] == {"b": "2"}
    added = [{"op": "add", "path": "/data/c", "value": "3"}]
    assert (await api("PATCH", f"{MAPS}/a", added, "application/json-patch+json")).body["data"] == {"b": "2", "c": "3"}
    failing = [{"op": "test", "path": "/data/c", "value": "4"}]
    answer = await api("PATCH", f"{MAPS}/a", failing, "application/json-patch+json")
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    other = await api("PATCH", f"{MAPS}/a", {"metadata": {"name": "q"}}, "application/merge-patch+json")
    assert (other.status, other.message) == (400, "the name of the object (q) does not match the name on the URL (a)")
    unknown = await api("PATCH", f"{MAPS}/a", {}, "application/json")
    assert (unknown.status, unknown.body["reason"]) == (415, "UnsupportedMediaType")


async def test_a_strategic_patch_merges_lists_by_key(api: Api) -> None:
    await api.made(PODS, pod())
    change = {"spec": {"containers": [{"name": "c", "image": "two"}]}}
    answer = await api("PATCH", f"{PODS}/p", change, "application/strategic-merge-patch+json")
    assert answer.status == 200
    assert answer.body["spec"]["containers"][0]["image"] == "two"
    assert answer.body["metadata"]["generation"] == 2
    more = {"spec": {"containers": [{"name": "d", "image": "x"}]}}
    answer = await api("PATCH", f"{PODS}/p", more, "application/strategic-merge-patch+json")
    assert (
        answer.message == 'Pod "p" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers'
    )


async def test_unknown_fields_are_reported_as_asked(api: Api) -> None:
    body = {**config_map("a"), "bogus": 1}
    warned = await api("POST", f"{MAPS}?dryRun=All", body)
    assert warned.status == 201
    assert warned.headers["warning"] == '299 - "unknown field \\"bogus\\""'
    ignored = await api("POST", f"{MAPS}?dryRun=All&fieldValidation=Ignore", body)
    assert "warning" not in ignored.headers
    strict = await api("POST", f"{MAPS}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert 'strict decoding error: unknown field "bogus"' in strict.message


async def test_refused_requests(api: Api) -> None:
    cases = [
        ("GET", "/apis/foo.io/v1/foos", None, 404, None),
        ("GET", "/api/v1/namespaces/default/foos", None, 404, "the server could not find the requested resource"),
        ("PUT", PODS, {}, 405, "the server does not allow this method on the requested resource"),
        ("POST", f"{PODS}/p", {}, 405, "the server does not allow this method on the requested resource"),
        ("GET", f"{PODS}/nope", None, 404, 'pods "nope" not found'),
        ("POST", "/api/v1/namespaces/nope/configmaps", config_map("a"), 404, 'namespaces "nope" not found'),
        ("POST", MAPS, {**config_map("a"), "kind": "Service"}, 400, None),
        ("GET", f"{PODS}?fieldSelector=spec.foo%3Dx", None, 400, "field label not supported: spec.foo"),
        ("GET", f"{PODS}?limit=x", None, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("DELETE", "/api/v1/namespaces/default", None, 403, None),
    ]
    for method, path, body, status, message in cases:
        answer = await api(method, path, body)
        assert answer.status == status, (path, answer.raw)
        if message is not None:
            assert answer.message == message
    text = await api("POST", MAPS, b"x", media="text/plain")
    assert (text.status, text.body["reason"]) == (415, "UnsupportedMediaType")
    html = await api("GET", PODS, accept="text/html")
    assert (html.status, html.body["reason"]) == (406, "NotAcceptable")
    large = await api("POST", MAPS, b" " * (3 * 1024 * 1024 + 1))
    assert (large.status, large.body["reason"]) == (413, "RequestEntityTooLarge")


async def test_a_namespace_that_ends_takes_nothing_new(api: Api) -> None:
    await api.made("/api/v1/namespaces", {"metadata": {"name": "n"}})
    gone = await api("DELETE", "/api/v1/namespaces/n")
    assert gone.status == 200
    assert gone.body["status"]["phase"] == "Terminating"
    answer = await api("POST", "/api/v1/namespaces/n/configmaps", config_map("a"))
    assert answer.status == 403
    assert answer.message == (
        'configmaps "a" is forbidden: unable to create new content in namespace n because it is being terminated'
    )
    assert answer.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    ending = (await api("GET", "/api/v1/namespaces/n")).body
    ending["spec"]["finalizers"] = []
    assert (await api("PUT", "/api/v1/namespaces/n/finalize", ending)).status == 200
    assert (await api("GET", "/api/v1/namespaces/n")).status == 404


async def test_nobody_comes_in_without_leave(api: Api) -> None:
    stranger = Api(api.server, None)
    answer = await stranger("GET", PODS)
    assert answer.status == 403
    assert answer.message == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace '
        '"default"'
    )
    assert (await stranger("GET", PODS, authorization="Bearer x")).status == 401
    assert (await stranger("GET", "/readyz")).status == 200


async def test_events_are_the_same_objects_in_both_groups(api: Api) -> None:
    old = "/api/v1/namespaces/default/events"
    new = "/apis/events.k8s.io/v1/namespaces/default/events"
    made = await api.made(
        new,
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "e"},
            "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
            "note": "said",
            "reason": "Because",
            "action": "Act",
            "type": "Normal",
            "reportingController": "example.com/c",
            "reportingInstance": "i",
            "eventTime": "2026-01-02T03:04:05.000006Z",
        },
    )
    assert (made["apiVersion"], made["note"]) == ("events.k8s.io/v1", "said")
    core = (await api("GET", f"{old}/e")).body
    assert (core["apiVersion"], core["message"], core["reportingComponent"]) == ("v1", "said", "example.com/c")
    assert core["metadata"] == made["metadata"]
    listed = (await api("GET", f"{new}?fieldSelector=regarding.name%3Dp")).body
    assert (listed["apiVersion"], listed["kind"]) == ("events.k8s.io/v1", "EventList")
    assert listed["items"][0]["regarding"]["name"] == "p"
    change = {"note": "again"}
    patched = await api("PATCH", f"{new}/e", change, "application/merge-patch+json")
    assert patched.body["note"] == "again"
    assert (await api("GET", f"{old}/e")).body["message"] == "again"
    thin = await api("POST", new, {"metadata": {"name": "f"}, "regarding": {"namespace": "default"}})
    assert thin.status == 422
    assert "eventTime: Required value" in thin.message


async def test_objects_of_the_cluster_lose_a_namespace(api: Api) -> None:
    made = await api.made("/api/v1/nodes", {"metadata": {"name": "n", "namespace": "elsewhere"}})
    assert "namespace" not in made["metadata"]
    made["metadata"] |= {"namespace": "elsewhere", "labels": {"a": "b"}}
    changed = (await api("PUT", "/api/v1/nodes/n", made)).body["metadata"]
    assert (changed["labels"], "namespace" in changed) == ({"a": "b"}, False)


async def test_a_limit_range_without_a_name_is_called_by_its_uid(api: Api) -> None:
    metadata = (await api.made("/api/v1/namespaces/default/limitranges", {}))["metadata"]
    assert metadata["name"] == metadata["uid"]


async def test_some_statuses_are_written_without_their_metadata(api: Api) -> None:
    path = "/apis/networking.k8s.io/v1/servicecidrs"
    await api.made(path, {"metadata": {"name": "c"}, "spec": {"cidrs": ["10.9.0.0/24"]}})
    patch = {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["a/b"]}}
    kept = (await api("PATCH", f"{path}/c/status", patch, "application/merge-patch+json")).body["metadata"]
    assert not {"labels", "annotations", "finalizers"} & {*kept}
    assert [entry.get("subresource") for entry in kept["managedFields"]] == [None]
