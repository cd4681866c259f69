"""What was measured, as a table for people and a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median

import msgspec


@dataclass(frozen=True, slots=True)
class Figure:
    """One contestant's result; `text` stands for what is no number ("13 left after 60 s")."""

    label: str
    value: float | None
    text: str = ""

    def __str__(self) -> str:
        return self.text or (_number(self.value) if self.value is not None else "-")


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured of several contestants, stock first if it takes part."""

    what: str
    unit: str
    figures: tuple[Figure, ...]
    must: str = ""
    is_rate: bool = True

    @property
    def ratio(self) -> float | None:
        """How many times stock our first figure is; of times and sizes, how many times smaller."""
        first = self.figures[0]
        stock = first.value if first.label.startswith("stock") else None
        ours = next((figure.value for figure in self.figures if figure.label.startswith("ours")), None)
        if not stock or not ours:
            return None
        return ours / stock if self.is_rate else stock / ours


def median_figure(label: str, values: Sequence[float]) -> Figure:
    return Figure(label, median(values))


def to_markdown(rows: Sequence[Row], conditions: str) -> str:
    lines = [
        "# The broker, measured",
        "",
        f"`python -m benchmarks broker`, {conditions}. Both brokers carry dramatiq's default middleware.",
        "Ratios count; absolute figures move with the machine.",
        "",
        "![ratios](broker.svg)",
        "",
        "| what | unit | measured | ours to stock | must |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        figures = "<br>".join(f"{figure.label}: **{figure}**" for figure in row.figures)
        ratio = f"{row.ratio:.2f} x" if row.ratio else ""
        lines.append(f"| {row.what} | {row.unit} | {figures} | {ratio} | {row.must} |")
    return "\n".join(lines) + "\n"


def to_svg(rows: Sequence[Row]) -> str:
    """Bars of the ratios on a logarithmic axis, stock being 1."""
    shown = [(row.what, row.ratio) for row in rows if row.ratio]
    width, left, step = 860, 380, 26
    height = step * len(shown) + 50
    widest = max((ratio for _, ratio in shown), default=10.0)
    decades = 1
    while 10**decades < widest:
        decades += 1
    scale = (width - left - 80) / decades
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        'font-family="sans-serif" font-size="13" role="img" aria-label="Times better than stock dramatiq">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for decade in range(decades + 1):
        x = left + decade * scale
        parts.append(f'<line x1="{x:.0f}" y1="8" x2="{x:.0f}" y2="{height - 34}" stroke="#ccc"/>')
        parts.append(
            f'<text x="{x:.0f}" y="{height - 16}" text-anchor="middle" fill="#555">{10**decade} x</text>'
        )
    for number, (what, ratio) in enumerate(shown):
        y = 10 + number * step
        length = max(math.log10(ratio) * scale, 1.0)
        parts.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end" fill="#222">{escape(what)}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{length:.0f}" height="16" fill="#2a6f97"/>')
        parts.append(f'<text x="{left + length + 6:.0f}" y="{y + 15}" fill="#222">{ratio:.1f} x</text>')
    return "\n".join([*parts, "</svg>", ""])


def write(rows: Sequence[Row], conditions: str, folder: Path) -> None:
    """Write table and plot; rows that were not measured this time stay as they were."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "broker.json"
    earlier = msgspec.json.decode(kept.read_bytes(), type=list[Row]) if kept.exists() else []
    rows = list(({row.what: row for row in earlier} | {row.what: row for row in rows}).values())
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(rows)) + b"\n")
    (folder / "broker.md").write_text(to_markdown(rows, conditions))
    (folder / "broker.svg").write_text(to_svg(rows))


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
