"""`clubsync alerts` and `clubsync notices` at a terminal and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.alerts import alerts
from cli.notices import notices
from cli.status import status
from notifications.switches import mark_of
from settings.events import EVENTS
from settings.loader import load
from stores.redis.turns import Turns
from stores.sql.accounts import NewAccount
from stores.sql.stores import SqlStores, open_stores
from sync.causes import Cause, Party
from sync.clock import SystemClock
from sync.errors import InvalidRequest
from sync.incident import Alert, Incident, Severity
from sync.model import OrganisationKind
from sync.report import RunState
from tests.unit.notifications.builders import finished

NOW = SystemClock().now()


def incident(number: int, *, severity: Severity = Severity.ERROR, **fields: object) -> Incident:
    alert = Alert(
        kind="freshness",
        severity=severity,
        what="It is paused.",
        step="Resume it.",
        since=NOW,
        is_open=True,
    )
    return Incident(
        id=f"i{number}",
        key=f"queue:q{number}",
        title="It is paused.",
        party=Party.STORE,
        alerts=(alert,),
        first_seen_at=NOW - timedelta(minutes=number),
        seen_at=NOW,
        severity=severity,
        **{"opened_at": NOW - timedelta(minutes=number), **fields},  # type: ignore[arg-type]
    )


@pytest.fixture
def stores(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlStores:
    monkeypatch.setenv("DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    return open_stores(sqlite_engine, SystemClock())


def test_open_incidents_are_listed_and_make_it_fail(stores: SqlStores) -> None:
    stores.incidents.save(incident(4, severity=Severity.INFO))
    assert CliRunner().invoke(alerts, ["--json"]).exit_code == 0
    stores.incidents.drop("i4")
    stores.incidents.save(incident(1))
    stores.incidents.save(incident(2, resolved_at=NOW))
    stores.incidents.save(incident(3, opened_at=None))
    result = CliRunner().invoke(alerts, ["--json"])
    assert result.exit_code == 1
    assert [(one["id"], one["subject"], one["party"]) for one in json.loads(result.stdout)] == [
        ("i1", "queue:q1", "store")
    ]
    every = json.loads(CliRunner().invoke(alerts, ["--all", "--json"]).stdout)
    assert [(one["id"], one["state"]) for one in every] == [("i1", "open"), ("i2", "resolved")]
    shown = CliRunner().invoke(alerts, ["show", "i1"])
    assert "• It is paused.\n  Next: Resume it." in shown.stdout
    assert "queue:q1" in CliRunner().invoke(alerts).stdout


def test_accounts_beyond_their_target_are_listed(stores: SqlStores, monkeypatch: pytest.MonkeyPatch) -> None:
    new = NewAccount(kind=OrganisationKind.CLUB, name="Northside CC", provider="playhq", organisation_id="o1")
    account = stores.accounts.add(new)
    stores.runs.save(finished(account_id=account.id))
    monkeypatch.setenv("CLUBSYNC_FRESHNESS__MINE__TARGET_S", "0.001")
    told = json.loads(CliRunner().invoke(alerts, ["stale", "--json"]).stdout)
    assert told["total"] == 1
    assert told["accounts"][0]["fresh_at"] == "2026-11-23T03:00:09Z"


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_can_be_previewed(stores: SqlStores, event: str) -> None:
    result = CliRunner().invoke(notices, ["preview", event, "--channel", "mail"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("to mail: ")


def test_a_real_run_is_previewed_in_the_templates_words(
    stores: SqlStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.runs.save(finished(state=RunState.PARTIAL, message="one record is odd"))
    monkeypatch.setenv("CLUBSYNC_NOTIFICATIONS__TEMPLATES__MINE__TEXT", "$run_id: $outcome, $message")
    result = CliRunner().invoke(notices, ["preview", "--run", "r1"])
    assert result.stdout.endswith("r1: partial, one record is odd\n")
    wrong = CliRunner().invoke(notices, ["preview", "sync_failed", "--run", "r1"])
    assert wrong.exit_code == 2
    assert "ended as sync_partial" in wrong.output


def test_notices_are_listed_with_what_became_of_them(stores: SqlStores) -> None:
    stores.notices.add(
        key="k1",
        channel="slack",
        event="sync_failed",
        severity=Severity.ERROR,
        subject="Sync of club 3 failed",
        text="",
        fields={},
        left_to="the incident of proxy",
    )
    (told,) = json.loads(CliRunner().invoke(notices, ["list", "--json", "--state", "left"]).stdout)
    assert (told["key"], told["reason"]) == ("k1", "the incident of proxy")
    assert "Sync of club 3 failed" in CliRunner().invoke(notices, ["list"]).stdout


def test_a_channel_that_was_switched_off_is_listed_and_switched_on_by_hand(
    stores: SqlStores,
    redis_client: redis.Redis,
    redis_url: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    monkeypatch.setenv("CLUBSYNC_NOTIFICATIONS__WEBHOOK__URL", "https://hook.example/secret")
    monkeypatch.setenv("CLUBSYNC_NOTIFICATIONS__WEBHOOK__SECRET", "not shown")
    mark = mark_of(load().settings.notifications, "webhook")
    turns = Turns(redis_client, namespace)
    turns.switch_off("webhook", reason="post to the webhook: 410", at=NOW, settings=mark)

    def listed() -> dict[str, tuple[str, str | None]]:
        shown = json.loads(CliRunner().invoke(notices, ["channels", "--json"]).stdout)
        return {one["name"]: (one["state"], one["reason"]) for one in shown}

    assert listed()["webhook"] == ("off", "post to the webhook: 410")
    assert listed()["slack"] == ("not configured", None)
    assert "secret" not in CliRunner().invoke(notices, ["channels"]).output
    assert CliRunner().invoke(notices, ["switch-on", "webhook"]).exit_code == 0
    assert listed()["webhook"] == ("on", None)
    assert stores.audit.list(limit=1).items[0].action == "channel_switched_on"
    twice = CliRunner().invoke(notices, ["switch-on", "webhook"])
    assert isinstance(twice.exception, InvalidRequest)


def test_the_status_names_what_somebody_should_act_on(
    stores: SqlStores, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    stores.incidents.save(replace(incident(1), key="freshness"))
    stores.incidents.save(replace(incident(2, severity=Severity.WARNING), key="canary:3"))
    result = CliRunner().invoke(status, ["--json"])
    assert result.exit_code == 1
    told = {check["check"]: check for check in json.loads(result.stdout)["checks"]}
    assert (told["freshness"]["level"], told["freshness"]["hint"]) == ("act", "Resume it.")
    assert (told["canary 3"]["level"], told["canary 3"]["value"]) == ("look", "It is paused.")


def test_the_status_tells_a_refused_key_until_a_sync_succeeds(
    stores: SqlStores, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    refused = replace(
        finished(),
        state=RunState.FAILED,
        cause=Cause.PROVIDER_REFUSES_KEY,
        message="the provider refuses our key (401)",
        requested_at=NOW,
        finished_at=NOW,
    )
    stores.runs.save(refused)

    def told() -> dict[str, str]:
        checks = json.loads(CliRunner().invoke(status, ["--json"]).stdout)["checks"]
        return {check["value"]: check["hint"] for check in checks if check["check"].startswith("provider")}

    (hint,) = told().values()
    assert list(told()) == ["1 sync failed in the last hour: the provider refuses our key (401)."]
    assert "Put the right key into the settings" in hint
    stores.runs.save(replace(refused, state=RunState.SUCCEEDED, cause=None, message=None))
    assert told() == {}


def test_the_status_tells_a_cms_that_does_not_answer(
    stores: SqlStores, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    monkeypatch.setenv("CLUBSYNC_CMS__KIND", "strapi")
    monkeypatch.setenv("CLUBSYNC_CMS__STRAPI__TOKEN", "sesame")
    monkeypatch.setenv("CLUBSYNC_CMS__STRAPI__BASE_URL", "http://127.0.0.1:1/api/")
    result = CliRunner().invoke(status, ["--json"])
    told = [check for check in json.loads(result.stdout)["checks"] if check["check"] == "cms"]
    assert [check["is_good"] for check in told] == [False]
    assert "section cms" in told[0]["hint"]
