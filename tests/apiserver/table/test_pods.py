"""A pod's status in one word: each case as upstream's printer shows it."""

import pytest


def pod(spec=None, **status):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], **(spec or {})},
        "status": status,
    }


def running(**more):
    return {"ready": True, "restartCount": 0, "state": {"running": {"startedAt": "2025-12-31T23:00:00Z"}}, **more}


def waiting(reason, **more):
    return {"ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}, **more}


def ended(code=0, reason="", signal=0, **more):
    state = {"terminated": {"exitCode": code, "reason": reason, "signal": signal}}
    return {"ready": False, "restartCount": 0, "state": state, **more}


def last_ended(at):
    return {"lastState": {"terminated": {"exitCode": 1, "finishedAt": at}}}


READY = [{"type": "Ready", "status": "True"}]
INITIALIZED = [{"type": "Initialized", "status": "True"}]
INIT = {"initContainers": [{"name": "i1"}, {"name": "i2"}]}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (pod(phase="Pending"), ["0/2", "Pending", "0"]),
        (pod(phase="Running", containerStatuses=[running(), running()]), ["2/2", "Running", "0"]),
        (pod(phase="Running", containerStatuses=[running(), running(ready=False)]), ["1/2", "Running", "0"]),
        (
            pod(phase="Pending", containerStatuses=[waiting("ContainerCreating"), waiting("ContainerCreating")]),
            ["0/2", "ContainerCreating", "0"],
        ),
        (
            pod(phase="Running", containerStatuses=[running(), waiting("CrashLoopBackOff", restartCount=3)]),
            ["1/2", "CrashLoopBackOff", "3"],
        ),
        (
            pod(
                phase="Running",
                containerStatuses=[running(restartCount=2, **last_ended("2025-12-31T23:55:00Z")), running()],
            ),
            ["2/2", "Running", "2 (5m ago)"],
        ),
        (
            pod(phase="Succeeded", containerStatuses=[ended(reason="Completed"), ended(reason="Completed")]),
            ["0/2", "Completed", "0"],
        ),
        (
            pod(phase="Running", conditions=READY, containerStatuses=[ended(reason="Completed"), running()]),
            ["1/2", "Running", "0"],
        ),
        (
            pod(phase="Running", containerStatuses=[ended(reason="Completed"), running()]),
            ["1/2", "NotReady", "0"],
        ),
        (
            pod(phase="Running", containerStatuses=[ended(reason="Completed"), ended(1, "Error")]),
            ["0/2", "Error", "0"],
        ),
        (pod(phase="Failed", containerStatuses=[ended(137, "OOMKilled")]), ["0/2", "OOMKilled", "0"]),
        (pod(phase="Failed", containerStatuses=[ended(3)]), ["0/2", "ExitCode:3", "0"]),
        (pod(phase="Failed", containerStatuses=[ended(137, signal=9)]), ["0/2", "Signal:9", "0"]),
        (pod(phase="Failed", reason="Evicted"), ["0/2", "Evicted", "0"]),
        (
            pod(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            ),
            ["0/2", "SchedulingGated", "0"],
        ),
        (
            pod(INIT, phase="Pending", initContainerStatuses=[running(ready=False), waiting("PodInitializing")]),
            ["0/2", "Init:0/2", "0"],
        ),
        (
            pod(INIT, phase="Pending", initContainerStatuses=[ended(), waiting("PodInitializing")]),
            ["0/2", "Init:1/2", "0"],
        ),
        (
            pod(INIT, phase="Pending", initContainerStatuses=[ended(1, "Error", restartCount=2), waiting("x")]),
            ["0/2", "Init:Error", "2"],
        ),
        (pod(INIT, phase="Pending", initContainerStatuses=[ended(7)]), ["0/2", "Init:ExitCode:7", "0"]),
        (
            pod(INIT, phase="Pending", initContainerStatuses=[waiting("CrashLoopBackOff", restartCount=4)]),
            ["0/2", "Init:CrashLoopBackOff", "4"],
        ),
        (
            pod(
                SIDECAR,
                phase="Running",
                conditions=INITIALIZED,
                initContainerStatuses=[running(name="s", started=True, restartCount=1)],
                containerStatuses=[running(), running()],
            ),
            ["3/3", "Running", "1"],
        ),
        (
            pod(SIDECAR, phase="Pending", initContainerStatuses=[running(name="s", started=False)]),
            ["0/3", "Init:0/1", "0"],
        ),
    ],
)
def test_ready_status_restarts(show, document, shown):
    assert show(document)[1:4] == shown


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Running"}, "Terminating"),
        ({"phase": "Succeeded"}, "Succeeded"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
    ],
)
def test_a_pod_on_its_way_out(show, status, shown):
    document = pod(**status)
    document["metadata"] = {"deletionTimestamp": "2025-12-31T23:59:00Z"}
    assert show(document)[2] == shown


def test_where_it_is(show):
    gates = [{"conditionType": "a"}, {"conditionType": "b"}]
    document = pod(
        {"nodeName": "n1", "readinessGates": gates},
        phase="Running",
        podIPs=[{"ip": "10.0.0.7"}],
        conditions=[{"type": "a", "status": "True"}],
        nominatedNodeName="n2",
    )
    assert show(document)[4:] == ["60m", "10.0.0.7", "n1", "n2", "1/2"]
    assert show(pod())[5:] == ["<none>", "<none>", "<none>", "<none>"]
