"""What a busy year leaves behind: accounts and runs in SQL, dead letters in Redis."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

import redis
from dramatiq import Message
from sqlalchemy import Engine

from benchmarks.stores.suite import fill
from brokers import codec, envelope
from brokers.messages import SendNotification, SyncClub
from brokers.queues import Queue

ERRORS = (
    "ProviderUnavailable: fetch games of grade {}: the provider answered 503",
    "UnexpectedResponse: game {}: no status",
    "CredentialsRejected: fetch seasons: the key was refused (401)",
    "ValueError: invalid literal for int() with base 10: 'x{}'",
)
DAYS = 30
CHUNK = 2000


def fill_sql(engine: Engine, account_count: int, run_count: int) -> None:
    """Accounts with their organisations, and their runs."""
    fill(engine, account_count, run_count, 0)


def fill_dead(url: str, namespace: str, count: int, account_count: int) -> None:
    """Dead letters as workers leave them, over a month; the keys are those of brokers/lua/layout.lua."""
    rows = _letters(count, account_count)
    with redis.Redis.from_url(url) as client:
        while chunk := list(islice(rows, CHUNK)):
            with client.pipeline(transaction=False) as pipe:
                for queue, message_id, died_ms, value, reason in chunk:
                    prefix = f"{{{namespace}}}:q:{queue}:"
                    pipe.sadd(f"{{{namespace}}}:queues", queue)
                    pipe.hset(f"{{{namespace}}}:values", f"{queue}/{message_id}", value)
                    pipe.hset(f"{prefix}reasons", message_id, reason)
                    pipe.zadd(f"{prefix}dead", {message_id: died_ms})
                    pipe.hincrby(f"{{{namespace}}}:counts", f"{queue}/enqueued", 1)
                pipe.execute()


def _letters(count: int, account_count: int) -> Iterator[tuple[str, str, int, bytes, bytes]]:
    chance = random.Random(7)
    now_ms = round(time.time() * 1000)
    for number in range(count):
        is_notice = number % 10 == 0
        queue = Queue.NOTIFICATIONS if is_notice else Queue.SYNCS
        kind: Any = SendNotification if is_notice else SyncClub
        run_id = uuid.UUID(int=chance.getrandbits(128)).hex
        kwargs = (
            {"event": "run_finished", "channel": "slack", "run_id": run_id}
            if is_notice
            else {"account_id": 1 + number % account_count, "preset": "full", "run_id": run_id}
        )
        error = chance.choices(ERRORS, (60, 25, 10, 5))[0].format(run_id[:8])
        attempt = {"at": "2031-10-18T01:00:00Z", "text": error, "traceback": "  File ...\n" * 8}
        message: Message[Any] = Message(
            queue_name=queue.value,
            actor_name=kind.actor_name,
            args=(),
            kwargs=kwargs,
            options={"retries": 3, "attempts": [attempt] * 4, "broker_priority": "normal"},
            message_id=str(uuid.UUID(int=chance.getrandbits(128))),
            message_timestamp=now_ms,
        )
        value = envelope.pack(message, level=2, bias=0, due_ms=0, body=codec.encode(message))
        reason = json.dumps({"kind": "failed", "error": error, "attempts": [attempt] * 4}).encode()
        died_ms = now_ms - chance.randrange(DAYS * 86_400_000)
        yield queue.value, message.message_id, died_ms, value, reason
