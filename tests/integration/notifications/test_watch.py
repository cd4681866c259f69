"""From what fails to what people read: real stores, queues and a simulated Slack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis

from brokers.chain import open_sender
from brokers.operations import Operations
from notifications.live import LiveNotifications, Ports
from notifications.watch import Watch, open_watch
from settings import canary
from settings.loader import load
from settings.schema import Settings
from stores.redis.batches import Batch, Batches, BatchState
from stores.redis.gates import Gates
from stores.redis.looks import Looks
from stores.sql.accounts import NewAccount
from stores.sql.notices import NoticeEntry, NoticeState
from stores.sql.stores import open_stores
from sync.causes import Cause
from sync.model import OrganisationKind
from sync.report import Outcome, Run, RunState, Stage, StageReport
from tests.integration.notifications.conftest import Desk, Slack
from tests.unit.notifications.builders import finished

DEFAULTS = load({"CLUBSYNC_NOTIFICATIONS__DIGEST_FROM": "5"}).settings


@dataclass
class Post:
    """A whole installation's notices: the watch, and a worker that carries out its messages."""

    desk: Desk
    slack: Slack
    watch: Watch
    live: LiveNotifications
    sent: list[tuple[str, str, str | None]]
    has_leader: bool = True
    endings: dict[int, canary.Ending] = field(default_factory=dict)

    def work(self) -> None:
        """Carry out every message that was sent."""
        while self.sent:
            event, channel, run_id = self.sent.pop(0)
            self.live.deliver(event, channel, run_id)

    def look(self, *, times: int = 1) -> None:
        for _ in range(times):
            self.desk.wait(minutes=1)
            self.watch.turn()
            self.work()

    def fail(self, number: int, cause: Cause, **fields: Any) -> Run:
        at = self.desk.clock.now()
        usual = {"state": RunState.FAILED, "provider": "playhq", "message": "it did not answer"}
        run = finished(
            id=f"r{number}",
            account_id=number,
            cause=cause,
            requested_at=at,
            started_at=at,
            finished_at=at,
            **(usual | fields),
        )
        self.desk.stores.runs.save(run)
        self.live.announce(run)
        return run

    def succeed(self, number: int, **fields: Any) -> Run:
        return self.fail(number, **{"cause": None, "state": RunState.SUCCEEDED, "message": None, **fields})

    def texts(self) -> list[str]:
        return [message["text"] for message in self.slack.messages()]


@pytest.fixture
def post(
    desk: Desk, slack_api: Slack, redis_client: redis.Redis, redis_url: str, namespace: str
) -> Iterator[Post]:
    # Only deliveries need true times; here Slack is not asked what it has.
    desk.stores = open_stores(desk.stores.engine, desk.clock)
    sent: list[tuple[str, str, str | None]] = []

    def publish(*, event: str, channel: str, run_id: str | None, about: str | None) -> None:
        sent.append((event, channel, run_id))

    ports = Ports(
        stores=desk.stores,
        turns=desk.turns,
        publish=publish,
        size_of_batch=Batches(redis_client, namespace).size_of,
        clock=desk.clock,
        own_channels={"slack": slack_api.channel},
    )
    settings = DEFAULTS
    live = LiveNotifications(settings, ports)
    looks: list[datetime] = []

    def claim(_every_s: float) -> bool:
        looks.append(desk.clock.now())
        return True

    broker = open_sender(redis_url, namespace=namespace)
    made = Post(desk, slack_api, None, live, sent)  # type: ignore[arg-type]  # made below, of the rest
    made.watch = open_watch(
        settings=lambda: settings,
        stores=desk.stores,
        operations=Workers(broker),
        batches=Batches(redis_client, namespace),
        claim=claim,
        breaker_open_s=Gates(redis_client, namespace).breaker_open_s,
        find_leader=lambda: True if made.has_leader else None,
        troubled_entries=dict,
        hosts_of=lambda _settings: {"playhq": "playhq.test"},
        canary_endings=lambda: made.endings,
        switched_off=desk.turns.switched_off,
        tell=live,
        publish=publish,
        clock=desk.clock,
    )
    yield made
    broker.close()


def told_of(incident_id: str, post: Post) -> list[NoticeEntry]:
    notices = post.desk.stores.notices.list(limit=2000).items
    return [notice for notice in notices if notice.incident_id == incident_id]


class Workers(Operations):
    """With a worker that the tests do not start."""

    alive = 1

    def workers(self) -> list[Any]:
        return [_Worker()] * self.alive


class _Worker:
    is_quiet = False
    is_stopping = False
    lease_left_s = 9.0


def test_a_thousand_failures_are_one_incident_and_few_messages(post: Post) -> None:
    for number in range(1, 1001):
        post.fail(number, Cause.PROVIDER_DOWN)
    post.work()
    post.look(times=3)
    single, incident, thread = post.texts()[:2], post.texts()[2], post.texts()[3:]
    assert [text.splitlines()[0] for text in single] == [f"Sync of club {number} failed" for number in (1, 2)]
    assert incident.startswith(
        "Error: 1,000 runs of 1,000 accounts of playhq did not succeed (provider down)"
    )
    assert "side: them: the provider" in incident
    assert thread == []
    left = post.desk.stores.notices.list(limit=2000, state=NoticeState.LEFT).items
    assert {entry.reason for entry in left} == {"the incident of provider:playhq"}
    assert len(left) == 998

    post.desk.wait(minutes=20)
    post.look(times=4)
    root, over = post.slack.messages()[2:]
    assert root["text"].startswith("Resolved after ")
    assert over["thread_ts"] == root["ts"]
    assert [line.action for line in post.desk.stores.audit.list(limit=9).items] == [
        "incident_resolved",
        "incident_opened",
    ]


@pytest.mark.parametrize(
    ("cause", "key", "side"),
    [
        (Cause.PROVIDER_DOWN, "provider:playhq", "them: the provider"),
        (Cause.PROXY_DOWN, "proxy", "us: the proxy"),
        (Cause.CMS_DOWN, "cms", "the CMS"),
        (Cause.BUG, "code", "us: our code"),
    ],
)
def test_each_side_is_an_incident_of_its_own(post: Post, cause: Cause, key: str, side: str) -> None:
    for number in range(1, 5):
        post.fail(number, cause)
        post.succeed(100 + number)
    post.look()
    (incident,) = post.desk.stores.incidents.current()
    assert incident.key == key
    assert any(f"side: {side}" in text for text in post.texts())


def test_a_breaker_and_failing_runs_of_a_provider_are_one_incident(
    post: Post, redis_client: redis.Redis, namespace: str
) -> None:
    later_us = (int(redis_client.time()[0]) + 50) * 1_000_000
    redis_client.hset(f"{{{namespace}}}:breaker:playhq.test", "open_until", str(later_us))
    for number in range(1, 5):
        post.fail(number, Cause.PROVIDER_DOWN)
    post.look()
    (incident,) = post.desk.stores.incidents.current()
    assert {alert.kind for alert in incident.alerts} == {"breaker_open", "runs_failing"}


def test_no_leader_is_told_and_over_when_one_leads(post: Post) -> None:
    post.has_leader = False
    post.look(times=2)
    assert post.texts()[0].startswith("Error: No scheduler leads")
    post.has_leader = True
    post.look(times=3)
    assert post.texts()[0].startswith("Resolved after 3 min")


def test_without_a_worker_the_watch_tells_it_itself(post: Post) -> None:
    operations = post.watch.look.operations  # type: ignore[attr-defined]  # a Look, here
    operations.alive = 0
    for _ in range(2):
        post.desk.wait(minutes=1)
        post.sent.clear()
        post.watch.turn()
    assert post.texts()[0].startswith("Error: No worker takes messages")


def test_an_incident_that_began_and_ended_while_slack_was_down_is_told_in_order(post: Post) -> None:
    post.slack.fail("error", status=503)
    post.has_leader = False
    for _ in range(30):
        post.desk.wait(minutes=1)
        post.watch.turn()
    post.has_leader = True
    for _ in range(30):
        post.desk.wait(minutes=1)
        post.watch.turn()
    assert post.texts() == []
    post.slack.recover()
    post.desk.wait(minutes=1)
    post.sent[:] = [("waiting", "slack", None)]
    post.work()
    assert len(post.texts()) == 1
    assert post.texts()[0].startswith("Resolved after")


def test_only_one_process_looks_in_an_interval(redis_client: redis.Redis, namespace: str) -> None:
    looks = [Looks(redis_client, namespace) for _ in range(3)]
    assert sum(one.claim(3600) for one in looks * 5) <= 2
    assert not looks[0].claim(3600)


def test_an_incident_of_which_only_the_counts_grow_adds_one_row_however_long_it_lasts(post: Post) -> None:
    for number in range(1, 5):
        post.fail(number, Cause.PROVIDER_DOWN)
    post.look(times=2)
    (incident,) = post.desk.stores.incidents.current()
    for number in range(5, 15):
        post.fail(number, Cause.PROVIDER_DOWN)
        post.look()
    assert len([notice for notice in told_of(incident.id, post) if notice.fields["change"] is None]) == 1
    (shown,) = (text for text in post.texts() if f"incident {incident.key}" in text)
    assert shown.startswith("Error: 14 runs of 14 accounts of playhq did not succeed")


def test_a_chat_that_was_down_for_an_hour_gets_a_digest_an_incident_and_a_summary_and_each_run_once(
    post: Post, redis_client: redis.Redis, namespace: str
) -> None:
    post.slack.fail("error", status=503)
    Batches(redis_client, namespace).save(
        Batch(
            id="b1",
            starts_at=post.desk.clock.now(),
            requested_by="scheduler",
            entry_id="nightly",
            state=BatchState.SENT,
            total=10,
            sent=10,
        )
    )
    runs = [post.succeed(number, batch_id="b1") for number in range(1, 11)]
    for minute in range(60):
        post.desk.wait(minutes=1)
        if minute % 5 == 0:
            runs.append(post.succeed(100 + minute))
        if 10 <= minute < 40:
            runs.append(post.fail(200 + minute, Cause.CMS_DOWN))
        post.watch.turn()
        post.sent.clear()
    assert post.texts() == []
    post.slack.recover()
    post.look(times=5)

    rows = post.desk.stores.notices.list(limit=2000).items
    assert sorted(row.run_id for row in rows if row.run_id) == sorted(run.id for run in runs)
    assert {row.state for row in rows} <= {NoticeState.SENT, NoticeState.MERGED, NoticeState.LEFT}
    firsts = [text.splitlines()[0] for text in post.texts()]
    assert len(firsts) <= 6
    assert sum("Batch nightly" in text for text in post.texts()) == 1
    assert sum("CMS" in first or "cms" in first for first in firsts) >= 1
    assert sum("notices from" in first for first in firsts) == 1


@pytest.mark.parametrize(("entry_id", "digests"), [(None, 0), ("nightly", 1)])
def test_a_small_batch_is_told_run_by_run_and_has_a_digest_only_of_a_schedule(
    post: Post, redis_client: redis.Redis, namespace: str, entry_id: str | None, digests: int
) -> None:
    Batches(redis_client, namespace).save(
        Batch(
            id="b1",
            starts_at=post.desk.clock.now(),
            requested_by="ops",
            entry_id=entry_id,
            state=BatchState.SENT,
            total=4,
            sent=4,
        )
    )
    for number in range(1, 5):
        post.succeed(number, batch_id="b1")
    post.work()
    assert len(post.texts()) == 4
    post.look()
    assert len(post.texts()) == 4 + digests


def test_a_batch_is_told_once_when_its_last_run_has_ended(
    post: Post, redis_client: redis.Redis, namespace: str
) -> None:
    batches = Batches(redis_client, namespace)
    batch = Batch(
        id="b1",
        starts_at=post.desk.clock.now(),
        requested_by="scheduler",
        entry_id="nightly",
        state=BatchState.SENT,
        total=6,
        sent=6,
        coalesced=1,
    )
    batches.save(batch)
    for number in range(1, 4):
        post.succeed(number, batch_id="b1")
    post.fail(4, Cause.PROVIDER_DOWN, batch_id="b1")
    post.work()
    post.look()
    assert [text.splitlines()[0] for text in post.texts()] == ["Sync of club 4 failed"]
    post.fail(
        5,
        Cause.BUG,
        batch_id="b1",
        state=RunState.PARTIAL,
        message="games: 70 removals are held back",
        plan_hash="h",
        stages={Stage.GAMES: StageReport(outcome=Outcome.PARTIAL, held=70)},
    )
    post.work()
    post.look(times=3)
    digests = [text for text in post.texts() if text.startswith("Batch nightly")]
    assert len(digests) == 1
    lines = digests[0].splitlines()
    assert lines[0].endswith("3 succeeded, 1 partial, 1 failed of 6 accounts")
    assert lines[1] == "1 had a sync already and got none of their own."
    assert "• 1: provider down (them: the provider)" in lines
    assert "• account 4: it did not answer" in lines
    assert "Waits for a person: run r5" in lines
    assert lines[-2].startswith("Slowest: ")


def test_accounts_beyond_the_target_of_their_class_are_found_in_one_query(desk: Desk) -> None:
    stores = desk.stores
    targets = load(
        {
            "CLUBSYNC_FRESHNESS__GOLD__TARGET_S": "3600",
            "CLUBSYNC_FRESHNESS__GOLD__TAGS": "gold",
            "CLUBSYNC_FRESHNESS__LEAGUES__TARGET_S": "7200",
            "CLUBSYNC_FRESHNESS__LEAGUES__TYPES": "association",
        }
    ).settings.freshness
    kinds = [
        OrganisationKind.CLUB,
        OrganisationKind.CLUB,
        OrganisationKind.ASSOCIATION,
        OrganisationKind.CLUB,
    ]
    tags = [("gold",), (), ("gold",), ()]
    accounts = [
        stores.accounts.add(
            NewAccount(kind=kind, name=f"A{n}", provider="playhq", organisation_id=f"o{n}", tags=tag)
        )
        for n, (kind, tag) in enumerate(zip(kinds, tags, strict=True))
    ]
    now = desk.clock.now()
    for account in accounts[:3]:
        stores.runs.save(
            finished(
                id=f"r{account.id}",
                account_id=account.id,
                finished_at=now - timedelta(minutes=90),
                preset="full",
            )
        )
        stores.runs.save(
            finished(id=f"d{account.id}", account_id=account.id, finished_at=now, preset="minimal")
        )
    total, stale = stores.freshness.stale(targets, presets=["full"], limit=10)
    assert (total, [account.name for account in stale]) == (2, ["A0", "A2"])
    assert [account.target_s for account in stale] == [3600.0, 3600.0]
    desk.wait(hours=40)
    total, stale = stores.freshness.stale(targets, presets=["full"], limit=2)
    assert (total, len(stale)) == (4, 2)
    assert stores.freshness.stale({}, presets=["full"], limit=2) == (0, ())


def test_how_a_canary_ended_is_told_once_and_is_over_by_itself(post: Post) -> None:
    at = post.desk.clock.now()
    failed = canary.Ending(number=4, outcome=canary.Outcome.WITHDRAWN, at=at, reason="8 of 10 failed")
    post.endings = {
        2: replace(failed, number=2, at=at - timedelta(days=1)),
        4: failed,
        5: replace(failed, number=5, outcome=canary.Outcome.PROMOTED, reason="0 of 10 failed"),
    }
    post.look(times=3)
    assert [text.splitlines()[0] for text in post.texts()] == [
        "Warning: Version 4 of the settings was taken back after its trial: 8 of 10 failed.",
        "Info: Version 5 of the settings is in force everywhere after its trial: 0 of 10 failed.",
    ]
    assert {one.key for one in post.desk.stores.incidents.current()} == {"canary:4", "canary:5"}
    post.desk.wait(minutes=20)
    post.look(times=3)
    assert post.desk.stores.incidents.current() == []


def test_settings_of_alerts_are_checked() -> None:
    assert isinstance(DEFAULTS, Settings)
    with pytest.raises(Exception, match="failure_error_share"):
        load({"CLUBSYNC_ALERTS__FAILURE_SHARE": "0.7"})
