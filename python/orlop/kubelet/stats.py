"""Use of resources as the metrics API's collectors read it: /stats/summary and /metrics/resource."""

from collections.abc import Sequence
from typing import Any

from orlop.clock import rfc3339
from orlop.kubelet.runtime import values as v


def summary(node: str, sandboxes: Sequence[v.PodSandboxStats]) -> dict[str, Any]:
    """The Summary of k8s.io/kubelet/pkg/apis/stats/v1alpha1."""
    return {"node": {"nodeName": node}, "pods": [_pod(s) for s in sandboxes]}


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


def resource_metrics(sandboxes: Sequence[v.PodSandboxStats]) -> str:
    """`container_cpu_usage_seconds_total` and `container_memory_working_set_bytes` in Prometheus' text form."""
    cpu, memory = [], []
    for sandbox in sandboxes:
        m = sandbox.metadata
        for c in sandbox.containers:
            where = f'{{container="{c.metadata.name}",namespace="{m.namespace}",pod="{m.name}"}}'
            stamp = c.timestamp // 1_000_000
            cpu.append(f"container_cpu_usage_seconds_total{where} {c.cpu_usage_core_nanoseconds / 1e9:.9f} {stamp}")
            memory.append(f"container_memory_working_set_bytes{where} {c.memory_working_set_bytes} {stamp}")
    return "\n".join(
        [
            "# TYPE container_cpu_usage_seconds_total counter",
            *cpu,
            "# TYPE container_memory_working_set_bytes gauge",
            *memory,
            "",
        ]
    )
