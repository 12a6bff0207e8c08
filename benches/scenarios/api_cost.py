"""What requests cost the API server, with all that a request goes through in place, beside a peer if one is named.

World: `orlop bench` with creates of pods (alike, and each different), gets, renewals of leases, and lists. The servers'
own CPU is counted. ORLOP_PEER_KUBECONFIG and ORLOP_PEER_PIDS (comma separated) name the peer, whose figures come from
the same run. The work is checked: an answer that is no success ends it.
"""

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.cli import main as orlop

WORKS = ("create", "create-different", "get", "lease", "list", "list-gzip")
RUNS = int(os.environ.get("ORLOP_BENCH_RUNS", "3"))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as folder:
        result = Path(folder) / "result.json"
        command = ["bench", *WORKS, f"--scale={machine.SCALE}", f"--runs={RUNS}", f"--json={result}"]
        if peer := os.environ.get("ORLOP_PEER_KUBECONFIG"):
            command += ["--peer-kubeconfig", peer, "--peer-pids", os.environ["ORLOP_PEER_PIDS"]]
        code = orlop.main(command)
        if code:
            raise SystemExit(code)
        runs = json.loads(result.read_text())["runs"]
    print(machine.line())
    for work, servers in runs.items():
        each = {name: statistics.median(1e6 / run["per_cpu_second"] for run in got) for name, got in servers.items()}
        told = ", ".join(f"{name} {micros:,.0f} µs" for name, micros in each.items())
        factor = f", {each['peer'] / each['orlop']:.1f} times cheaper" if "peer" in each else ""
        print(f"{work:<18} {told}{factor}")


if __name__ == "__main__":
    main()
