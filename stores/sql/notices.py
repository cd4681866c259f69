"""What is to be told and what was told, in order; a notice and a channel are one row.

waiting ─▶ sending ─▶ sent      told by a message of its own
   │  ▲        │  └──▶ merged    told by the message of another notice
   │  └────────┘ put back: the channel did not answer
   │           └────▶ refused    the channel will not take it; `revive` tries again
   ├────────────────▶ expired    too old to be told
   └ left            never told by itself: a digest or an incident tells it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Engine, Update, func, or_, select, update

from stores.sql.engine import reading, writing
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.tables import notices
from stores.sql.upserts import insert_new
from sync.incident import Severity
from sync.ports import Clock


class NoticeState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    MERGED = "merged"
    REFUSED = "refused"
    EXPIRED = "expired"
    LEFT = "left"


_OPEN = (NoticeState.WAITING.value, NoticeState.SENDING.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeEntry:
    """A notice for a channel; `reference` is what the channel calls its message."""

    id: int
    key: str
    channel: str
    event: str
    severity: Severity
    run_id: str | None
    incident_id: str | None
    subject: str
    text: str
    fields: Mapping[str, Any]
    state: NoticeState
    created_at: datetime
    not_before: datetime | None
    tried_at: datetime | None
    settled_at: datetime | None
    reference: str | None
    reason: str | None

    @property
    def is_unsure(self) -> bool:
        """Whether somebody began to tell it and never said how that ended."""
        return self.state is NoticeState.SENDING


class Notices:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(  # noqa: PLR0913  the columns that a notice begins with
        self,
        *,
        key: str,
        channel: str,
        event: str,
        severity: Severity,
        subject: str,
        text: str,
        fields: Mapping[str, Any],
        run_id: str | None = None,
        incident_id: str | None = None,
        not_before: datetime | None = None,
        left_to: str | None = None,
        is_renewed: bool = False,
    ) -> None:
        """Insert a notice that waits, or one that is left to another; repeatable by key and channel.

        `is_renewed` lets one of the same key wait again with these words, unless it is being told.
        """
        row = {
            "key": key,
            "channel": channel,
            "event": event,
            "severity": severity.value,
            "run_id": run_id,
            "incident_id": incident_id,
            "subject": subject,
            "text": text,
            "fields": dict(fields),
            "state": NoticeState.LEFT if left_to else NoticeState.WAITING,
            "created_at": self._clock.now(),
            "not_before": not_before,
            "reason": left_to,
        }
        with writing(self._engine) as connection:
            if is_renewed and connection.execute(_again(row)).rowcount:
                return
            insert_new(connection, notices, [row])

    def find(self, key: str, channel: str) -> NoticeEntry | None:
        query = select(notices).where(notices.c.key == key, notices.c.channel == channel)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return _entry(row) if row else None

    def due(self, channel: str, *, limit: int) -> Sequence[NoticeEntry]:
        """What may be told now, in order."""
        query = select(notices).where(
            notices.c.channel == channel, notices.c.state.in_(_OPEN), self._may_be_told()
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(notices.c.id).limit(limit)).all()
        return [_entry(row) for row in rows]

    def due_channels(self) -> Mapping[str, int]:
        """How many notices may be told now, by channel."""
        return self._count_by_channel(self._may_be_told())

    def overdue_channels(self, *, before: datetime) -> Mapping[str, int]:
        """How many notices that could have been told by then still wait, by channel."""
        return self._count_by_channel(func.coalesce(notices.c.not_before, notices.c.created_at) < before)

    def refused_since(self, since: datetime) -> Mapping[str, str]:
        """The channels that refused a notice since then, with the last reason."""
        query = (
            select(notices.c.channel, notices.c.reason)
            .where(notices.c.state == NoticeState.REFUSED.value, notices.c.settled_at >= since)
            .order_by(notices.c.settled_at)
        )
        with reading(self._engine) as connection:
            return {row.channel: row.reason or "" for row in connection.execute(query)}

    def begin(self, ids: Collection[int]) -> None:
        """Note that the notices are being told, before they are."""
        self._set(ids, state=NoticeState.SENDING, tried_at=self._clock.now())

    def tell(self, ids: Sequence[int], reference: str) -> None:
        """Note that a message told the notices, the first of them as itself."""
        now = self._clock.now()
        self._set(ids[:1], state=NoticeState.SENT, reference=reference, settled_at=now, reason=None)
        self._set(ids[1:], state=NoticeState.MERGED, reference=reference, settled_at=now, reason=None)

    def pass_over(self, ids: Collection[int], reason: str) -> None:
        """Nothing of the notices is worth a message."""
        self._set(ids, state=NoticeState.MERGED, reason=reason, settled_at=self._clock.now())

    def put_back(self, ids: Collection[int], reason: str) -> None:
        """The channel did not answer; nothing was told."""
        self._set(ids, state=NoticeState.WAITING, reason=reason)

    def refuse(self, ids: Collection[int], reason: str) -> None:
        self._set(ids, state=NoticeState.REFUSED, reason=reason, settled_at=self._clock.now())

    def expire(self, channel: str, *, before: datetime) -> int:
        """Give up what is older; how many."""
        query = (
            update(notices)
            .where(notices.c.channel == channel, notices.c.state.in_(_OPEN), notices.c.created_at < before)
            .values(
                state=NoticeState.EXPIRED.value, settled_at=self._clock.now(), reason="too old to be told"
            )
        )
        with writing(self._engine) as connection:
            return connection.execute(query).rowcount

    def revive(self, channel: str) -> None:
        """Let refused notices wait again: somebody mended the channel and asks for it."""
        query = (
            update(notices)
            .where(notices.c.channel == channel, notices.c.state == NoticeState.REFUSED.value)
            .values(state=NoticeState.WAITING.value, settled_at=None)
        )
        with writing(self._engine) as connection:
            connection.execute(query)

    def thread_of(self, incident_id: str, channel: str) -> str | None:
        """The reference of the message that began an incident's thread."""
        query = (
            select(notices.c.reference)
            .where(
                notices.c.incident_id == incident_id,
                notices.c.channel == channel,
                notices.c.reference.is_not(None),
            )
            .order_by(notices.c.id)
            .limit(1)
        )
        with reading(self._engine) as connection:
            reference: str | None = connection.scalar(query)
        return reference

    def leave_thread(self, incident_id: str, channel: str) -> None:
        """The message that began the thread is gone: the next notice of the incident begins another."""
        query = (
            update(notices)
            .where(notices.c.incident_id == incident_id, notices.c.channel == channel)
            .values(reference=None)
        )
        with writing(self._engine) as connection:
            connection.execute(query)

    def count_messages(self, channel: str, *, since: datetime) -> int:
        """How many messages the channel was sent since then."""
        query = select(func.count()).where(
            notices.c.channel == channel,
            notices.c.state == NoticeState.SENT.value,
            notices.c.settled_at >= since,
        )
        with reading(self._engine) as connection:
            return int(connection.scalar(query) or 0)

    def of_run(self, run_id: str) -> Sequence[NoticeEntry]:
        """Every notice about a run, in order."""
        return self._of(notices.c.run_id == run_id)

    def of_runs(self, run_ids: Collection[str]) -> Sequence[NoticeEntry]:
        """Every notice about any of the runs, in order; one query."""
        return self._of(notices.c.run_id.in_(run_ids))

    def _of(self, wanted: ColumnElement[bool]) -> Sequence[NoticeEntry]:
        query = select(notices).where(wanted).order_by(notices.c.id)
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query)]

    def list(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        channel: str | None = None,
        state: NoticeState | None = None,
    ) -> Page[NoticeEntry]:
        """Newest first. Raises InvalidRequest for a foreign cursor."""
        query = select(notices).order_by(notices.c.id.desc()).limit(limit + 1)
        if channel is not None:
            query = query.where(notices.c.channel == channel)
        if state is not None:
            query = query.where(notices.c.state == state.value)
        if cursor is not None:
            (position,) = read_cursor(cursor, tuple[int])
            query = query.where(notices.c.id < position)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return cut_page([_entry(row) for row in rows], limit, lambda entry: (entry.id,))

    def _count_by_channel(self, wanted: Any) -> Mapping[str, int]:
        # Counted here: grouping would lead SQLite to the index by channel, and over every notice.
        query = select(notices.c.channel).where(notices.c.state.in_(_OPEN), wanted)
        with reading(self._engine) as connection:
            return Counter(connection.scalars(query))

    def _may_be_told(self) -> Any:
        return or_(notices.c.not_before.is_(None), notices.c.not_before <= self._clock.now())

    def _set(self, ids: Collection[int], **values: Any) -> None:
        if not ids:
            return
        with writing(self._engine) as connection:
            connection.execute(update(notices).where(notices.c.id.in_(ids)).values(**values))


def _again(row: Mapping[str, Any]) -> Update:
    """Put the row in place of the one of its key that is not being told."""
    return (
        update(notices)
        .where(
            notices.c.key == row["key"],
            notices.c.channel == row["channel"],
            notices.c.state != NoticeState.SENDING.value,
        )
        .values(**row, settled_at=None, tried_at=None)
    )


def _entry(row: Any) -> NoticeEntry:
    fields = row._asdict()
    fields["severity"] = Severity(row.severity)
    fields["state"] = NoticeState(row.state)
    return NoticeEntry(**fields)
