"""The fixtures of the workloads' controllers, played by Kubernetes' own kube-controller-manager as well.

After each step what is there, and what events tell, must be the same.
"""

from difflib import unified_diff
from pathlib import Path

import pytest
import yaml

from orlop.controllers import Options, all_controllers
from tests.support import go
from tests.support.bothmanagers import Played

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(2 * go.COMMAND_SECONDS)]

FIXTURES = Path(__file__).parent.parent / "fixtures"
COMPARED = (
    "daemonset-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "job-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "statefulset-controller",
)
NEWEST = "upstream gives pods up before the newest set has been looked at"
NO_NODE = "the daemons have no node here, which upstream takes for none of the node's"
CHANCE = "which node has its turn first is chance, in upstream"
OTHERWISE = {
    "deployment-controller/pause-and-scale": NEWEST,
    "deployment-controller/percentages": NEWEST,
    "deployment-controller/proportional": NEWEST,
    "deployment-controller/rollback": NEWEST,
    "deployment-controller/rollover": NEWEST,
    "daemonset-controller/node-gone": NO_NODE,
    "daemonset-controller/places": NO_NODE,
    "daemonset-controller/taints": NO_NODE,
    "daemonset-controller/max-unavailable-percent": CHANCE,
    "daemonset-controller/rolling-update": CHANCE,
    "daemonset-controller/surge": CHANCE,
    "disruption-controller/percentages": "of several budgets of a pod upstream looks at one",
    "job-controller/left-without-finalizer": "upstream does not count that pod, and makes another",
    "statefulset-controller/claims-when-scaled": "upstream does not hear of claims that go",
}
"""Fixtures in which orlop does otherwise, and why."""
CASES = [
    f"{name}/{case.name.partition('.')[0]}"
    for name in COMPARED
    for case in sorted((FIXTURES / name).glob("*.input.yaml"))
    if "options:" not in case.read_text()
]


@pytest.mark.parametrize("case", [case for case in CASES if case not in OTHERWISE])
async def test_fixture(case: str, tmp_path: Path) -> None:
    name = case.partition("/")[0]
    text = (FIXTURES / f"{case}.input.yaml").read_text()
    ours, theirs = Played(list(yaml.safe_load_all(text))), Played(list(yaml.safe_load_all(text)))
    await ours.ours([c for c in all_controllers(Options()) if c.name == name])
    try:
        await theirs.theirs(name, tmp_path, ours)
    except go.NoGo as error:
        pytest.skip(str(error))
    for (after, mine), (_, other) in zip(ours.shown, theirs.shown, strict=True):
        found = []
        for key in sorted({*mine, *other}):
            if key not in mine or key not in other:
                found.append(f"only {'ours' if key in mine else 'theirs'}: {key}")
            elif mine[key] != other[key]:
                lines = unified_diff(
                    mine[key].splitlines(), other[key].splitlines(), "ours", "theirs", lineterm="", n=1
                )
                found += [key, *lines]
        assert not found, "\n".join([f"after {after}:", *found])


def test_what_differs_is_there() -> None:
    assert set(OTHERWISE) <= set(CASES)
