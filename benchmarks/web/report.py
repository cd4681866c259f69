"""What was measured, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One number, its unit, and what it must be."""

    what: str
    unit: str
    value: float
    must: str = ""

    def __str__(self) -> str:
        must = f"  (must {self.must})" if self.must else ""
        return f"{self.what} [{self.unit}]: {self.text}{must}"

    @property
    def text(self) -> str:
        return f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.2f}"


def to_markdown(rows: Sequence[Row], conditions: str) -> str:
    lines = [
        "# The web process, measured",
        "",
        f"`python -m benchmarks web`, {conditions}.",
        "",
        "| what | unit | measured | must |",
        "|---|---|---|---|",
    ]
    lines += [f"| {row.what} | {row.unit} | {row.text} | {row.must} |" for row in rows]
    return "\n".join(lines) + "\n"
