"""KubeSchedulerConfiguration: what is read, what defaults it gets, and in what words it is refused."""

import json
from typing import Any

import pytest
import yaml

from orlop.native import SchedulerCore
from orlop.scheduler import config
from orlop.scheduler.config.durations import seconds
from tests.scheduler.conftest import World

HEAD = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}

CONSTRAINT = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}


def read(**given: Any) -> config.Settings:
    return config.read(yaml.safe_dump({**HEAD, **given}).encode())


def refused(**given: Any) -> list[str]:
    with pytest.raises(config.ConfigurationError) as caught:
        read(**given)
    return str(caught.value).splitlines()


def args(plugin: str, **given: Any) -> dict[str, Any]:
    return {"profiles": [{"pluginConfig": [{"name": plugin, "args": given}]}]}


def test_an_empty_one_is_upstreams_default() -> None:
    settings = read()
    assert settings.profiles == (config.standard(),)
    profile = settings.profiles[0]
    filters, scores = SchedulerCore.default_plugins()
    assert [name for name in profile.points["filter"] if name in filters] == filters
    in_core = [(name, profile.weights[name]) for name in profile.points["score"] if name != "DynamicResources"]
    assert in_core == scores
    assert profile.weights["DynamicResources"] == 2
    assert profile.points["bind"] == ("DefaultBinder",)
    assert (settings.initial_backoff, settings.max_backoff) == (1.0, 10.0)
    assert settings.leader_election == config.LeaderElection()


def test_plugins_by_point_and_everywhere() -> None:
    everywhere = {"enabled": [{"name": "NodeAffinity", "weight": 7}], "disabled": [{"name": "ImageLocality"}]}
    score = {
        "enabled": [{"name": "NodeResourcesFit", "weight": 5}, {"name": "TaintToleration"}],
        "disabled": [{"name": "PodTopologySpread"}],
    }
    profile = read(profiles=[{"plugins": {"multiPoint": everywhere, "score": score}}]).profiles[0]
    assert [(name, profile.weights[name]) for name in profile.points["score"]] == [
        ("NodeResourcesFit", 5),
        ("TaintToleration", 1),
        ("NodeAffinity", 7),
        ("InterPodAffinity", 2),
        ("DynamicResources", 2),
        ("NodeResourcesBalancedAllocation", 1),
    ]
    assert "PodTopologySpread" in profile.points["filter"]
    only = {"filter": {"enabled": [{"name": "NodePorts"}], "disabled": [{"name": "*"}]}}
    assert read(profiles=[{"plugins": only}]).profiles[0].points["filter"] == ("NodePorts",)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ({"filter": {"enabled": [{"name": "Nope"}]}}, 'FilterPlugin "Nope" does not exist'),
        ({"multiPoint": {"enabled": [{"name": "Nope"}]}}, 'MultiPointPlugin "Nope" does not exist'),
        ({"score": {"enabled": [{"name": "NodeName"}]}}, 'plugin "NodeName" does not extend ScorePlugin plugin'),
        (
            {"filter": {"enabled": [{"name": "NodeName"}, {"name": "NodeName"}]}},
            'plugin "NodeName" already registered as "FilterPlugin"',
        ),
        (
            {"queueSort": {"disabled": [{"name": "*"}]}},
            'no queue sort plugin is enabled for profile with scheduler name "default-scheduler"',
        ),
        (
            {"bind": {"disabled": [{"name": "*"}]}},
            'at least one bind plugin is needed for profile with scheduler name "default-scheduler"',
        ),
    ],
)
def test_plugins_that_do_not_fit(plugins: dict[str, Any], message: str) -> None:
    assert refused(profiles=[{"plugins": plugins}]) == [f'profiles[0].plugins: profile "default-scheduler": {message}']


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"profile": []}, 'strict decoding error: unknown field "profile"'),
        (
            {"profiles": [{"plugin": {}, "plugins": {"filters": {}}}]},
            'strict decoding error: unknown field "profiles[0].plugin", unknown field "profiles[0].plugins.filters"',
        ),
        (
            args("NodeAffinity", addedAffinity={"required": {}}),
            'strict decoding error: unknown field "profiles[0].pluginConfig[0].args.addedAffinity.required"',
        ),
        ({"parallelism": "x"}, "parallelism: Invalid value: Expected `int`, got `str`"),
        ({"parallelism": 0}, "parallelism: Invalid value: 0: should be an integer value greater than zero"),
        ({"percentageOfNodesToScore": 101}, "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
        ({"podInitialBackoffSeconds": 0}, "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
        (
            {"podInitialBackoffSeconds": 5, "podMaxBackoffSeconds": 2},
            "podMaxBackoffSeconds: Invalid value: 2: must be greater than or equal to PodInitialBackoffSeconds",
        ),
        ({"profiles": [{"schedulerName": "a"}, {}]}, "profiles[1].schedulerName: Required value"),
        (
            {"profiles": [{"schedulerName": "a"}, {"schedulerName": "a"}]},
            'profiles[1].schedulerName: Duplicate value: "profiles[0].schedulerName"',
        ),
        (
            {"leaderElection": {"leaseDuration": "nope"}},
            'leaderElection.leaseDuration: Invalid value: "nope": time: invalid duration "nope"',
        ),
        (
            {"leaderElection": {"resourceLock": "endpoints"}},
            'leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must be "leases"',
        ),
        (
            {"extenders": [{"urlPrefix": "http://x", "prioritizeVerb": "p"}]},
            "extenders[0].weight: Invalid value: 0: must have a positive weight applied to it",
        ),
        (
            {"extenders": [{"urlPrefix": "http://x", "bindVerb": "b"}] * 2},
            'extenders: Invalid value: "found 2 extenders implementing bind": only one extender can implement bind',
        ),
        (
            {"extenders": [{"urlPrefix": "http://x", "managedResources": [{"name": "cpu"}]}]},
            'extenders[0].managedResources[0].name: Invalid value: "cpu": is an invalid extended resource name',
        ),
        (
            args("NodeResourcesFit", scoringStrategy={"type": "Best"}),
            'profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: "Best": supported values: '
            '"LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"',
        ),
        (
            args("NodeResourcesFit", scoringStrategy={"type": "RequestedToCapacityRatio"}),
            "profiles[0].pluginConfig[0].args.scoringStrategy.requestedToCapacityRatio: Required value: must be "
            "specified when type is RequestedToCapacityRatio",
        ),
        (
            args("NodeResourcesFit", ignoredResourceGroups=["a/b"]),
            'profiles[0].pluginConfig[0].args.ignoredResourceGroups[0]: Invalid value: "a/b": resource group name '
            "can't contain '/'",
        ),
        (
            args("NodeResourcesBalancedAllocation", resources=[{"name": "cpu", "weight": 2}]),
            "profiles[0].pluginConfig[0].args.resources[0].weight: Invalid value: 2: must be 1",
        ),
        (
            args("InterPodAffinity", hardPodAffinityWeight=101),
            "profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]",
        ),
        (
            args("PodTopologySpread", defaultConstraints=[CONSTRAINT]),
            'profiles[0].pluginConfig[0].args.defaultingType: Invalid value: "System": when .defaultConstraints are '
            "not empty",
        ),
        (
            args("VolumeBinding", bindTimeoutSeconds=-1),
            "profiles[0].pluginConfig[0].args.bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, "
            "should not be a negative value",
        ),
        (
            args("NodeName", kind="NodeAffinityArgs") | args("NodeAffinity", kind="NodeNameArgs"),
            "profiles[0].pluginConfig[0].args: Invalid value: NodeNameArgs: has to match plugin args",
        ),
        (
            {"profiles": [{"pluginConfig": [{"name": "EBSLimits"}]}]},
            'profiles[0].pluginConfig[0]: Invalid value: "EBSLimits": was invalid in version '
            '"kubescheduler.config.k8s.io/v1" (KubeSchedulerConfiguration is version "kubescheduler.config.k8s.io/v1")',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(given: dict[str, Any], message: str) -> None:
    assert refused(**given) == [message]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refused(parallelism=-1, podInitialBackoffSeconds=-1)[:2] == [
        "parallelism: Invalid value: -1: should be an integer value greater than zero",
        "podInitialBackoffSeconds: Invalid value: -1: must be greater than 0",
    ]
    shape = [{"utilization": 50, "score": 11}, {"utilization": 40, "score": 0}]
    strategy = {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": shape}}
    assert len(refused(**args("NodeResourcesFit", scoringStrategy=strategy))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [", "yaml: "),
        (b"- 1", "the configuration is not an object"),
        (b"kind: Pod\napiVersion: v1", 'no kind "Pod" is registered for version "v1"'),
        (json.dumps(HEAD).encode()[:-1] + b', "kind": "X"}', 'mapping key "kind" already defined'),
    ],
)
def test_what_is_no_configuration(text: bytes, message: str) -> None:
    with pytest.raises(config.ConfigurationError) as caught:
        config.read(text)
    assert message in str(caught.value)


def test_durations_are_gos() -> None:
    assert [seconds(text) for text in ("15s", "1m30s", "1.5h", "250ms", "0", "-2s")] == [15, 90, 5400, 0.25, 0, -2]
    for text in ("", "5", "s", "1x", "1 s"):
        with pytest.raises(ValueError, match="invalid duration"):
            seconds(text)


async def test_each_profile_decides_for_its_own(world: World) -> None:
    """Two names in one scheduler: one spreads, one packs, and one knows of an affinity that no pod states."""
    fit = {"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "MostAllocated"}}}
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n3"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    balanced = {"score": {"disabled": [{"name": "NodeResourcesBalancedAllocation"}]}}
    settings = read(
        profiles=[
            {"schedulerName": "spread", "plugins": balanced},
            {"schedulerName": "pack", "pluginConfig": [fit], "plugins": balanced},
            {"schedulerName": "n3", "pluginConfig": [{"name": "NodeAffinity", "args": {"addedAffinity": required}}]},
        ]
    )
    for name in ("n1", "n2"):
        await world.node(name)
    await world.pod("first", nodeName="n1")
    async with world.scheduler(settings=settings):
        await world.pod("a", schedulerName="spread")
        assert await world.placed("a") == "n2"
        await world.pod("b", cpu="2", schedulerName="spread")
        placed = await world.placed("b")
        await world.pod("c", schedulerName="pack")
        assert await world.placed("c") == placed
        await world.pod("d", schedulerName="n3")
        message = await world.condition("d", "Unschedulable")
        assert message.startswith("0/2 nodes are available: 2 node(s) didn't match scheduler-enforced node affinity.")
        assert (await world.event("d", "FailedScheduling")).reporting_component == "n3"
        await world.clock.advance(2)
        await world.node("n3")
        await world.clock.advance(10)
        assert await world.placed("d") == "n3"
