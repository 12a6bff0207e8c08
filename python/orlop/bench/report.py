"""Figures as text, as JSON and as a plot."""

import statistics
from collections.abc import Sequence
from html import escape
from typing import Any

Runs = dict[str, dict[str, list[dict[str, float]]]]
"""Scenario → server → runs."""

WIDTH, ROW, LEFT = 760, 22, 260


def summary(values: Sequence[float]) -> str:
    """Median and spread."""
    if len(values) == 1:
        return f"{values[0]:,.1f}"
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} … {max(values):,.1f})"


NO_SIZES = ("about", "work", "unit", "bar", "most", "least")
"""What of a scenario says no size of its work."""


def listed(scenarios: dict[str, Any]) -> list[str]:
    """A line for each scenario there is: what it is, its sizes, what is to be reached."""
    text = []
    for name, scenario in scenarios.items():
        sizes = ", ".join(f"{k} {v}" if v is not True else k for k, v in scenario.items() if k not in NO_SIZES)
        bars = [f"{scenario['bar']:g} × the peer"] if "bar" in scenario else []
        for word in ("most", "least"):
            bars += [f"{figure} at {word} {bar:,g}" for figure, bar in scenario.get(word, {}).items()]
        told = f"{name:<17} {scenario['about']}" + (f" ({sizes})" if sizes else "")
        text.append(told + (f"; to reach: {', '.join(bars)}" if bars else ""))
    return text


def lines(runs: Runs, scenarios: dict[str, Any]) -> list[str]:
    """A line for each scenario and server, and the factor between the first server and the others."""
    text = []
    for name, servers in runs.items():
        unit = scenarios[name]["unit"]
        first: float | None = None
        for server, results in servers.items():
            rates = [r["per_cpu_second"] for r in results]
            more = {k: [r[k] for r in results] for k in results[0] if k not in ("per_cpu_second", "count")}
            told = "; ".join(f"{k} {summary(v)}" for k, v in more.items())
            text.append(f"{name:<17} {server:<7} {summary(rates)} {unit} a CPU second; {told}")
            median = statistics.median(rates)
            if first is None:
                first = median
            else:
                verdict = _verdict(first / median, scenarios[name].get("bar"))
                text.append(f"{name:<17} {'':<7} {first / median:.2f} times {server}{verdict}")
    return text


def _verdict(factor: float, bar: float | None) -> str:
    return "" if bar is None else f" (to reach: {bar:g}, {'reached' if factor >= bar else 'MISSED'})"


def plot(runs: Runs, scenarios: dict[str, Any], title: str) -> str:
    """Bars of work per CPU second, each scenario on its own scale, as SVG."""
    rows: list[str] = []
    y = 2 * ROW
    for name, servers in runs.items():
        rates = {server: statistics.median(r["per_cpu_second"] for r in results) for server, results in servers.items()}
        most = max(rates.values()) or 1.0
        for i, (server, rate) in enumerate(rates.items()):
            width = (WIDTH - LEFT - 140) * rate / most
            label = escape(f"{name}, {server}")
            rows.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{label}</text>')
            rows.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 6}" class="s{min(i, 1)}"/>')
            rows.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 14}">{rate:,.1f} {scenarios[name]["unit"]}</text>')
            y += ROW
        y += ROW // 2
    style = "text{font:12px sans-serif}.s0{fill:#2b6cb0}.s1{fill:#a0aec0}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}"><style>{style}</style>'
        f'<text x="8" y="18">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )
