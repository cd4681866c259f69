"""All actors, declared on one broker: what this system can be asked to do."""

from __future__ import annotations

import dramatiq

from actors import (
    check_health,
    onboard_account,
    send_notification,
    sync_association,
    sync_association_direct,
    sync_club,
    sync_club_direct,
    update_account,
)
from actors.check_health import NoteRoundTrip
from actors.requests import PerformSync
from actors.send_notification import Deliver


def declare_all(
    broker: dramatiq.Broker,
    *,
    perform_sync: PerformSync,
    deliver: Deliver,
    note_round_trip: NoteRoundTrip,
    attempts: int,
) -> None:
    """Declare an actor for every message; `attempts` is how often a sync is tried."""
    for actor in (
        sync_club,
        sync_association,
        sync_club_direct,
        sync_association_direct,
        update_account,
        onboard_account,
    ):
        actor.declare(broker, perform_sync, attempts=attempts)
    send_notification.declare(broker, deliver)
    check_health.declare(broker, note_round_trip)
