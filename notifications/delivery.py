"""Tells a channel what waits for it: in order, one sender at a time, each notice once.

A notice is noted as being told before it is, and as told afterwards. Whoever finds one that
was begun by a worker that died asks the channel, where it can answer, and else tells it
again under the same key. A channel that does not answer keeps its notices: they are told
when it is back, as one summary when there are many. One that wants no more (410) is switched
off, and keeps them until its settings are others or somebody switches it on.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from notifications.channels import Channel, Searchable, Threaded, Unrepeatable
from notifications.notice import Notice, key_of, notice_of
from notifications.parcels import Entry, Parcel, next_parcel
from notifications.switches import Off, mark_of, still_off
from notifications.templates import worded
from settings.schema import NotificationsSettings
from sync.errors import AddressGone, DeferredError, NotFound, PermanentError, TransientError
from sync.incident import Severity
from sync.ports import Clock
from sync.report import Run

log = logging.getLogger(__name__)

# What one message may sum up; the next one takes the rest.
MOST_AT_ONCE = 1000
# A message of `send_notification` tries again by itself for so long; then whoever watches wakes the channel.
CARRIED_FOR = timedelta(minutes=10)
FRESH_FOR = timedelta(minutes=1)
RETRY_AFTER_S = 5.0
# Clocks of the channel and of this machine may differ; a message is looked for from a little earlier on.
CLOCKS_DIFFER = timedelta(minutes=2)


class Runs(Protocol):
    def find(self, run_id: str) -> Run:
        """Raises NotFound."""
        ...


class StoredEntry(Entry, Protocol):
    @property
    def state(self) -> str: ...


class Outbox(Protocol):
    """The notices that wait and those that were told (`stores.sql.notices.Notices`)."""

    def add(  # noqa: PLR0913  the columns that a notice begins with
        self,
        *,
        key: str,
        channel: str,
        event: str,
        severity: Severity,
        subject: str,
        text: str,
        fields: Mapping[str, object],
        run_id: str | None = None,
        incident_id: str | None = None,
        not_before: datetime | None = None,
        left_to: str | None = None,
        is_renewed: bool = False,
    ) -> None: ...

    def find(self, key: str, channel: str) -> StoredEntry | None: ...

    def due(self, channel: str, *, limit: int) -> Sequence[Entry]: ...

    def begin(self, ids: Sequence[int]) -> None: ...

    def tell(self, ids: Sequence[int], reference: str) -> None: ...

    def pass_over(self, ids: Sequence[int], reason: str) -> None: ...

    def put_back(self, ids: Sequence[int], reason: str) -> None: ...

    def refuse(self, ids: Sequence[int], reason: str) -> None: ...

    def revive(self, channel: str) -> None: ...

    def expire(self, channel: str, *, before: datetime) -> int: ...

    def thread_of(self, incident_id: str, channel: str) -> str | None: ...

    def leave_thread(self, incident_id: str, channel: str) -> None: ...

    def count_messages(self, channel: str, *, since: datetime) -> int: ...


class Turn(Protocol):
    def renew(self) -> None:
        """Raises LeaseLost when another sender took over."""
        ...


class Turns(Protocol):
    """Who may tell a channel something now, over all processes (`stores.redis.turns.Turns`)."""

    def take(self, channel: str, *, owner: str) -> AbstractContextManager[Turn]:
        """Raises AccountBusy, a DeferredError, while another one tells it something."""
        ...

    def wait_s(self, channel: str) -> float:
        """How long the channel is to be left alone; 0 when it may be told something."""
        ...

    def pause(self, channel: str, for_s: float) -> None: ...

    def failed(self, channel: str) -> None: ...

    def succeeded(self, channel: str) -> None: ...

    def switched_off(self) -> Mapping[str, Off]:
        """The channels that are to be told nothing until they are switched on."""
        ...

    def switch_off(self, channel: str, *, reason: str, at: datetime, settings: str) -> None: ...

    def switch_on(self, channel: str) -> bool:
        """Whether it was off."""
        ...


class Names(Protocol):
    def __call__(self, run: Run) -> str | None:
        """The name of the run's account or organisation, if it is known."""
        ...


class Delivery:
    """What the actor `send_notification` does."""

    def __init__(  # noqa: PLR0913  everything that a notice meets on its way
        self,
        channels: Mapping[str, Channel],
        settings: NotificationsSettings,
        *,
        runs: Runs,
        outbox: Outbox,
        turns: Turns,
        name_of: Names,
        clock: Clock,
        owner: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._channels = channels
        self._settings = settings
        self._runs = runs
        self._outbox = outbox
        self._turns = turns
        self._name_of = name_of
        self._clock = clock
        self._owner = owner

    def deliver(self, event: str, channel: str, run_id: str | None) -> None:
        """Tell the channel the notice of a run's end, and whatever waits for it before; or only the latter.

        A notice that was refused is tried again, with all others of the channel: somebody
        retries its dead letter. A channel that is switched off keeps its notices. Raises NotFound
        for an unknown run, PermanentError with the channel's reason, and DeferredError while it
        does not answer.
        """
        if run_id is not None and self._needs_telling(event, channel, run_id):
            run = self._runs.find(run_id)
            notice = notice_of(run, name=self._name_of(run))
            self._outbox.add(
                key=notice.key,
                channel=channel,
                event=event,
                severity=notice.severity,
                subject=notice.subject,
                text=notice.text,
                fields=notice.fields,
                run_id=run_id,
            )
        self.drain(channel)

    def drain(self, name: str) -> None:
        """Tell the channel all that waits. Raises as `deliver`."""
        channel = self._channels.get(name)
        if channel is None:
            self._give_up(name)
            return
        with self._turns.take(name, owner=self._owner()) as turn:
            self._outbox.expire(name, before=self._clock.now() - timedelta(seconds=self._settings.keep_s))
            if self._is_off(name):
                return
            while due := self._outbox.due(name, limit=MOST_AT_ONCE):
                parcel = next_parcel(due, summary_from=self._summary_from(due))
                if (wait_s := self._wait_s(name)) > 0:
                    self._wait(parcel, name, "it is left alone for now", wait_s)
                    return
                turn.renew()
                if not self._tell(channel, parcel):
                    return

    def _is_off(self, name: str) -> bool:
        noted = self._turns.switched_off()
        if name in still_off(noted, self._settings):
            log.info("channel_is_off", extra={"channel": name, "reason": noted[name].reason})
            return True
        if name in noted and self._turns.switch_on(name):
            log.info("channel_switched_on", extra={"channel": name, "reason": "its settings changed"})
        return False

    def _summary_from(self, due: Sequence[Entry]) -> int:
        # Many at once are still told one by one; a pile is what could not be told for a while.
        is_pile = self._clock.now() - due[0].created_at > FRESH_FOR
        return self._settings.summary_from if is_pile else MOST_AT_ONCE + 1

    def _needs_telling(self, event: str, channel: str, run_id: str) -> bool:
        entry = self._outbox.find(key_of(run_id, event), channel)
        if entry is None:
            return True
        if entry.state == "refused":
            self._outbox.revive(channel)
        return False

    def _give_up(self, name: str) -> None:
        due = self._outbox.due(name, limit=MOST_AT_ONCE)
        self._outbox.refuse([entry.id for entry in due], "no channel of this name is configured")
        log.warning("notice_without_channel", extra={"channel": name, "notices": len(due)})

    def _wait_s(self, name: str) -> float:
        if (wait_s := self._turns.wait_s(name)) > 0:
            return wait_s
        minute_ago = self._clock.now() - timedelta(minutes=1)
        is_enough = self._outbox.count_messages(name, since=minute_ago) >= self._settings.most_per_minute
        return 60.0 / self._settings.most_per_minute if is_enough else 0.0

    def _tell(self, channel: Channel, parcel: Parcel) -> bool:
        """Whether the channel took it, so that the next one may follow."""
        name = channel.name
        if not _is_news(channel, parcel.notice):
            self._outbox.pass_over(parcel.ids, "only counts changed")
            return True
        notice = worded(parcel.notice, name, self._settings.templates)
        try:
            reference = self._told_before(channel, parcel)
            if reference is None:
                if not parcel.is_unsure:
                    self._outbox.begin(parcel.ids)
                reference = self._send(channel, notice)
        except DeferredError as error:
            self._outbox.put_back(parcel.ids, str(error))
            self._turns.pause(name, error.retry_after_s)
            self._wait(parcel, name, str(error), error.retry_after_s)
            return False
        except TransientError as error:
            if isinstance(channel, Unrepeatable):
                self._outbox.put_back(parcel.ids, str(error))
            self._turns.failed(name)
            self._wait(parcel, name, str(error), max(self._turns.wait_s(name), RETRY_AFTER_S))
            return False
        except AddressGone as error:
            self._outbox.put_back(parcel.ids, str(error))
            mark = mark_of(self._settings, name)
            self._turns.switch_off(name, reason=str(error), at=self._clock.now(), settings=mark)
            log.error("channel_switched_off", extra={"channel": name, "reason": str(error)})  # noqa: TRY400
            return False
        except PermanentError as error:
            self._outbox.refuse(parcel.ids, str(error))
            self._turns.failed(name)
            raise
        except Exception as error:
            # A channel may be a stranger's; what is wrong with one notice must not hold up the next.
            self._outbox.refuse(parcel.ids, f"{type(error).__name__}: {error}")
            raise
        self._turns.succeeded(name)
        self._outbox.tell(parcel.ids, reference)
        fields = {"channel": name, "notice": notice.event, "key": notice.key, "reference": reference}
        log.info("notice_delivered", extra={**fields, "notices": len(parcel.ids)})
        return True

    def _told_before(self, channel: Channel, parcel: Parcel) -> str | None:
        """The message that told it already, when its sender died before it could say so."""
        began_at = parcel.entries[0].tried_at
        if not parcel.is_unsure or began_at is None:
            return None
        if isinstance(channel, Unrepeatable):
            return f"{parcel.notice.key}, perhaps"
        if not isinstance(channel, Searchable):
            return None
        return channel.find(
            parcel.notice, since=began_at - CLOCKS_DIFFER, thread=self._thread(channel, parcel.notice)
        )

    def _send(self, channel: Channel, notice: Notice) -> str:
        thread = self._thread(channel, notice)
        if thread is not None and isinstance(channel, Threaded):
            try:
                channel.update(thread, notice)
                return channel.reply(thread, notice) if notice.change else thread
            except NotFound as gone:
                log.warning("thread_gone", extra={"channel": channel.name, "reason": str(gone)})
                self._outbox.leave_thread(notice.incident_id or "", channel.name)
        return channel.send(notice)

    def _thread(self, channel: Channel, notice: Notice) -> str | None:
        if notice.incident_id is None or not isinstance(channel, Threaded):
            return None
        return self._outbox.thread_of(notice.incident_id, channel.name)

    def _wait(self, parcel: Parcel, name: str, reason: str, wait_s: float) -> None:
        """Come back soon for what is new; what waits for long is left to whoever watches the channels."""
        log.warning("channel_waits", extra={"channel": name, "reason": reason, "wait_s": round(wait_s, 1)})
        if self._clock.now() - parcel.entries[-1].created_at < CARRIED_FOR:
            raise DeferredError(f"{name}: {reason}", retry_after_s=wait_s)


def _is_news(channel: Channel, notice: Notice) -> bool:
    """Counts alone are none where they cannot be put in place of the old ones."""
    return notice.incident_id is None or notice.change is not None or isinstance(channel, Threaded)
