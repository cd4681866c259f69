"""Which of the waiting notices the next message tells; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from notifications.notice import Notice
from sync.incident import Severity

# A chat shows about forty lines at once; the rest is in `clubsync notices list`.
MOST_LINES = 30


class Entry(Protocol):
    """A notice that waits for a channel (`stores.sql.notices.NoticeEntry`)."""

    @property
    def id(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def run_id(self) -> str | None: ...
    @property
    def incident_id(self) -> str | None: ...
    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, Any]: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def not_before(self) -> datetime | None: ...
    @property
    def tried_at(self) -> datetime | None: ...
    @property
    def is_unsure(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """Notices that one message tells, in order; `is_unsure` when it may have been told already."""

    entries: Sequence[Entry]
    notice: Notice

    @property
    def ids(self) -> Sequence[int]:
        return [entry.id for entry in self.entries]

    @property
    def is_unsure(self) -> bool:
        return self.entries[0].is_unsure


def next_parcel(due: Sequence[Entry], *, summary_from: int) -> Parcel:
    """The first of the due notices, with those that are told together with it.

    What was being told when a worker died is told alone and under the same key. Notices of
    one incident are told by the latest of them. Several that were held by quiet hours, or
    `summary_from` that piled up, become one summary.
    """
    first = due[0]
    if first.is_unsure:
        return _packed([entry for entry in due if entry.is_unsure and entry.tried_at == first.tried_at])
    fresh = [entry for entry in due if not entry.is_unsure]
    if first.incident_id is not None:
        return _packed([entry for entry in fresh if entry.incident_id == first.incident_id])
    plain = [entry for entry in fresh if entry.incident_id is None]
    if len(plain) >= summary_from:
        return _packed(plain)
    if first.not_before is not None:
        return _packed([entry for entry in plain if entry.not_before is not None])
    return _packed([first])


def notice_from(entry: Entry) -> Notice:
    """The notice as it was added."""
    return Notice(
        event=entry.event,
        key=entry.key,
        severity=entry.severity,
        subject=entry.subject,
        text=entry.text,
        fields=entry.fields,
        run_id=entry.run_id,
        incident_id=entry.incident_id,
        change=entry.fields.get("change"),
    )


def _packed(entries: Sequence[Entry]) -> Parcel:
    if len(entries) == 1:
        return Parcel(entries, notice_from(entries[0]))
    if entries[0].incident_id is not None:
        return Parcel(entries, _latest(entries))
    return Parcel(entries, _summary(entries))


def _latest(entries: Sequence[Entry]) -> Notice:
    """The last word on an incident, with every change that was not told yet."""
    last = notice_from(entries[-1])
    changes = [str(entry.fields["change"]) for entry in entries if entry.fields.get("change")]
    fields = {**last.fields, "change": "\n".join(changes) or None}
    return Notice(
        event=last.event,
        key=last.key,
        severity=last.severity,
        subject=last.subject,
        text=last.text,
        fields=fields,
        incident_id=last.incident_id,
        change=fields["change"],
    )


def _summary(entries: Sequence[Entry]) -> Notice:
    counts = Counter(entry.event for entry in entries)
    began, ended = entries[0].created_at, entries[-1].created_at
    what = ", ".join(f"{count} {event.replace('_', ' ')}" for event, count in counts.most_common())
    subject = f"{len(entries)} notices from {began:%H:%M} to {ended:%H:%M} UTC: {what}"
    lines = [f"• {entry.subject}" for entry in entries[:MOST_LINES]]
    if len(entries) > MOST_LINES:
        lines.append(f"… and {len(entries) - MOST_LINES} more: clubsync notices list")
    return Notice(
        event="summary",
        key=f"{entries[0].key}+{len(entries) - 1}",
        severity=max((entry.severity for entry in entries), key=lambda severity: severity.level),
        subject=subject,
        text="\n".join([subject, *lines]),
        fields={
            "event": "summary",
            "counts_by_event": dict(counts),
            "keys": [entry.key for entry in entries],
        },
    )
