"""Why an account is not synced, each gate closed by the real thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import redis
from dramatiq import Consumer

from brokers.messages import parse
from brokers.publisher import Publisher
from stores.redis.breakers import FAILURES_TO_OPEN, RedisBreakers
from stores.redis.leadership import Leadership
from stores.redis.quotas import RedisLedgers
from stores.redis.registry import describe_process
from sync.causes import Cause
from sync.clock import SystemClock
from sync.report import Run, RunState
from tests.conftest import Eventually
from tests.integration.web.conftest import CLUB_ID, Site
from tests.integration.web.runs import a_run, hold_removals
from web.health import Check, Checkup, Finding, Status


def why(client: httpx.Client) -> dict[str, object]:
    answer: dict[str, object] = client.get("/api/v1/accounts/1/why").json()
    return answer


def order(client: httpx.Client, **body: object) -> str:
    return str(client.post("/api/v1/syncs", json={"mode": "club", "id": 1, **body}).json()["run_id"])


def living_worker(site: Site, *queues: str) -> Iterator[None]:
    process = site.broker.new_process(threads=8, queues=queues)
    process.beat()
    yield
    process.leave()
    process.end_beats()


@pytest.fixture
def worker(site: Site) -> Iterator[None]:
    """One that is alive and serves syncs, although it asks for none."""
    yield from living_worker(site, "syncs")


@pytest.fixture
def worker_of_other_queues(site: Site) -> Iterator[None]:
    yield from living_worker(site, "notifications")


@pytest.mark.usefixtures("worker_of_other_queues")
def test_nobody_works_on_its_queue(client: httpx.Client) -> None:
    order(client)
    answer = why(client)
    assert (answer["gate"], "of syncs" in str(answer["text"])) == ("no worker", True)


def test_nobody_works(client: httpx.Client) -> None:
    run_id = order(client)
    answer = why(client)
    assert (answer["gate"], answer["run_id"], answer["eta_s"]) == ("no worker", run_id, None)


@pytest.mark.usefixtures("worker")
def test_somebody_paused_the_queue(client: httpx.Client) -> None:
    order(client)
    client.post("/api/v1/queues/syncs/pause")
    answer = why(client)
    assert answer["gate"] == "paused"
    assert "by local at" in str(answer["text"])


@pytest.mark.usefixtures("worker")
def test_others_are_ahead(client: httpx.Client) -> None:
    client.post("/api/v1/syncs", json={"mode": "association", "id": 2, "priority": "urgent"})
    order(client)
    answer = why(client)
    assert (answer["gate"], answer["text"]) == ("queue", "1 message of syncs starts before it.")


@pytest.mark.usefixtures("worker")
def test_it_is_next(client: httpx.Client) -> None:
    order(client)
    assert why(client)["gate"] == "next"


def lend(site: Site, client: httpx.Client) -> tuple[Consumer, str]:
    """The account's message is lent to a worker."""
    run_id = order(client)
    consumer = site.broker.consume("syncs", timeout=5000)
    assert next(consumer) is not None
    run = site.stores.runs.find(run_id)
    site.stores.runs.save(replace(run, state=RunState.RUNNING, started_at=site.services.clock.now()))
    return consumer, run_id


def test_it_runs(client: httpx.Client, site: Site) -> None:
    consumer, run_id = lend(site, client)
    answer = why(client)
    consumer.close()
    assert (answer["gate"], answer["run_id"]) == ("none", run_id)


def test_another_run_has_the_organisation(client: httpx.Client, site: Site) -> None:
    consumer, _ = lend(site, client)
    site.stores.runs.save(a_run("direct", state=RunState.RUNNING, account_id=None, finished_at=None))
    with site.services.leases.hold(f"playhq:{CLUB_ID}", owner="direct"):
        answer = why(client)
    consumer.close()
    assert answer["gate"] == "leased"


def test_somebody_writes_by_hand(client: httpx.Client, site: Site) -> None:
    consumer, _ = lend(site, client)
    with site.services.by_hand.hold(a_run("of")):
        answer = why(client)
    consumer.close()
    assert (answer["gate"], "by hand" in str(answer["text"])) == ("leased", True)


def test_the_provider_throttles(
    client: httpx.Client, site: Site, redis_client: redis.Redis, namespace: str
) -> None:
    consumer, _ = lend(site, client)
    ledgers = RedisLedgers(redis_client, namespace)
    ledgers.ledger("playhq:some-key", requests_per_s=5, concurrency=2).pause(60)
    answer = why(client)
    consumer.close()
    assert answer["gate"] == "quota"
    assert 50 < float(str(answer["eta_s"])) <= 60


def test_the_provider_is_down(
    client: httpx.Client, site: Site, redis_client: redis.Redis, namespace: str
) -> None:
    consumer, _ = lend(site, client)
    breaker = RedisBreakers(redis_client, namespace).breaker("provider.example")
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    answer = why(client)
    consumer.close()
    assert answer["gate"] == "breaker"


@pytest.mark.usefixtures("worker")
def test_as_many_run_as_the_queue_may(client: httpx.Client, site: Site) -> None:
    consumer, _ = lend(site, client)
    site.operations.set_limit("syncs", 1)
    run_id = client.post("/api/v1/syncs", json={"mode": "association", "id": 2}).json()["run_id"]
    answer = client.get("/api/v1/accounts/2/why").json()
    site.operations.set_limit("syncs", None)
    freed = client.get("/api/v1/accounts/2/why").json()
    consumer.close()
    assert (answer["gate"], answer["run_id"], freed["gate"]) == ("limit", run_id, "next")


def send_later(site: Site, delay_s: float, **fields: object) -> Run:
    request = parse({"actor": "sync_club", "account_id": 1, **fields})
    presets = site.services.settings().presets
    publisher = Publisher(
        site.broker, runs=site.stores.runs, presets=lambda: presets, clock=site.services.clock
    )
    return site.stores.runs.find(publisher.send(request, delay_s=delay_s).run_id or "")


@pytest.mark.usefixtures("worker")
def test_its_batch_is_spread(client: httpx.Client, site: Site) -> None:
    send_later(site, 600, batch_id="night")
    answer = why(client)
    assert answer["gate"] == "spread"
    assert 500 < float(str(answer["eta_s"])) <= 600


@pytest.mark.usefixtures("worker")
def test_it_is_tried_again_later(client: httpx.Client, site: Site) -> None:
    run = send_later(site, 60)
    site.stores.runs.save(replace(run, state=RunState.DEFERRED, message="the provider answered 503"))
    answer = why(client)
    assert (answer["gate"], answer["text"]) == ("delayed", "It is due later (the provider answered 503).")
    assert 0 < float(str(answer["eta_s"])) <= 60


def test_its_worker_was_lost(client: httpx.Client, site: Site, redis_client: redis.Redis) -> None:
    consumer, run_id = lend(site, client)
    assert why(client)["gate"] == "none"
    # What becomes of a killed worker's lease a few seconds later.
    redis_client.delete(*redis_client.scan_iter(f"*{site.broker.namespace}*:process:*"))
    answer = why(client)
    consumer.close()
    assert (answer["gate"], answer["run_id"]) == ("worker lost", run_id)


def test_its_schedule_comes_and_nothing_comes_once_nobody_leads(
    client: httpx.Client, site: Site, redis_client: redis.Redis, namespace: str
) -> None:
    leadership, now = Leadership(redis_client, namespace), site.services.clock.now()
    leadership.take("scheduler-1", 60)
    site.services.schedule.begin("nightly", "its trigger", now, owner="scheduler-1")
    site.services.schedule.foretell("nightly", now + timedelta(hours=2))
    answer = why(client)
    leadership.give_up("scheduler-1")

    assert (answer["gate"], "nightly is next" in str(answer["text"])) == ("scheduled", True)
    assert 7000 < float(str(answer["eta_s"])) <= 7200
    assert why(client)["gate"] == "no scheduler"


def test_its_message_is_dead(client: httpx.Client, site: Site) -> None:
    order(client)
    site.kill("syncs")
    assert why(client)["gate"] == "gone"


def test_a_person_has_to_decide(client: httpx.Client, site: Site) -> None:
    run = hold_removals(site.stores)
    answer = why(client)
    assert (answer["gate"], answer["run_id"]) == ("held", "held")
    client.post("/api/v1/runs/held/reject", json={"plan_hash": run.plan_hash})
    assert why(client)["gate"] == "no scheduler"


def test_its_schedule_is_paused(client: httpx.Client) -> None:
    client.post("/api/v1/schedules/nightly/pause")
    answer = why(client)
    assert (answer["gate"], "by api:local" in str(answer["text"])) == ("schedule paused", True)


def test_an_approval_was_cut_off(client: httpx.Client, site: Site, eventually: Eventually) -> None:
    hold_removals(site.stores)
    begun = site.services.by_hand.new_run(site.stores.runs.find("held"), "approval")
    site.stores.runs.save(begun)
    eventually(lambda: why(client)["gate"] == "interrupted")


def test_the_timelines_tell_what_happened(client: httpx.Client, site: Site) -> None:
    run = hold_removals(site.stores)
    client.post("/api/v1/runs/held/reject", json={"plan_hash": run.plan_hash})
    of_account = client.get("/api/v1/accounts/1/timeline").json()["items"]
    assert {event["kind"] for event in of_account} >= {"run", "change", "act"}
    of_run = {event["text"] for event in client.get("/api/v1/runs/held/timeline").json()["items"]}
    assert "club sync, full: asked for" in of_run
    assert any("rejected by api:local" in text for text in of_run)


def test_changes_are_found_by_what_they_are(client: httpx.Client, site: Site) -> None:
    hold_removals(site.stores)

    def found(**params: str) -> set[str]:
        answer = client.get("/api/v1/runs/held/changes", params=params)
        return {change["record_id"] for change in answer.json()["items"]}

    assert found(applied="false") == {"game-1", "game-2"}
    assert found(action="updated") == {"game-3"}
    assert found(kind="game", record_id="game-2") == {"game-2"}
    history = client.get("/api/v1/accounts/1/changes", params={"kind": "game", "record_id": "game-3"}).json()
    assert [(one["run_id"], one["action"], one["cause"]) for one in history["items"]] == [
        ("held", "updated", "provider"),
        ("first", "created", "provider"),
    ]


def test_a_cms_that_is_away_is_named_before_the_schedule(site: Site, client: httpx.Client) -> None:
    away = Check(
        name="cms", ask=lambda: Finding(status=Status.FAIL, hint="the CMS answered 503"), is_required=True
    )
    site.app.state.checkup = Checkup([away])
    answer = why(client)
    assert (answer["gate"], "cms: the CMS answered 503" in str(answer["text"])) == ("outage", True)
    assert "cms: the CMS answered 503" in client.get("/accounts/1").text


def test_a_refused_key_says_what_to_mend(site: Site, client: httpx.Client) -> None:
    cause, message = Cause.PROVIDER_REFUSES_KEY, "the provider refuses our key (401)."
    site.stores.runs.save(a_run("refused", state=RunState.FAILED, cause=cause, message=message))
    answer = why(client)
    assert answer["gate"] == "to be mended"
    assert "Put the right key into the settings" in str(answer["text"])


def test_a_worker_that_fell_silent_is_named(
    site: Site, client: httpx.Client, redis_client: redis.Redis, namespace: str
) -> None:
    service = describe_process("worker", SystemClock())
    site.services.registry.beat(service)
    redis_client.delete(f"{{{namespace}}}:services:{service.id}")
    site.services.registry.list()
    order(client)
    assert f"{service.id} is registered but silent" in str(why(client)["text"])
