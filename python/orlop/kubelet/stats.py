"""Use of resources as the metrics API's collectors read it: /stats/summary and /metrics/resource."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orlop.clock import rfc3339
from orlop.kubelet.runtime import values as v


def summary(name: str, node: "NodeUsage", sandboxes: Sequence[v.PodSandboxStats]) -> dict[str, Any]:
    """The Summary of k8s.io/kubelet/pkg/apis/stats/v1alpha1."""
    at = rfc3339(node.timestamp / 1e9)
    used = {
        "cpu": {"time": at, "usageCoreNanoSeconds": node.cpu_nanoseconds},
        "memory": {"time": at, "workingSetBytes": node.working_set_bytes},
    }
    return {"node": {"nodeName": name, **used}, "pods": [_pod(s) for s in sandboxes]}


def _pod(sandbox: v.PodSandboxStats) -> dict[str, Any]:
    m = sandbox.metadata
    return {
        "podRef": {"name": m.name, "namespace": m.namespace, "uid": m.uid},
        "containers": [
            {
                "name": c.metadata.name,
                "cpu": {"time": rfc3339(c.timestamp / 1e9), "usageCoreNanoSeconds": c.cpu_usage_core_nanoseconds},
                "memory": {
                    "time": rfc3339(c.timestamp / 1e9),
                    "usageBytes": c.memory_usage_bytes,
                    "workingSetBytes": c.memory_working_set_bytes,
                    "rssBytes": c.memory_rss_bytes,
                },
            }
            for c in sandbox.containers
        ],
        "network": {
            "interfaces": [{"name": i.name, "rxBytes": i.rx_bytes, "txBytes": i.tx_bytes} for i in sandbox.interfaces]
        },
    }


class NodeUsage(msgspec.Struct, frozen=True):
    """What the whole machine uses."""

    timestamp: int
    """Nanoseconds since 1970."""
    cpu_nanoseconds: int
    working_set_bytes: int


def node_usage(now: float, proc: Path = Path("/proc")) -> NodeUsage:
    """From the kernel's own books: time that was neither idle nor waiting, memory that is neither free nor file pages
    that could go at once. Blocks for less than a millisecond."""
    fields = [int(n) for n in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = fields[3], fields[4]
    memory = {}
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0]) * 1024
    used = memory["MemTotal"] - memory["MemFree"] - memory.get("Inactive(file)", 0)
    ticks = sum(fields) - idle - waiting
    return NodeUsage(int(now * 1e9), ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK"), max(0, used))


def resource_metrics(node: NodeUsage, sandboxes: Sequence[v.PodSandboxStats]) -> str:
    """/metrics/resource: CPU seconds and working sets of node, pods and containers in Prometheus' text form."""
    stamp = node.timestamp // 1_000_000
    node_cpu = [f"node_cpu_usage_seconds_total {node.cpu_nanoseconds / 1e9:.9f} {stamp}"]
    node_memory = [f"node_memory_working_set_bytes {node.working_set_bytes} {stamp}"]
    cpu, memory, pod_cpu, pod_memory = [], [], [], []
    for sandbox in sandboxes:
        m = sandbox.metadata
        for c in sandbox.containers:
            where = f'{{container="{c.metadata.name}",namespace="{m.namespace}",pod="{m.name}"}}'
            stamp = c.timestamp // 1_000_000
            cpu.append(f"container_cpu_usage_seconds_total{where} {c.cpu_usage_core_nanoseconds / 1e9:.9f} {stamp}")
            memory.append(f"container_memory_working_set_bytes{where} {c.memory_working_set_bytes} {stamp}")
        if sandbox.containers:
            where = f'{{namespace="{m.namespace}",pod="{m.name}"}}'
            stamp = max(c.timestamp for c in sandbox.containers) // 1_000_000
            seconds = sum(c.cpu_usage_core_nanoseconds for c in sandbox.containers) / 1e9
            pod_cpu.append(f"pod_cpu_usage_seconds_total{where} {seconds:.9f} {stamp}")
            working = sum(c.memory_working_set_bytes for c in sandbox.containers)
            pod_memory.append(f"pod_memory_working_set_bytes{where} {working} {stamp}")
    families = (
        ("container_cpu_usage_seconds_total", "counter", cpu),
        ("container_memory_working_set_bytes", "gauge", memory),
        ("node_cpu_usage_seconds_total", "counter", node_cpu),
        ("node_memory_working_set_bytes", "gauge", node_memory),
        ("pod_cpu_usage_seconds_total", "counter", pod_cpu),
        ("pod_memory_working_set_bytes", "gauge", pod_memory),
        ("resource_scrape_error", "gauge", ["resource_scrape_error 0"]),
    )
    return "".join(
        f"# TYPE {name} {type_}\n" + "".join(f"{line}\n" for line in lines) for name, type_, lines in families
    )
