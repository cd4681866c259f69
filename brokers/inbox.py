"""The door for programs that speak Redis but not Python: a stream of JSON messages.

    XADD clubsync:inbox * message '{"actor": "sync_club", "account_id": 42}'

An entry leaves the stream once its message is on its queue, or in the dead letters with
every reason why it was refused. Its message's id is made from the entry's, so that a crash
in between repeats the sending without doubling the message.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

import dramatiq
import msgspec
import redis
from dramatiq.errors import BrokerError

from brokers import codec, envelope
from brokers.messages import MESSAGES, Request, SyncMessage, parse
from brokers.publisher import Publisher
from brokers.queues import Priority, Queue
from brokers.redis import PriorityRedisBroker
from brokers.scripts import BURY
from sync.errors import InvalidRequest, NotFound, TransientError
from sync.ports import Runs

GROUP = "clubsync"
FIELD = b"message"
ENTRIES_AT_ONCE = 100
BLOCK_MS = 2000  # an idle consumer asks twice in four seconds; an entry wakes it at once
# Longer than any sending takes: whoever holds an entry for this long is dead.
CLAIM_AFTER_S = 30.0
CLAIM_EVERY_S = 10.0
OUTAGE_PAUSE_S = 1.0
KEPT_TEXT = 2000
IDS = uuid.UUID("6d4f7a52-54b3-5f0e-9f0c-9f4f2f0b1c7e")  # any fixed one: the space of the ids made here

logger = logging.getLogger(__name__)

Entry = tuple[bytes, Mapping[bytes, bytes]]


class Inbox:
    """Reads the stream until `stop`; several may run, each entry goes to one of them."""

    def __init__(self, broker: PriorityRedisBroker, publisher: Publisher, *, runs: Runs) -> None:
        self.stream = f"{broker.namespace}:inbox"
        self._broker = broker
        self._client: redis.Redis = broker.client
        self._publisher = publisher
        self._runs = runs
        self._consumer = uuid.uuid4().hex
        self._stopping = threading.Event()

    def run(self) -> None:
        """Deliver entries until `stop`; an outage of Redis or SQL is waited out."""
        claim_at_s = 0.0
        while not self._stopping.is_set():
            try:
                if time.monotonic() >= claim_at_s:
                    self._open()
                    self._deliver(self._claim(), is_repeated=True)
                    claim_at_s = time.monotonic() + CLAIM_EVERY_S
                self._deliver(self._read(), is_repeated=False)
            except (redis.RedisError, BrokerError, TransientError) as error:
                logger.warning("inbox_waits", extra={"error": str(error)})
                claim_at_s = 0.0
                self._stopping.wait(OUTAGE_PAUSE_S)

    def stop(self) -> None:
        """`run` returns within two seconds, after the entry in hand."""
        self._stopping.set()

    def _open(self) -> None:
        try:
            self._client.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _claim(self) -> list[Entry]:
        answer: Any = self._client.xautoclaim(
            self.stream,
            GROUP,
            self._consumer,
            min_idle_time=round(CLAIM_AFTER_S * 1000),
            count=ENTRIES_AT_ONCE,
        )
        return list(answer[1])

    def _read(self) -> list[Entry]:
        answer: Any = self._client.xreadgroup(
            GROUP, self._consumer, {self.stream: ">"}, count=ENTRIES_AT_ONCE, block=BLOCK_MS
        )
        return [entry for _, entries in answer or () for entry in entries]

    def _deliver(self, entries: list[Entry], *, is_repeated: bool) -> None:
        for entry_id, fields in entries:
            if self._stopping.is_set():
                return  # claimed by another consumer
            message_id = uuid.uuid5(IDS, f"{self.stream}:{entry_id.decode()}")
            try:
                request = _read_request(fields)
                if not (is_repeated and self._is_known(request, message_id)):
                    self._publisher.send(request, message_id=str(message_id), requested_by="inbox")
            except InvalidRequest as error:
                self._refuse(message_id, fields, str(error))
            pipeline = self._client.pipeline(transaction=True)
            pipeline.xack(self.stream, GROUP, entry_id)
            pipeline.xdel(self.stream, entry_id)
            pipeline.execute()

    def _is_known(self, request: Request, message_id: uuid.UUID) -> bool:
        # Its message may be done and forgotten by now; its run is not.
        if not isinstance(request.message, SyncMessage):
            return False
        with contextlib.suppress(NotFound):
            return bool(self._runs.find(request.message.run_id or message_id.hex))
        return False

    def _refuse(self, message_id: uuid.UUID, fields: Mapping[bytes, bytes], reason: str) -> None:
        logger.warning("inbox_refused", extra={"message_id": str(message_id), "reason": reason})
        message = _as_sent(fields, str(message_id))
        value = envelope.pack(
            message, level=Priority.NORMAL.level, bias=0, due_ms=0, body=codec.encode(message)
        )
        why = msgspec.json.encode({"kind": "refused", "error": reason})
        self._broker.ask(BURY, (message.queue_name, message.message_id, value, why))


def _read_request(fields: Mapping[bytes, bytes]) -> Request:
    if FIELD not in fields:
        given = ", ".join(sorted(name.decode(errors="replace") for name in fields))
        raise InvalidRequest(f"the entry has no field `message`, only {given}")
    try:
        envelope = msgspec.json.decode(fields[FIELD])
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"message: not JSON ({error})") from error
    if not isinstance(envelope, dict):
        raise InvalidRequest(f"message: a JSON object is expected, not {type(envelope).__name__}")
    return parse(envelope)


def _as_sent(fields: Mapping[bytes, bytes], message_id: str) -> dramatiq.Message[Any]:
    """The refused message as far as it can be understood, so that it can be edited and retried."""
    text = fields.get(FIELD, b"")
    try:
        body = msgspec.json.decode(text, type=dict[str, Any])
        actor = body.pop("actor")
        queue = MESSAGES[actor].queue_name
    except (msgspec.DecodeError, KeyError, TypeError):
        body, actor, queue = {"message": text.decode(errors="replace")[:KEPT_TEXT]}, "inbox", Queue.SYNCS
    return dramatiq.Message(
        queue_name=queue.value,
        actor_name=actor,
        args=(),
        kwargs=body,
        options={"requested_by": "inbox"},
        message_id=message_id,
    )
