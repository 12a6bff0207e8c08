"""What the kubelet tells of use."""

from pathlib import Path

from orlop.kubelet.runtime import values as v
from orlop.kubelet.stats import node_usage, resource_metrics, summary

STAT = "cpu  100 10 50 1000 200 5 5 30 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n"
MEMINFO = "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 600 kB\nActive(file): 50 kB\nInactive(file): 150 kB\n"


def test_the_node_s_own(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    used = node_usage(5.0, tmp_path)
    # Everything but idle and waiting, in hundredths of a second; guests are in user time already.
    assert used.cpu_nanoseconds == (100 + 10 + 50 + 5 + 5 + 30) * 10_000_000
    assert used.working_set_bytes == (1000 - 300 - 150) * 1024
    assert summary("n", used, [])["node"]["memory"]["workingSetBytes"] == used.working_set_bytes


def test_series(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)

    def container(name: str, cpu: int, memory: int) -> v.ContainerStats:
        return v.ContainerStats(
            container_id=name,
            metadata=v.ContainerMetadata(name=name),
            timestamp=7_000_000_000,
            cpu_usage_core_nanoseconds=cpu,
            memory_working_set_bytes=memory,
        )

    sandbox = v.PodSandboxStats(
        pod_sandbox_id="s",
        metadata=v.PodSandboxMetadata(name="p", uid="u", namespace="d"),
        timestamp=0,
        containers=(container("a", 1_500_000_000, 10), container("b", 500_000_000, 20)),
    )
    lines = resource_metrics(node_usage(5.0, tmp_path), [sandbox]).splitlines()
    assert 'container_cpu_usage_seconds_total{container="a",namespace="d",pod="p"} 1.500000000 7000' in lines
    assert 'container_memory_working_set_bytes{container="b",namespace="d",pod="p"} 20 7000' in lines
    assert 'pod_cpu_usage_seconds_total{namespace="d",pod="p"} 2.000000000 7000' in lines
    assert 'pod_memory_working_set_bytes{namespace="d",pod="p"} 30 7000' in lines
    assert "node_cpu_usage_seconds_total 2.000000000 5000" in lines
    assert "resource_scrape_error 0" in lines
