"""Approving, rejecting, taking back and replaying runs over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from stores.sql.outbox import SqlOutbox
from stores.sql.tokens import Role
from sync.errors import CmsUnavailable
from sync.report import Outcome, RunState, Stage, StageReport
from tests.integration.web.conftest import CLUB_ID, Site
from tests.integration.web.runs import FENCE, HELD, MOVED, a_run, hold_removals, plan_dry, store_family
from tests.records import game, updated

RUNS = "/api/v1/runs"


@pytest.fixture
def plan_hash(site: Site) -> str:
    return hold_removals(site.stores).plan_hash or ""


def approve(client: httpx.Client, run_id: str, plan_hash: str, **headers: str) -> httpx.Response:
    return client.post(f"{RUNS}/{run_id}/approve", json={"plan_hash": plan_hash}, headers=headers)


def removed(site: Site) -> set[str]:
    return set(site.stores.mirror.read_removed_games(["game-1", "game-2", "game-3"]))


def test_the_plan_tells_what_waits_and_its_etag_binds_the_approval(
    client: httpx.Client, site: Site, plan_hash: str
) -> None:
    answer = client.get(f"{RUNS}/held/plan")
    plan = answer.json()
    assert answer.headers["ETag"] == f'"{plan_hash}"'
    assert (plan["change_count"], plan["kept_count"], plan["decision"]) == (2, 0, None)
    assert {change["record_id"] for change in plan["changes"]} == {"game-1", "game-2"}
    assert plan["holds"][0]["guard"] == "removals"

    done = client.post(f"{RUNS}/held/approve", headers={"If-Match": answer.headers["ETag"]})
    assert done.status_code == 200
    body = done.json()
    assert (body["run"]["preset"], body["run"]["of_run_id"], body["is_repeat"]) == ("approval", "held", False)
    assert removed(site) == {"game-1", "game-2"}
    assert client.get(f"{RUNS}/held/plan").json()["decision"]["decided_by"] == "api:local"
    line = site.stores.audit.list(limit=1).items[0]
    assert (line.action, line.subject, line.source) == ("runs_approve", "run:held", "api")


def test_without_a_hash_or_with_another_one_nothing_is_written(
    client: httpx.Client, site: Site, plan_hash: str
) -> None:
    assert client.post(f"{RUNS}/held/approve").status_code == 428
    assert approve(client, "held", "0123").status_code == 412
    foreign = client.post(
        f"{RUNS}/held/approve", json={"plan_hash": plan_hash}, headers={"If-Match": '"0123"'}
    )
    assert foreign.status_code == 412
    assert removed(site) == set()


def test_a_second_approval_says_that_it_is_one(client: httpx.Client, plan_hash: str) -> None:
    first = approve(client, "held", plan_hash).json()
    second = approve(client, "held", plan_hash)
    assert second.status_code == 200
    assert (second.json()["is_repeat"], second.json()["change_count"]) == (True, 0)
    assert second.json()["run"]["id"] == first["run"]["id"]


def test_the_same_idempotency_key_gets_the_same_answer(
    client: httpx.Client, site: Site, plan_hash: str
) -> None:
    first = approve(client, "held", plan_hash, **{"Idempotency-Key": "a"}).json()
    assert approve(client, "held", plan_hash, **{"Idempotency-Key": "a"}).json() == first
    assert not first["is_repeat"]
    other = client.post(f"{RUNS}/held/undo", headers={"Idempotency-Key": "a"})
    assert other.status_code == 422
    assert "different request" in other.json()["errors"][0]["detail"]


def test_two_people_at_once_write_it_once(site: Site, plan_hash: str) -> None:
    with site.client() as one, site.client() as other, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: approve(client, "held", plan_hash), (one, other)))
    told = sorted((answer.status_code, answer.json().get("is_repeat")) for answer in answers)
    assert told in ([(200, False), (200, True)], [(200, False), (409, None)])
    acts = [line for line in site.stores.audit.list(limit=10).items if line.action == "runs_approve"]
    assert len(acts) == 1


def test_a_rejected_plan_stays_rejected(client: httpx.Client, site: Site, plan_hash: str) -> None:
    answer = client.post(f"{RUNS}/held/reject", json={"plan_hash": plan_hash})
    assert answer.json()["verdict"] == "rejected"
    refused = approve(client, "held", plan_hash)
    assert refused.status_code == 409
    assert "rejected by api:local" in refused.json()["detail"]
    assert removed(site) == set()


def test_beside_a_sync_of_the_same_organisation_it_waits(
    client: httpx.Client, site: Site, plan_hash: str
) -> None:
    with site.services.leases.hold(f"playhq:{CLUB_ID}", owner="a sync"):
        refused = approve(client, "held", plan_hash)
    assert refused.status_code == 409
    assert int(refused.headers["Retry-After"]) > 0
    assert approve(client, "held", plan_hash).status_code == 200


def test_a_cms_that_is_away_is_said_and_the_rest_is_written_later(
    client: httpx.Client, site: Site, plan_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise CmsUnavailable("the CMS did not answer")

    with monkeypatch.context() as patched:
        patched.setattr(site.stores.mirror, "apply", away)
        refused = approve(client, "held", plan_hash)
    assert refused.status_code == 503
    act = site.stores.runs.find_act("held", "approval")
    assert act is not None
    assert act.state is RunState.DEFERRED

    again = approve(client, "held", plan_hash).json()
    assert (again["run"]["id"], again["run"]["state"], again["is_repeat"]) == (act.id, "succeeded", False)
    assert removed(site) == {"game-1", "game-2"}


def test_a_dry_runs_plan_is_written_or_refused_once_the_world_has_changed(
    client: httpx.Client, site: Site
) -> None:
    store_family(site.stores)
    plan = (MOVED, updated(game("game-1"), game("game-1", round="Final")))
    dry = plan_dry(site.stores, *plan)
    edited = updated(game("game-1"), game("game-1", status="ABANDONED"))
    site.stores.mirror.apply("first", Stage.GAMES, [edited], fence=FENCE)
    assert client.get(f"{RUNS}/dry/plan").json()["is_outdated"]
    refused = approve(client, "dry", dry.plan_hash or "")
    assert refused.status_code == 409
    assert "game-1: it was edited since" in refused.json()["detail"]
    assert site.stores.mirror.find_games(["game-3"])["game-3"].round == "Round 3"

    back = updated(game("game-1", status="ABANDONED"), game("game-1"))
    site.stores.mirror.apply("first", Stage.GAMES, [back], fence=FENCE)
    assert approve(client, "dry", dry.plan_hash or "").json()["change_count"] == 2
    assert {one.round for one in site.stores.mirror.find_games(["game-1", "game-3"]).values()} == {"Final"}


def test_undo_of_an_undo(client: httpx.Client, site: Site, plan_hash: str) -> None:
    assert plan_hash
    first = client.post(f"{RUNS}/held/undo").json()
    assert site.stores.mirror.find_games(["game-3"])["game-3"].round == "Round 3"
    second = client.post(f"{RUNS}/{first['run']['id']}/undo").json()
    assert second["run"]["of_run_id"] == first["run"]["id"]
    assert site.stores.mirror.find_games(["game-3"])["game-3"].round == "Final"
    again = client.post(f"{RUNS}/{first['run']['id']}/undo").json()
    assert (again["run"], again["is_repeat"]) == (None, True)
    actions = [line.action for line in site.stores.audit.list(limit=10).items]
    assert actions == ["runs_undo", "runs_undo"]


@pytest.mark.parametrize("act", ["plan", "approve", "reject", "undo", "replay", "recording"])
def test_an_unknown_run_is_404(client: httpx.Client, act: str) -> None:
    if act in ("plan", "recording"):
        answer = client.get(f"{RUNS}/none/{act}")
    else:
        answer = client.post(f"{RUNS}/none/{act}", json={"plan_hash": "0123"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_run_that_waits_for_nothing_says_so(client: httpx.Client, site: Site) -> None:
    store_family(site.stores)
    answer = client.get(f"{RUNS}/first/plan")
    assert answer.status_code == 422
    assert "holds nothing back" in answer.json()["errors"][0]["detail"]


def test_a_run_that_was_not_recorded_cannot_be_replayed(client: httpx.Client, site: Site) -> None:
    store_family(site.stores)
    answer = client.post(f"{RUNS}/first/replay")
    assert answer.status_code == 404
    assert "http.records_runs" in answer.json()["detail"]


def test_who_only_sends_may_not_decide(site: Site, plan_hash: str) -> None:
    with site.client(Role.SEND) as sender:
        assert approve(sender, "held", plan_hash).status_code == 403
        assert sender.get(f"{RUNS}/held/plan").status_code == 200
    assert removed(site) == set()
    assert len(HELD) == 2


def refuse_a_change(site: Site) -> SqlOutbox:
    """The CMS has refused, at its delivery, what the run `first` was to write."""
    store_family(site.stores)
    outbox = SqlOutbox(site.stores.engine, site.services.clock, max_records=10)
    outbox.put("first", Stage.GAMES, [MOVED], fence=FENCE)
    outbox.refuse([(one, "no such round") for one in outbox.first(10)])
    report = StageReport(outcome=Outcome.PARTIAL, read=3, refused=1, refusal="game game-3: no such round")
    site.stores.runs.save(a_run("first", state=RunState.PARTIAL, stages={Stage.GAMES: report}))
    return outbox


def test_what_the_cms_refused_is_listed_and_tried_again_once(client: httpx.Client, site: Site) -> None:
    outbox = refuse_a_change(site)
    told = client.get(f"{RUNS}/first").json()
    (listed,) = client.get(f"{RUNS}/first/refused").json()["items"]
    page = client.get("/runs/first").text
    first = client.post(f"{RUNS}/first/retry").json()
    second = client.post(f"{RUNS}/first/retry").json()

    assert (listed["record_id"], listed["reason"], listed["stage"]) == ("game-3", "no such round", "games")
    assert (told["delivery"], told["stages"]["games"]["refused"]) == ("refused", 1)
    assert "the CMS refused game game-3: no such round" in page
    assert "What the CMS refused" in page
    assert 'action="/acts/retry_run"' in page
    assert (first["count"], second["count"]) == (1, 0)
    assert [one.change.record_id for one in outbox.first(10)] == ["game-3"]
    assert client.get(f"{RUNS}/first/refused").json()["items"] == []
    (line,) = [line for line in site.stores.audit.list(limit=10).items if line.action == "runs_retry"]
    assert (line.subject, line.source, line.detail["count"]) == ("run:first", "api", 1)
    assert client.post(f"{RUNS}/nothing/retry").status_code == 404
