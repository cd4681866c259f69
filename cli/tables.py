"""Tables for people: as wide as the terminal, their cells shown as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH_OF_PIPES = 200
INDENT = 4
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Painted:
    """A cell in a colour of rich's."""

    text: str
    style: str


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A row for each of `rows`, numbers to the right.

    Where the terminal is too narrow, the last columns go below their rows.
    """
    given = [list(row) for row in rows]
    cells = [[_cell(value) for value in row] for row in given]
    terminal = console()
    if title is not None:
        terminal.print(title, markup=False)
    widths = [max([len(name), *(row[at].cell_len for row in cells)]) for at, name in enumerate(columns)]
    beside = _fitting(widths, terminal.width)
    numeric = [_is_numeric([row[at] for row in given]) for at in range(beside)]
    below = columns[beside:]
    terminal.print(_line([_bold(name) for name in columns[:beside]], widths, numeric), overflow="fold")
    if len(below) == 1:
        _print_below(terminal, _bold(below[0]))
    for row in cells:
        # Ids are copied, so they are folded rather than cut.
        terminal.print(_line(row[:beside], widths, numeric), overflow="fold")
        if below:
            _print_below(terminal, _told(below, row[beside:]))
    if not cells:
        terminal.print("none", style="dim")


def console() -> Console:
    """The terminal on standard output; 200 columns where there is none."""
    from rich.console import Console  # 40 ms that `--json` need not pay

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_PIPES)


def printable(text: str) -> str:
    """Without what would steer the terminal: much of what is shown was written by others."""
    return "".join(one if one.isprintable() else " " for one in text)


def _fitting(widths: Sequence[int], width: int) -> int:
    """How many columns stand side by side, with a space between them; at least one."""
    return max(1, sum(end - 1 <= width for end in accumulate(one + 1 for one in widths)))


def _line(cells: Sequence[Text], widths: Sequence[int], numeric: Sequence[bool]) -> Text:
    from rich.text import Text

    for cell, width, is_numeric in zip(cells, widths, numeric, strict=False):
        cell.align("right" if is_numeric else "left", width)
    line = Text(" ").join(cells)
    line.rstrip()
    return line


def _told(names: Sequence[str], cells: Sequence[Text]) -> Text:
    """What columns say of a row, each by its name unless there is but one."""
    from rich.text import Text

    if len(names) == 1:
        return cells[0]
    named = zip(names, cells, strict=True)
    return Text("  ").join(
        Text(f"{name} ", style="dim") + cell for name, cell in named if cell.plain not in ("", NOTHING)
    )


def _print_below(terminal: Console, text: Text) -> None:
    from rich.padding import Padding

    if text.plain:
        terminal.print(Padding(text, (0, 0, 0, INDENT), expand=False))


def _bold(name: str) -> Text:
    from rich.text import Text

    return Text(name, style="bold")


def _is_numeric(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, int | float | None) for value in values)


def _cell(value: Any) -> Text:
    from rich.text import Text

    if isinstance(value, Painted):
        return Text(printable(value.text), style=value.style)
    if value is None:
        return Text(NOTHING)
    return Text(f"{value:.1f}" if isinstance(value, float) else printable(str(value)))
