"""Each message has an actor that rebuilds it and makes one call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dramatiq
import msgspec
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import CurrentMessage, Retries, TimeLimit

from actors.catalogue import declare_all
from actors.sync_grade import requests_for
from brokers.messages import (
    MESSAGES,
    CheckHealth,
    Message,
    OnboardAccount,
    SendNotification,
    SyncAssociation,
    SyncClub,
    SyncClubDirect,
    SyncMessage,
    UpdateAccount,
)
from sync.errors import InvalidRequest
from sync.grades.ports import GradeTask
from sync.ports import Fence
from sync.report import Mode
from sync.request import SyncRequest

AT = datetime(2031, 10, 18, 2, 0, tzinfo=UTC)


@dataclass
class Called:
    syncs: list[SyncRequest] = field(default_factory=list)
    grades: list[GradeTask] = field(default_factory=list)
    notifications: list[tuple[str, str, str | None]] = field(default_factory=list)
    round_trips: list[datetime | None] = field(default_factory=list)

    def note_sync(self, request: SyncRequest) -> str:
        self.syncs.append(request)
        return request.run_id


class Options(dramatiq.Middleware):
    """The options that our own broker and chain add."""

    @property
    def actor_options(self) -> set[str]:
        return {"broker_priority", "store_results"}


@pytest.fixture
def called() -> Called:
    return Called()


@pytest.fixture
def broker(called: Called) -> StubBroker:
    middleware = [CurrentMessage(), Retries(), TimeLimit(), Options()]
    broker = StubBroker(middleware=middleware)
    declare_all(
        broker,
        perform_sync=called.note_sync,
        perform_grade=called.grades.append,
        deliver=lambda event, channel, run_id: called.notifications.append((event, channel, run_id)),
        note_round_trip=called.round_trips.append,
    )
    return broker


def carry_out(broker: StubBroker, message: Message, **options: Any) -> None:
    actor = broker.get_actor(message.actor_name)
    sent: dramatiq.Message[Any] = dramatiq.Message(
        queue_name=actor.queue_name,
        actor_name=actor.actor_name,
        args=(),
        kwargs=msgspec.to_builtins(message),
        options=options,
    )
    broker.emit_before("process_message", dramatiq.broker.MessageProxy(sent))
    try:
        actor(**sent.kwargs)
    finally:
        broker.emit_after("process_message", dramatiq.broker.MessageProxy(sent))


def test_every_message_has_an_actor_on_its_queue(broker: StubBroker) -> None:
    assert set(broker.actors) == set(MESSAGES)
    for name, kind in MESSAGES.items():
        actor = broker.get_actor(name)
        assert actor.queue_name == kind.queue_name
        assert actor.options["broker_priority"] == kind.priority


def test_every_actor_has_a_time_limit_and_syncs_leave_their_attempts_to_the_settings(
    broker: StubBroker,
) -> None:
    for name, actor in broker.actors.items():
        assert actor.options["time_limit"] > 0
        assert ("max_retries" in actor.options) != issubclass(MESSAGES[name], SyncMessage)


@pytest.mark.parametrize(
    ("message", "mode"),
    [
        (SyncClub(account_id=2, run_id="r", requested_at=AT), Mode.CLUB),
        (SyncAssociation(account_id=2, run_id="r", requested_at=AT), Mode.ASSOCIATION),
        (UpdateAccount(account_id=2, run_id="r", requested_at=AT), Mode.UPDATE),
        (OnboardAccount(account_id=2, run_id="r", requested_at=AT), Mode.ONBOARDING),
    ],
)
def test_account_messages_ask_for_a_sync_of_the_account(
    broker: StubBroker, called: Called, message: Message, mode: Mode
) -> None:
    carry_out(broker, message)
    (request,) = called.syncs
    assert (request.mode, request.account_id, request.organisation_id) == (mode, 2, None)
    assert (request.run_id, request.requested_at) == ("r", AT)


def test_direct_messages_carry_the_organisation(broker: StubBroker, called: Called) -> None:
    carry_out(broker, SyncClubDirect(organisation_id="5d10ff00", provider="playhq", dry_run=True))
    (request,) = called.syncs
    assert (request.mode, request.account_id) == (Mode.CLUB_DIRECT, None)
    assert (request.organisation_id, request.provider) == ("5d10ff00", "playhq")
    assert request.is_dry_run


def test_a_message_without_a_run_gets_the_same_one_at_every_attempt(
    broker: StubBroker, called: Called
) -> None:
    actor = broker.get_actor(SyncClub.actor_name)
    sent = dramatiq.broker.MessageProxy(actor.message(account_id=2))
    for _ in range(2):
        broker.emit_before("process_message", sent)
        actor(**sent.kwargs)
        broker.emit_after("process_message", sent)
    first, second = called.syncs
    assert first == second


@pytest.mark.parametrize(("priority", "is_urgent"), [("urgent", True), ("high", True), ("normal", False)])
def test_priority_decides_the_share_of_the_quota(
    broker: StubBroker, called: Called, priority: str, *, is_urgent: bool
) -> None:
    carry_out(broker, SyncClub(account_id=2), broker_priority=priority)
    assert called.syncs[0].is_urgent is is_urgent


def test_a_shared_grade_arrives_as_it_was_sent(broker: StubBroker, called: Called) -> None:
    task = GradeTask(
        run_id="r",
        grade_id="7c1d22aa",
        season_id="1b2f0c11",
        fence=Fence("playhq:9a3e77d0", 7),
        fresh_after=AT,
        is_urgent=True,
    )
    (request,) = requests_for([task])
    carry_out(broker, request.message, broker_priority=request.priority.value)
    assert called.grades == [task]


def test_a_notification_is_delivered_to_its_channel(broker: StubBroker, called: Called) -> None:
    carry_out(broker, SendNotification(event="run_failed", channel="slack", run_id="r"))
    assert called.notifications == [("run_failed", "slack", "r")]


def test_a_health_check_notes_its_round_trip(broker: StubBroker, called: Called) -> None:
    carry_out(broker, CheckHealth(requested_at=AT))
    assert called.round_trips == [AT]


def test_fields_that_do_not_fit_are_never_tried_again(broker: StubBroker) -> None:
    with pytest.raises(InvalidRequest, match="account_id"):
        broker.get_actor("sync_club")(account_id="forty-two")
