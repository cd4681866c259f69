"""A desk that delivers notices: real SQLite and Redis, and a simulated Slack over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import Engine

from notifications import slack
from notifications.channels import Channel
from notifications.delivery import Delivery
from notifications.notice import Notice
from settings.schema import NotificationsSettings, SlackSettings
from simulator.app import Simulator
from simulator.running import running
from stores.redis.turns import Turns
from stores.sql.notices import NoticeState
from stores.sql.stores import SqlStores, open_stores
from sync.errors import SyncError
from sync.incident import Severity
from sync.report import Run
from tests.fakes import FakeClock
from tests.unit.notifications.builders import finished
from tests.unit.simulator.asking import make_simulator


@dataclass
class Chat:
    """A channel in memory that can be made to fail."""

    name: str = "chat"
    notices: list[Notice] = field(default_factory=list)
    fails_with: list[Exception] = field(default_factory=list)

    def send(self, notice: Notice) -> str:
        if self.fails_with:
            raise self.fails_with.pop(0)
        self.notices.append(notice)
        return f"message {len(self.notices)}"


@dataclass
class Slack:
    """The simulated Slack and the channel that talks to it."""

    http: httpx.Client
    settings: SlackSettings
    channel: Channel

    def messages(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self.http.get("/_simulator/chat").json()
        return shown

    def fail(self, kind: str, **options: Any) -> None:
        rule = {"kind": kind, "path": "/slack/*", **options}
        self.http.post("/_simulator/faults", json=rule).raise_for_status()

    def recover(self) -> None:
        self.http.delete("/_simulator/faults").raise_for_status()


@dataclass
class Desk:
    """Whatever a worker has to deliver notices with."""

    stores: SqlStores
    turns: Turns
    clock: FakeClock
    settings: NotificationsSettings
    channels: dict[str, Channel] = field(default_factory=dict)

    def delivery(self) -> Delivery:
        """As a worker that has just started."""
        return Delivery(
            self.channels,
            self.settings,
            runs=self.stores.runs,
            outbox=self.stores.notices,
            turns=self.turns,
            name_of=lambda _run: None,
            clock=self.clock,
        )

    def finish(self, number: int = 1, **fields: Any) -> Run:
        run = finished(id=f"r{number}", account_id=number, **fields)
        self.stores.runs.save(run)
        return run

    def deliver(self, number: int = 1, channel: str = "chat") -> SyncError | None:
        """Carry out the message of a run's notice; the error that it ends with, if any."""
        try:
            self.delivery().deliver("sync_succeeded", channel, f"r{number}")
        except SyncError as error:
            return error
        return None

    def drain(self, channel: str = "chat") -> SyncError | None:
        try:
            self.delivery().drain(channel)
        except SyncError as error:
            return error
        return None

    def states(self) -> dict[str, NoticeState]:
        return {entry.key: entry.state for entry in self.stores.notices.list(limit=2000).items}

    def tell_incident(self, number: int, channel: str, text: str, change: str | None) -> None:
        self.stores.notices.add(
            key=f"incident:i1:{number}",
            channel=channel,
            event="alert",
            severity=Severity.ERROR,
            subject=text,
            text=text,
            fields={"change": change},
            incident_id="i1",
        )

    def wait(self, **span: float) -> None:
        self.clock.at += timedelta(**span)


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def desk(sqlite_engine: Engine, redis_client: redis.Redis, namespace: str, chat: Chat) -> Desk:
    # Slack's times are real ones.
    clock = FakeClock(datetime.now(UTC))
    channels: Mapping[str, Channel] = {"chat": chat}
    return Desk(
        open_stores(sqlite_engine, clock),
        Turns(redis_client, namespace),
        clock,
        NotificationsSettings(),
        dict(channels),
    )


@pytest.fixture
def simulator() -> Simulator:
    return make_simulator()


@pytest.fixture
def slack_api(simulator: Simulator) -> Iterator[Slack]:
    """By token, at a Slack that shows what it got."""
    with running(simulator) as address, httpx.Client(base_url=address, timeout=30) as http:
        settings = SlackSettings(token=SecretStr("xoxb-secret"), base_url=f"{address}/slack/api")
        channel = slack.open_channel(NotificationsSettings(slack=settings, timeout_s=30))
        assert isinstance(channel, slack.SlackApi)
        yield Slack(http, settings, channel)
        channel._client.close()
