"""Live progress of a batch: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import click

from sync.report import Run, RunState

LINES = 5  # plain progress comes in fifths


class Progress:
    """Use as a context; `show` as often as there is news."""

    def __init__(self, title: str, *, is_quiet: bool) -> None:
        self._title = title
        self._is_quiet = is_quiet
        self._bar: Any = None
        self._task: Any = None
        self._said = -1

    def __enter__(self) -> Self:
        if self._is_quiet:
            return self
        if sys.stdout.isatty():
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[news]}"),
                progress.TimeElapsedColumn(),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=None, news="")
        else:
            click.echo(f"\n{self._title}:")
        return self

    def show(self, runs: Sequence[Run], *, total: int) -> None:
        done = sum(run.state.is_final for run in runs)
        running = sum(run.state is RunState.RUNNING for run in runs)
        sent = sum(run.requests.sent for run in runs)
        news = f"{running} running, {sent} requests"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, news=news)
        elif not self._is_quiet and (step := done * LINES // max(total, 1)) > self._said:
            self._said = step
            click.echo(f"  {done} of {total} done, {news}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
