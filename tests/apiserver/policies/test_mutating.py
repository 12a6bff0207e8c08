"""MutatingAdmissionPolicy: the examples of Kubernetes' documentation, and reinvocation."""

from tests.apiserver.conftest import MAPS, PODS, Api, config_map, pod
from tests.apiserver.crd.conftest import WIDGETS, define, definition, widget
from tests.apiserver.policies.conftest import MUTATING, constraints, mutating

SIDECAR = """
Object{
  spec: Object.spec{
    initContainers: [
      Object.spec.initContainers{
        name: "mesh-proxy",
        image: "mesh/proxy:v1.0.0",
        args: ["proxy", "sidecar"],
        restartPolicy: "Always"
      }
    ]
  }
}
"""


async def test_a_sidecar_by_configuration(api: Api) -> None:
    spec = {
        **constraints("pods"),
        "matchConditions": [
            {
                "name": "does-not-already-have-sidecar",
                "expression": "!object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh-proxy')",
            }
        ],
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": SIDECAR}}],
    }
    await mutating(api, "sidecar-policy.example.com", spec)
    made = await api.made(PODS, pod(initContainers=[{"name": "i", "image": "x"}]))
    names = [c["name"] for c in made["spec"]["initContainers"]]
    assert sorted(names) == ["i", "mesh-proxy"]
    side = next(c for c in made["spec"]["initContainers"] if c["name"] == "mesh-proxy")
    assert (side["restartPolicy"], side["imagePullPolicy"]) == ("Always", "IfNotPresent")
    assert "mesh-proxy" not in str(made["metadata"]["managedFields"])


async def test_a_sidecar_by_patch(api: Api) -> None:
    expression = """
    has(object.spec.initContainers)
      ? [JSONPatch{op: "add", path: "/spec/initContainers/-", value: Object.spec.initContainers{name: "s", image: "x"}}]
      : [JSONPatch{op: "add", path: "/spec/initContainers",
                   value: [Object.spec.initContainers{name: "s", image: "x"}]}]
    """
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    await mutating(api, "p", {**constraints("pods"), "mutations": [mutation]})
    assert [c["name"] for c in (await api.made(PODS, pod()))["spec"]["initContainers"]] == ["s"]


async def test_parameters_and_keys_with_slashes(api: Api) -> None:
    await api.made(MAPS, config_map("settings", data={"team": "blue"}))
    expression = """[
      JSONPatch{op: "test", path: "/metadata/name", value: object.metadata.name},
      JSONPatch{op: "add", path: "/metadata/annotations", value: {}},
      JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/team"),
                value: variables.team}
    ]"""
    spec = {
        **constraints("secrets"),
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [{"name": "team", "expression": "params.data.team"}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    ref = {"name": "settings", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await mutating(api, "p", spec, paramRef=ref)
    made = await api.made("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})
    assert made["metadata"]["annotations"] == {"example.com/team": "blue"}


async def test_custom_resources_are_changed_by_their_own_schema(api: Api) -> None:
    await define(api, definition())
    expression = "Object{spec: Object.spec{items: [Object.spec.items{name: 'a', value: '1'}]}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    await mutating(api, "p", {**constraints("widgets"), "mutations": [mutation]})
    made = await api.made(WIDGETS, widget(items=[{"name": "b", "value": "2"}]))
    assert sorted(i["name"] for i in made["spec"]["items"]) == ["a", "b"]


async def test_an_earlier_policy_is_asked_again_if_it_wants(api: Api) -> None:
    def adds(key: str, when: str) -> dict[str, object]:
        expression = f'{when} ? [JSONPatch{{op: "add", path: "/data/{key}", value: "1"}}] : []'
        return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}

    first = {
        **constraints("configmaps"),
        "reinvocationPolicy": "IfNeeded",
        "mutations": [adds("x", "'y' in object.data")],
    }
    second = {**constraints("configmaps"), "mutations": [adds("y", "true")]}
    await mutating(api, "a", first)
    await mutating(api, "b", second)
    made = await api.made(MAPS, config_map("m", data={"z": "1"}))
    assert made["data"] == {"x": "1", "y": "1", "z": "1"}


async def test_a_failure_is_told(api: Api) -> None:
    mutation = {
        "patchType": "JSONPatch",
        "jsonPatch": {"expression": '[JSONPatch{op: "remove", path: "/data/missing"}]'},
    }
    spec = {**constraints("configmaps"), "mutations": [mutation]}
    await mutating(api, "p", spec)
    answer = await api("POST", MAPS, config_map("m"))
    assert answer.status == 403
    assert "policy 'p' with binding 'p-b' denied request: JSON Patch: " in answer.message
    ignoring = {"metadata": {"name": "p"}, "spec": {**spec, "failurePolicy": "Ignore", "reinvocationPolicy": "Never"}}
    assert (await api.put(f"{MUTATING}/p", ignoring)).status == 200
    assert (await api("POST", MAPS, config_map("m"))).status == 201
