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
    sync_grade,
    update_account,
)
from actors.check_health import NoteRoundTrip
from actors.requests import PerformSync
from actors.send_notification import Deliver
from actors.sync_grade import PerformGrade

_SYNCS = (
    sync_club,
    sync_association,
    sync_club_direct,
    sync_association_direct,
    update_account,
    onboard_account,
)
SYNC_ACTORS = tuple(actor.__name__.rpartition(".")[2] for actor in _SYNCS)


def declare_all(
    broker: dramatiq.Broker,
    *,
    perform_sync: PerformSync,
    perform_grade: PerformGrade,
    deliver: Deliver,
    note_round_trip: NoteRoundTrip,
) -> None:
    """Declare an actor for every message; how often a sync is tried is a rule of the broker's retries."""
    for actor in _SYNCS:
        actor.declare(broker, perform_sync)
    sync_grade.declare(broker, perform_grade)
    send_notification.declare(broker, deliver)
    check_health.declare(broker, note_round_trip)
