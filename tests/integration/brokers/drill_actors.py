"""The worker program of the drill: notes in Redis what it has done, after doing it."""

from __future__ import annotations

import os
import time

import dramatiq
import redis
from dramatiq.middleware import CurrentMessage

from brokers.redis import PriorityRedisBroker

url = os.environ["REDIS_URL"]
# Killed at random, a message may lose more than three workers without being poison.
broker = PriorityRedisBroker(url=url, max_deaths=1000)
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
notes = redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(url, max_connections=4))


@dramatiq.actor(queue_name="drill", max_retries=1000, min_backoff=50, max_backoff=500)
def work(number: int) -> None:
    time.sleep(0.01)
    if number % 7 == 0 and notes.hincrby("tries", str(number), 1) == 1:
        raise RuntimeError("every seventh fails once")
    notes.sadd("done", number)


@dramatiq.actor(queue_name="health", max_retries=1000, min_backoff=50, max_backoff=500)
def check_health(**_options: object) -> None:
    """What the schedulers send, and what they pass on from the inbox."""
    message = CurrentMessage.get_current_message()
    assert message is not None
    notes.sadd("healthy", message.message_id)
