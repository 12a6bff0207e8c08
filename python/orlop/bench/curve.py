"""A figure over a size, as a plot and as JSON: whether it stays flat."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import msgspec

Points = Sequence[tuple[float, float]]
"""(size, figure)."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 340, 70, 150, 40, 50
COLOURS = ("#2b6cb0", "#a0aec0", "#c05621", "#2f855a")
LINES = 4
"""Horizontal lines with a number."""


def write(path: Path, title: str, x: str, y: str, curves: Mapping[str, Points], machine: str) -> None:
    """`path` with .svg, and beside it .json with the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".svg").write_text(plot(title, x, y, curves, machine))
    told = {"title": title, "x": x, "y": y, "machine": machine, "curves": curves}
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")


def plot(title: str, x: str, y: str, curves: Mapping[str, Points], machine: str) -> str:
    """Lines over a logarithmic axis of sizes and a linear one of figures that begins at 0, as SVG."""
    sizes = sorted({size for points in curves.values() for size, _ in points})
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    most = _rounded(max(figure for points in curves.values() for _, figure in points))

    def across(size: float) -> float:
        share = (math.log10(size) - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(figure: float) -> float:
        return HEIGHT - BOTTOM - figure / most * (HEIGHT - TOP - BOTTOM)

    parts = []
    for n in range(LINES + 1):
        figure = most * n / LINES
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(figure):.1f}" y2="{up(figure):.1f}" stroke="#e2e8f0"/>'
            f'<text x="{LEFT - 8}" y="{up(figure) + 4:.1f}" text-anchor="end">{figure:g}</text>'
        )
    for size in sizes:
        if math.log10(size) == int(math.log10(size)) or size in (sizes[0], sizes[-1]):
            parts.append(
                f'<text x="{across(size):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{size:,.0f}</text>'
            )
    for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
        line = " ".join(f"{across(size):.1f},{up(figure):.1f}" for size, figure in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across(size):.1f}" cy="{up(figure):.1f}" r="3" fill="{colour}"/>' for size, figure in points
        ]
        end = up(points[-1][1]) + 4
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{end:.1f}" fill="{colour}">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" style="background:#fff">'
        f"<style>text{{font:12px sans-serif}}</style>"
        f'<text x="8" y="18">{escape(title)} ({escape(y)})</text>{"".join(parts)}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 16}" text-anchor="middle">{escape(x)}</text>'
        f'<text x="8" y="{HEIGHT - 2}" style="font-size:9px">{escape(machine)}</text></svg>\n'
    )


def _rounded(most: float) -> float:
    """The next number above that reads well."""
    if most <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(most))
    return float(next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= most))
