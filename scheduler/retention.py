"""Deletes what is older than anybody asks for, some rows at a time so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from scheduler.housework import Found
from settings.schema import RetentionSettings
from sync.ports import Clock


class OldRows(Protocol):
    """Each deletes some rows from before a moment; answers how many, 0 when none are left."""

    def delete_runs(self, before: datetime) -> int: ...

    def delete_changes(self, before: datetime) -> int: ...

    def delete_refusals(self, before: datetime) -> int: ...

    def delete_notices(self, before: datetime) -> int: ...

    def delete_incidents(self, before: datetime) -> int: ...

    def delete_audit(self, before: datetime) -> int: ...


class Retention:
    """`settings` answers those in force; `home` is where recordings lie."""

    def __init__(
        self, settings: Callable[[], RetentionSettings], rows: OldRows, home: Path, clock: Clock
    ) -> None:
        self._settings = settings
        self._rows = rows
        self._home = home
        self._clock = clock

    def __call__(self, raise_if_not_leading: Callable[[], None]) -> Found:
        now, keep = self._clock.now(), self._settings()

        def days_ago(days: float) -> datetime:
            return now - timedelta(days=days)

        work = {
            "changes": (self._rows.delete_changes, days_ago(keep.changes_days)),
            "refused changes": (self._rows.delete_refusals, days_ago(keep.changes_days)),
            "runs": (self._rows.delete_runs, days_ago(keep.runs_days)),
            "notices": (self._rows.delete_notices, days_ago(keep.notices_days)),
            "incidents": (self._rows.delete_incidents, days_ago(keep.incidents_days)),
            "audit lines": (self._rows.delete_audit, days_ago(keep.audit_days)),
        }
        deleted: dict[str, int] = {}
        for name, (delete, before) in work.items():
            deleted[name] = 0
            while count := delete(before):
                deleted[name] += count
                raise_if_not_leading()
        deleted["recordings"] = sum(1 for _ in self._delete_recordings(days_ago(keep.recordings_days)))
        changes = {name: count for name, count in deleted.items() if count}
        said = ", ".join(f"{count} {name}" for name, count in changes.items())
        return Found(f"deleted {said}" if said else "nothing was old enough", changes=changes)

    def _delete_recordings(self, before: datetime) -> Iterator[Path]:
        for path in (self._home / "recordings").glob("*.jsonl.gz"):
            if path.stat().st_mtime < before.timestamp():
                path.unlink(missing_ok=True)
                yield path
