"""dramatiq's `group`, sent in a few round trips."""

from __future__ import annotations

import dramatiq

from brokers.redis import PriorityRedisBroker


class BatchGroup(dramatiq.group):
    """A group whose messages, and the first ones of its pipelines, are enqueued together.

    The barrier for completion callbacks exists before the first message does, as in dramatiq.
    """

    broker: PriorityRedisBroker

    def run(self, *, delay: int | None = None) -> BatchGroup:
        with self.broker.batch():
            super().run(delay=delay)  # type: ignore[no-untyped-call] # dramatiq leaves it untyped
        return self
