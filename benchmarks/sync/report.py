"""What was measured of syncs, as a table for people and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import msgspec

BAR_PX = 420
# A bar that is longer says no more.
LONGEST_SHARE = 1.6


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `limit` is the most it may be, None when it is only told."""

    what: str
    unit: str
    value: float
    limit: float | None = None
    note: str = ""

    @property
    def share(self) -> float | None:
        """Of what is allowed; a limit of nothing is kept by nothing alone."""
        if self.limit is None:
            return None
        if not self.limit:
            return 0.0 if not self.value else LONGEST_SHARE
        return self.value / self.limit

    @property
    def verdict(self) -> str:
        if self.share is None:
            return ""
        return "holds" if self.share <= 1 else "**missed**"


def to_markdown(rows: Sequence[Row], conditions: str) -> str:
    lines = [
        "# Syncs, measured",
        "",
        f"`python -m benchmarks sync`, {conditions}. Real worker processes, embedded Redis, SQLite and the",
        "simulator over HTTP. Shares of what is allowed count; absolute figures move with the machine.",
        "",
        "![share of what is allowed](sync.svg)",
        "",
        "| what | measured | must | | |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        must = f"<= {_number(row.limit)} {row.unit}" if row.limit is not None else ""
        measured = f"**{_number(row.value)}** {row.unit}"
        lines.append(f"| {row.what} | {measured} | {must} | {row.verdict} | {row.note} |")
    return "\n".join(lines) + "\n"


def to_svg(rows: Sequence[Row]) -> str:
    """Bars of the shares; what reaches beyond the line misses its must."""
    shown = [(row.what, row.share) for row in rows if row.share is not None]
    left, step = 430, 26
    scale = BAR_PX / LONGEST_SHARE
    width, height = left + BAR_PX + 70, step * len(shown) + 40
    line = left + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        'font-family="sans-serif" font-size="13" role="img" aria-label="Share of what is allowed">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (what, share) in enumerate(shown):
        y = 6 + number * step
        length = max(min(share, LONGEST_SHARE) * scale, 1.0)
        colour = "#2a6f97" if share <= 1 else "#c1121f"
        parts += [
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end" fill="#222">{escape(what)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{length:.0f}" height="16" fill="{colour}"/>',
            f'<text x="{left + length + 6:.0f}" y="{y + 15}" fill="#222">{share:.0%}</text>',
        ]
    parts += [
        f'<line x1="{line:.0f}" y1="4" x2="{line:.0f}" y2="{height - 26}" stroke="#c1121f"/>',
        f'<text x="{line:.0f}" y="{height - 8}" text-anchor="middle" fill="#c1121f">the most allowed</text>',
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def write(rows: Sequence[Row], conditions: str, folder: Path) -> None:
    """Write table and plot; rows that were not measured this time stay as they were."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "sync.json"
    earlier = msgspec.json.decode(kept.read_bytes(), type=list[Row]) if kept.exists() else []
    rows = list(({row.what: row for row in earlier} | {row.what: row for row in rows}).values())
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(rows)) + b"\n")
    (folder / "sync.md").write_text(to_markdown(rows, conditions))
    (folder / "sync.svg").write_text(to_svg(rows))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
