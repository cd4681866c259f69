"""Every act of the dashboard, by hand: it asks, says what it did, has done it, and is in the audit."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import ANY

import pytest
from playwright.sync_api import Locator, Page, expect

from brokers.mass_retry import MassRetryState
from brokers.queues import Priority
from providers.recording import Recording, recording_path
from stores.redis.registry import describe_process
from stores.sql.tokens import Role
from sync.by_hand.approval import DecisionVerdict
from sync.clock import SystemClock
from tests.integration.web.conftest import Site
from tests.integration.web.runs import MOVED, hold_removals, plan_dry
from tests.integration.web.test_dashboard import kill_two
from tests.integration.web.test_deciding import refuse_a_change
from web.dashboard.acts import ACTS

pytestmark = pytest.mark.browser

SYNC = {"mode": "club", "id": 1}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the site looks for recordings."""
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    return tmp_path


@dataclass
class Person:
    """Somebody at a page, who answers its questions with Yes."""

    page: Page
    site: Site

    def does(
        self,
        act: str,
        *,
        says: str | re.Pattern[str],
        subject: str | None,
        noted: str | None = None,
        within: Locator | None = None,
    ) -> None:
        """Press the act's button; `noted` is what the audit calls an act that writes its own line."""
        form = (within or self.page.locator("body")).locator(f'form[action="/acts/{act}"]')
        form.get_by_role("button").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("?")
        with self.page.expect_navigation():
            dialog.get_by_role("button", name="Yes").click()
        expect(self.page.get_by_role("status")).to_have_text(says)
        line = self.site.stores.audit.list(limit=1).items[0]
        expected = ("dashboard", "local", noted or ACTS[act].noted_as, subject)
        assert (line.source, line.actor, line.action, line.subject) == expected


@pytest.fixture
def person(page: Page, site: Site) -> Person:
    return Person(page, site)


def order_sync(site: Site) -> None:
    with site.client() as client:
        assert client.post("/api/v1/syncs", json=SYNC).is_success


def change_settings(site: Site, read_timeout_s: int, **how: int) -> None:
    change = {"changes": {"http.read_timeout_s": read_timeout_s}, "reason": "patience", **how}
    with site.client() as client:
        assert client.patch("/api/v1/config", json=change).is_success
    site.reloader.look()


def version_in_force(site: Site) -> int | None:
    site.reloader.look()
    return site.reloader.in_force.number


def test_this_file_leaves_out_no_act() -> None:
    story = Path(__file__).read_text()
    assert [name for name in ACTS if f'does("{name}"' not in story] == []


def test_a_queue_is_paused_resumed_and_purged(person: Person, page: Page, site: Site) -> None:
    order_sync(site)
    page.goto("/queues")
    syncs = page.locator("tr#syncs")
    paused = "syncs is paused; what runs goes on."
    person.does("pause_queue", within=syncs, says=paused, subject="queue:syncs")
    assert site.operations.queue("syncs").is_paused
    person.does("resume_queue", within=syncs, says="syncs runs.", subject="queue:syncs")
    assert not site.operations.queue("syncs").is_paused
    purged = "1 message of syncs deleted; 1 run cancelled."
    person.does("purge_queue", within=syncs, says=purged, subject="queue:syncs")
    assert site.waiting() == 0


def test_a_dead_letter_is_sent_again_edited_and_deleted(person: Person, page: Page, site: Site) -> None:
    order_sync(site)
    letter = site.kill("syncs")
    page.goto("/dead")
    person.does("retry_dead", says="It waits again.", subject=f"message:{letter}")
    assert site.waiting() == 1

    assert site.kill("syncs") == letter
    page.goto(f"/dead/{letter}")
    page.get_by_text("Retry with another payload").click()
    page.get_by_role("textbox", name="Payload").fill('{"preset": "quick"}')
    page.get_by_role("combobox", name="Priority").select_option("urgent")
    person.does("edit_dead", says="It waits again, as written.", subject=f"message:{letter}")
    assert site.operations.queue("syncs").waiting[Priority.URGENT] == 1

    assert site.kill("syncs") == letter
    page.goto(f"/dead/{letter}")
    person.does("delete_dead", says="It is deleted; 1 run cancelled.", subject=f"message:{letter}")
    expect(page.get_by_text("There are none")).to_be_visible()
    assert site.operations.queue("syncs").dead == 0


def test_a_mass_retry_is_begun_and_stopped_and_its_group_deleted(
    person: Person, page: Page, site: Site
) -> None:
    with site.client() as client:
        kill_two(client, site)
    page.goto("/dead")
    person.does("mass_retry", says="2 of 2 are sent again.", subject=ANY)
    (retry,) = site.services.mass_retries.list()
    assert retry.total == 2
    person.does("stop_mass_retry", says="It sends nothing more.", subject=f"mass-retry:{retry.id}")
    site.services.mass_retries.drive("test")
    assert site.services.mass_retries.find(retry.id).state is MassRetryState.STOPPED
    assert site.waiting() == 0

    person.does("delete_group", says="2 dead letters are deleted; 2 runs cancelled.", subject=None)
    assert site.operations.queue("syncs").dead == 0


def test_a_sync_is_found_by_its_account_and_asked_for(person: Person, page: Page, site: Site) -> None:
    page.goto("/accounts")
    page.get_by_label("Name").fill("rov")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Rovers").click()
    page.get_by_label("restart").check()
    page.get_by_label("Preset").select_option("quick")
    page.get_by_label("Priority").select_option("urgent")
    person.does("sync", says="Queued.", noted="sync_club", subject="account:1")
    assert site.operations.queue("syncs").waiting[Priority.URGENT] == 1
    run = site.stores.runs.find(page.url.rpartition("/")[2])
    assert (run.account_id, run.preset, run.dry_run) == (1, "quick", False)


def test_a_run_is_decided_on_taken_back_replayed_and_carried_away(
    person: Person, page: Page, site: Site, home: Path
) -> None:
    hold_removals(site.stores)
    plan_dry(site.stores, MOVED)
    Recording(recording_path(home, "first")).append("playhq", "/v1/anything", b"{}")

    page.goto("/runs/held")
    person.does("undo_run", says="1 change is taken back.", noted="runs_undo", subject="run:held")
    assert site.stores.mirror.find_games(["game-3"])["game-3"].round == "Round 3"
    page.goto("/runs/held")
    person.does("approve_run", says="2 changes are written.", noted="runs_approve", subject="run:held")
    assert set(site.stores.mirror.read_removed_games(["game-1", "game-2"])) == {"game-1", "game-2"}

    page.goto("/runs/dry")
    rejected = "The plan is rejected by dashboard:local."
    person.does("reject_run", says=rejected, noted="runs_reject", subject="run:dry")
    decision = site.stores.decisions.find("dry")
    assert decision is not None
    assert decision.verdict is DecisionVerdict.REJECTED

    page.goto("/runs/first")
    replayed = re.compile("Replayed: the plan came out differently")
    person.does("replay_run", says=replayed, noted="runs_replay", subject="run:first")
    with page.expect_download() as download:
        page.get_by_role("link", name="Recording").click()
    assert download.value.suggested_filename == "run-first.jsonl.gz"
    assert b"/v1/anything" in gzip.decompress(download.value.path().read_bytes())


def test_what_the_cms_refused_is_brought_to_it_again(person: Person, page: Page, site: Site) -> None:
    outbox = refuse_a_change(site)
    page.goto("/runs/first")
    person.does("retry_run", says=re.compile("1 change"), noted="runs_retry", subject="run:first")
    assert [one.change.record_id for one in outbox.first(10)] == ["game-3"]


def test_a_worker_is_quieted_woken_and_stopped(person: Person, page: Page, site: Site, worker: str) -> None:
    page.goto("/workers")
    says, subject = f"{worker} does so within a heartbeat.", f"worker:{worker}"
    person.does("quiet_worker", says=says, subject=subject)
    assert site.operations.workers()[0].is_quiet
    person.does("wake_worker", says=says, subject=subject)
    assert not site.operations.workers()[0].is_quiet
    person.does("stop_worker", says=says, subject=subject)
    assert site.operations.workers()[0].is_stopping


def test_a_schedule_is_paused_resumed_and_run(person: Person, page: Page, site: Site) -> None:
    page.goto("/schedules")
    nightly = page.get_by_role("row").filter(has=page.get_by_role("cell", name="nightly", exact=True))
    subject = "schedule:nightly"
    person.does("pause_schedule", within=nightly, says="nightly is paused.", subject=subject)
    assert site.services.schedule.states()["nightly"].pause is not None
    person.does("resume_schedule", within=nightly, says="nightly is resumed.", subject=subject)
    states = site.services.schedule.states()
    assert "nightly" not in states or states["nightly"].pause is None
    runs = "nightly runs within about a second."
    person.does("run_schedule", within=nightly, says=runs, subject=subject)
    (asked,) = site.services.schedule.asked()
    assert (asked.entry_id, asked.requested_by) == ("nightly", "dashboard:local")


def test_a_batch_is_started_and_cancelled(person: Person, page: Page, site: Site) -> None:
    page.goto("/batches")
    page.get_by_label("Tag").fill("trial")
    page.get_by_label("Type").select_option("club")
    person.does("batch", says="The scheduler takes it within a second.", subject=ANY)
    (batch,) = site.services.batches.asked()
    assert (batch.types, batch.tags) == (("club",), ("trial",))
    withdrawn = "What waits is withdrawn within a second; what runs goes on."
    person.does("cancel_batch", says=withdrawn, subject=f"batch:{batch.id}")
    assert [one.batch_id for one in site.services.batches.cancellations()] == [batch.id]


def test_settings_are_restored(person: Person, page: Page, site: Site) -> None:
    change_settings(site, 3)
    page.goto("/config")
    restored = "Version 3 is in force; it restores 1."
    person.does("restore_config", says=restored, subject="config:3")
    assert version_in_force(site) == 3


def test_a_canary_is_promoted_and_another_taken_back(person: Person, page: Page, site: Site) -> None:
    site.services.registry.beat(describe_process("worker", SystemClock()))
    change_settings(site, 3, canary_s=60)
    page.goto("/config")
    person.does("promote_canary", says="Version 2 is promoted.", subject="config:2")
    assert version_in_force(site) == 2
    change_settings(site, 4, canary_s=60)
    page.goto("/config")
    person.does("withdraw_canary", says="Version 3 is withdrawn.", subject="config:3")
    assert version_in_force(site) == 2


def sign_in(page: Page, secret: str) -> None:
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()


def test_somebody_signs_in_sees_what_they_may_do_and_signs_out(page: Page, site: Site) -> None:
    secret = site.tokens.issue("ann", Role.OPERATE)[1]
    with site.client(Role.SEND) as sender:
        assert sender.post("/api/v1/syncs", json=SYNC).is_success
    page.goto("/queues")
    sign_in(page, secret)
    syncs = page.locator("tr#syncs")
    expect(syncs.get_by_role("button", name="Pause")).to_be_visible()
    expect(syncs.get_by_role("button", name="Purge")).to_have_count(0)
    page.get_by_role("button", name="ann (operate): sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/queues")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    acts = [(line.actor, line.action) for line in site.stores.audit.list(limit=2).items]
    assert acts == [("ann", "sign_out"), ("ann", "sign_in")]


def test_a_live_page_whose_session_ended_leads_back_to_itself(
    page: Page, site: Site, complaints: list[str]
) -> None:
    first, secret = site.tokens.issue("ann", Role.OPERATE)
    other = site.tokens.issue("bob", Role.OPERATE)[1]
    page.goto("/queues")
    sign_in(page, secret)
    page.wait_for_load_state()
    site.tokens.revoke(first.id)
    page.evaluate("refresh()")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, other)
    expect(page.get_by_role("button", name="bob (operate): sign out")).to_be_visible()
    # The browser tells of the stream that was refused meanwhile.
    complaints[:] = [one for one in complaints if "401 (Unauthorized)" not in one]
