"""Which notices were delivered; run, event and channel are the key that keeps them single."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select

from stores.sql.engine import reading, writing
from stores.sql.tables import deliveries
from stores.sql.upserts import insert_new
from sync.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEntry:
    """A delivered notice; `reference` is what the channel calls it."""

    run_id: str
    event: str
    channel: str
    reference: str
    delivered_at: datetime


class Deliveries:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, run_id: str, event: str, channel: str) -> str | None:
        """The channel's reference when it was delivered, else None."""
        query = select(deliveries.c.reference).where(
            deliveries.c.run_id == run_id, deliveries.c.event == event, deliveries.c.channel == channel
        )
        with reading(self._engine) as connection:
            reference: str | None = connection.scalar(query)
        return reference

    def record(self, run_id: str, event: str, channel: str, reference: str) -> None:
        """Remember a delivery; repeatable, the first one stays."""
        row = {
            "run_id": run_id,
            "event": event,
            "channel": channel,
            "reference": reference,
            "delivered_at": self._clock.now(),
        }
        with writing(self._engine) as connection:
            insert_new(connection, deliveries, [row])

    def of_run(self, run_id: str) -> Sequence[DeliveryEntry]:
        """What was told about a run, in order."""
        query = select(deliveries).where(deliveries.c.run_id == run_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(deliveries.c.delivered_at)).all()
        return [DeliveryEntry(**row._asdict()) for row in rows]
