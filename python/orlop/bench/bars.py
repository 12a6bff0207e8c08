"""What figures of our own must reach, whatever a peer does: `most` and `least` in scenarios.yaml."""

from typing import Any

from orlop.bench.report import Runs


def lines(runs: Runs, scenarios: dict[str, Any]) -> list[str]:
    """A line for each figure with a bar, by the best of the runs: noise only ever adds."""
    text = []
    for name, servers in runs.items():
        results = next(iter(servers.values()))
        for word, best, met in (("most", min, float.__le__), ("least", max, float.__ge__)):
            for figure, bar in scenarios[name].get(word, {}).items():
                value = float(best(result[figure] for result in results))
                verdict = "reached" if met(value, float(bar)) else "MISSED"
                text.append(f"{name:<17} {figure} at {word} {bar:,g}: {verdict} with {value:,.2f}")
    return text
