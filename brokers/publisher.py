"""From a request to a message on its queue; seconds become milliseconds here.

Checked before it is sent: a preset that the settings do not know never reaches a worker.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, Protocol
from urllib.parse import quote

import dramatiq
import msgspec
from dramatiq.errors import BrokerError

from brokers.messages import Request, SendNotification, SyncMessage, message_of
from brokers.redis import PriorityRedisBroker
from brokers.scripts import RELEASE
from sync.errors import InvalidRequest, StoreUnavailable
from sync.ports import Clock
from sync.report import Mode, Run, RunState

log = logging.getLogger(__name__)

# Of two requests for one account the stronger is carried out: by what it does to the
# account first, then by how much it reads. Presets from the settings count as weak.
MODE_STRENGTH = {Mode.ONBOARDING: 30, Mode.UPDATE: 20}
PRESET_STRENGTH = {"full": 5, "data-only": 4, "quick": 3, "minimal": 2, "validation-only": 2}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request.

    Coalesced: an equal or stronger one waits or runs already, and the ids are its own.
    `run_id` is None for messages that are no sync.
    """

    message_id: str
    run_id: str | None
    is_coalesced: bool = False


class Runs(Protocol):
    """The run records."""

    def request_many(self, requested: Sequence[Run]) -> None:
        """Insert queued runs in one transaction; repeatable, existing ones stay as they are."""
        ...


class Publisher:
    """Sends requests; used by every process that asks for work.

    `presets` answers the names in force, which may change while the process runs.
    """

    def __init__(
        self, broker: PriorityRedisBroker, *, runs: Runs, presets: Callable[[], Collection[str]], clock: Clock
    ) -> None:
        self._broker = broker
        self._runs = runs
        self._presets = presets
        self._clock = clock

    def send(
        self,
        request: Request,
        *,
        delay_s: float = 0.0,
        message_id: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        """Send one request, to start after `delay_s`; its run is recorded as queued.

        With a `message_id` (a UUID) sending is repeatable: the same message, the same run. What has
        no unique key leaves no run that tells that it was done: it is enqueued once in ten minutes.
        `requested_by` names the person or service for the audit. Raises InvalidRequest and
        StoreUnavailable.
        """
        message = self._build(request, delay_s, message_id, requested_by)
        is_once = message_id is not None and request.message.unique_key is None
        enqueue = self._broker.enqueue_once if is_once else self._broker.enqueue
        with _reaching_redis():
            sent = enqueue(message, delay=_milliseconds(delay_s))
        return self._record([(request, sent)])[0]

    def notify(self, *, event: str, channel: str, run_id: str | None, about: str | None) -> None:
        """Let a worker tell a channel of an event; one that waits already is not sent twice."""
        message = SendNotification(event=event, channel=channel, run_id=run_id, about=about)
        self.send(Request(message, message.priority))

    def let_next(self, run: Run) -> None:
        """From now on a request like the run's is a new one, not a duplicate of it."""
        _, unique_key = message_of(run)
        try:
            self._broker.ask(RELEASE, (quote(unique_key, safe=":"), run.id))
        except BrokerError as error:
            # The end of its message lets the next one in as well.
            log.warning("next_not_let_in", extra={"run_id": run.id, "reason": str(error)})

    def send_many(
        self,
        requests: Sequence[Request],
        *,
        delays_s: Iterable[float] = repeat(0.0),
        message_ids: Iterable[str | None] = repeat(None),
        requested_by: str | None = None,
    ) -> list[Receipt]:
        """Send thousands in a few round trips, each with its own delay; receipts in order.

        With `message_ids` sending is repeatable, as with `send`. Raises InvalidRequest, and then
        sends none; StoreUnavailable, and then any may be sent.
        """
        return self._send_all(
            [
                (request, delay_s, message_id, requested_by)
                for request, delay_s, message_id in zip(requests, delays_s, message_ids, strict=False)
            ]
        )

    def send_each(self, orders: Sequence[tuple[Request, str | None]]) -> list[Receipt]:
        """As `send_many`, each request in the name of its own `requested_by`."""
        return self._send_all([(request, 0.0, None, requested_by) for request, requested_by in orders])

    def _send_all(self, orders: Sequence[tuple[Request, float, str | None, str | None]]) -> list[Receipt]:
        messages = [
            (self._build(request, delay_s, message_id, requested_by), _milliseconds(delay_s))
            for request, delay_s, message_id, requested_by in orders
        ]
        with _reaching_redis():
            sent = self._broker.enqueue_many(messages)
        return self._record([(order[0], message) for order, message in zip(orders, sent, strict=True)])

    def _build(
        self, request: Request, delay_s: float, message_id: str | None, requested_by: str | None
    ) -> dramatiq.Message[Any]:
        identity = uuid.UUID(message_id) if message_id else uuid.uuid4()
        now = self._clock.now()
        body = request.message
        options: dict[str, Any] = {
            "broker_priority": request.priority.value,
            "due_at_ms": round((now.timestamp() + delay_s) * 1000),
        }
        if isinstance(body, SyncMessage):
            body = self._complete(body, identity, now)
            options["unique_strength"] = _strength(body)
        optional = {
            "unique_key": body.unique_key,
            "fair_key": body.fair_key,
            "requested_by": requested_by,
        }
        options |= {name: value for name, value in optional.items() if value}
        return dramatiq.Message(
            queue_name=body.queue_name.value,
            actor_name=body.actor_name,
            args=(),
            kwargs=msgspec.to_builtins(body),
            options=options,
            message_id=str(identity),
            message_timestamp=round(now.timestamp() * 1000),
        )

    def _complete(self, body: SyncMessage, identity: uuid.UUID, now: datetime) -> SyncMessage:
        presets = self._presets()
        if body.preset not in presets:
            known = ", ".join(sorted(presets))
            raise InvalidRequest(f"preset: {body.preset!r} is not known; one of {known}")
        requested_at = body.requested_at or now
        return msgspec.structs.replace(
            body,
            run_id=body.run_id or identity.hex,
            requested_at=requested_at,
            fresh_after=body.fresh_after or requested_at,
        )

    def _record(self, taken: Sequence[tuple[Request, dramatiq.Message[Any]]]) -> list[Receipt]:
        runs = [
            _queued_run(request.message, sent)
            for request, sent in taken
            if isinstance(request.message, SyncMessage) and "coalesced_with" not in sent.options
        ]
        if runs:
            self._runs.request_many(runs)
        return [_receipt(request, sent) for request, sent in taken]


def _queued_run(body: SyncMessage, sent: dramatiq.Message[Any]) -> Run:
    return Run(
        id=sent.kwargs["run_id"],
        mode=body.mode,
        preset=body.preset,
        state=RunState.QUEUED,
        requested_at=datetime.fromisoformat(sent.kwargs["requested_at"]),
        account_id=sent.kwargs.get("account_id"),
        organisation_id=sent.kwargs.get("organisation_id"),
        provider=sent.kwargs.get("provider"),
        batch_id=body.batch_id,
        dry_run=body.dry_run,
    )


def _receipt(request: Request, sent: dramatiq.Message[Any]) -> Receipt:
    if existing := sent.options.get("coalesced_with"):
        return Receipt(existing["message_id"], existing.get("run_id"), is_coalesced=True)
    is_sync = isinstance(request.message, SyncMessage)
    return Receipt(sent.message_id, sent.kwargs["run_id"] if is_sync else None)


def _strength(body: SyncMessage) -> int:
    """A restart is stronger than the same without, and than nothing else."""
    return 2 * (MODE_STRENGTH.get(body.mode, 10) + PRESET_STRENGTH.get(body.preset, 1)) + bool(body.restart)


@contextmanager
def _reaching_redis() -> Iterator[None]:
    try:
        yield
    except BrokerError as error:
        raise StoreUnavailable(f"the message was not sent: {error}") from error


def _milliseconds(delay_s: float) -> int | None:
    return round(delay_s * 1000) or None
