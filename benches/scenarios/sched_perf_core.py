"""scheduler_perf's workloads against the core alone: pods a second of CPU, in batches, on one thread.

`sched_perf_core.py [WORKLOAD …]`; ORLOP_BENCH_NODES and ORLOP_BENCH_MEASURED set the sizes. Every placement is checked.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine, scheduling
from benches.scheduling import Object, Step
from orlop.native import SchedulerCore

NODES = int(os.environ.get("ORLOP_BENCH_NODES", machine.scaled(5000, least=30)))
CHOSEN = sys.argv[1:] or os.environ.get("ORLOP_BENCH_WORKLOADS", "").split()
MEASURED = int(os.environ.get("ORLOP_BENCH_MEASURED", machine.scaled(5000, least=30)))
BATCH = 256


def run(name: str, workload: Object) -> None:
    core = SchedulerCore(1)
    for space in scheduling.namespaces(workload):
        core.upsert_namespace(json.dumps(space).encode())
    for index in range(NODES):
        core.upsert_node(json.dumps(scheduling.node(index)).encode())
    placed: dict[tuple[str, str], Object] = {}
    for step in scheduling.steps(workload, NODES, MEASURED):
        took, waiting = schedule(core, step, placed)
    assert scheduling.check(placed.values()) == len(placed)
    floor = workload.get("floor")
    beside = f"; {waiting / took / floor:,.0f} times upstream's floor of {floor}" if floor else ""
    print(
        f"{name:<48} {waiting / took:>10,.0f} pods/s, {1e6 * took / waiting:>8.1f} µs each ({waiting:,} pods{beside})",
        flush=True,
    )


def schedule(core: SchedulerCore, step: Step, placed: dict[tuple[str, str], Object]) -> tuple[float, int]:
    """CPU seconds for the decisions on a step's pods, and how many were placed."""
    pods = {_key(pod): pod for pod in (*step.pods, *step.hopeless)}
    for key, pod in pods.items():
        uid = {**pod, "metadata": {**pod["metadata"], "uid": "-".join(key)}}
        core.upsert_pod(json.dumps(uid).encode())
    if step.gated:
        return 1.0, 0
    waiting = [_key(pod) for pod in step.pods]
    took, count, at = 0.0, 0, 0
    hopeless = [_key(pod) for pod in step.hopeless]
    while at < len(waiting):
        batch = waiting[at : at + BATCH] + hopeless[at // BATCH :: max(1, len(waiting) // BATCH)]
        at += BATCH
        began = time.process_time()
        decisions = core.schedule(batch)
        took += time.process_time() - began
        for key, decision in zip(batch, decisions, strict=True):
            if decision.nominated is not None:
                for namespace, victim, _ in decision.victims:
                    core.delete_pod(namespace, victim)
                    del placed[namespace, victim]
                began = time.process_time()
                [decision] = core.schedule([key])
                took += time.process_time() - began
            if decision.node is not None:
                placed[key] = {**pods[key], "spec": {**pods[key]["spec"], "nodeName": decision.node}}
                count += 1
    assert count == (0 if step.refused else len(waiting)), f"{count} of {len(waiting)} pods were placed"
    return took, count


def _key(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


if __name__ == "__main__":
    print(f"{machine.line('cargo --version')}, load {os.getloadavg()[0]:.1f}")
    print(f"{NODES:,} nodes in {scheduling.ZONES} zones, batches of {BATCH}; seconds are CPU seconds")
    for name, workload in scheduling.workloads().items():
        if "needs" not in workload and (not CHOSEN or name in CHOSEN):
            run(name, workload)
