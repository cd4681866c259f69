"""Faults: which request meets one, and what each does to the answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from simulator.app import Simulator
from simulator.faults import Fault
from simulator.server import Answer, Delivery
from tests.unit.simulator.asking import get, make_simulator, post, read


@pytest.fixture
def simulator() -> Simulator:
    return make_simulator("club")


@pytest.fixture
def target(simulator: Simulator) -> str:
    return f"/v1/seasons/{simulator.world.association(0).seasons[0].id}/teams"


def meet(simulator: Simulator, target: str, **rule: Any) -> Answer:
    """The answer of a request that meets the fault."""
    assert post(simulator, "/_simulator/faults", rule).status == 200
    answer = get(simulator, target)
    assert answer.fault == rule["kind"]
    return answer


def test_throttling_comes_with_each_form_of_retry_after(simulator: Simulator, target: str) -> None:
    seconds = meet(simulator, target, kind="throttle", count=1, retry_after_s=3)
    assert (seconds.status, dict(seconds.headers)) == (429, {"Retry-After": "3"})
    date = meet(simulator, target, kind="throttle", count=1, retry_after="date", retry_after_s=60)
    wait = parsedate_to_datetime(dict(date.headers)["Retry-After"]) - datetime.now(UTC)
    assert 55 < wait.total_seconds() <= 60
    assert meet(simulator, target, kind="throttle", count=1, retry_after="none").headers == ()


def test_blocking_is_a_page_and_rejection_is_json(simulator: Simulator, target: str) -> None:
    blocked = meet(simulator, target, kind="block", count=1)
    assert (blocked.status, blocked.content_type[:9]) == (403, "text/html")
    rejected = meet(simulator, target, kind="reject", count=1, status=401)
    assert (rejected.status, rejected.content_type[:16]) == (401, "application/json")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_errors_have_the_status_that_was_asked_for(simulator: Simulator, target: str, status: int) -> None:
    assert meet(simulator, target, kind="error", status=status).status == status


def test_faults_on_the_wire_say_how_the_answer_is_delivered(simulator: Simulator, target: str) -> None:
    assert meet(simulator, target, kind="reset", count=1).delivery is Delivery.RESET
    assert meet(simulator, target, kind="dropped", count=1).delivery is Delivery.RESET
    assert meet(simulator, target, kind="cut", count=1).delivery is Delivery.CUT
    slow = meet(simulator, target, kind="slow", count=1, latency_s=5)
    assert (slow.delivery, slow.drip_s) == (Delivery.DRIP, 5)


def test_good_statuses_can_hide_bad_bodies(simulator: Simulator, target: str) -> None:
    broken = meet(simulator, target, kind="bad_json", count=1)
    assert broken.status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.body)
    assert b"<form>" in meet(simulator, target, kind="html", count=1).body
    empty = json.loads(meet(simulator, target, kind="empty", count=1).body)
    assert empty == {"data": [], "metadata": {"hasMore": False, "nextCursor": None}}


def test_emptiness_spoils_a_conditional_request_too(simulator: Simulator, target: str) -> None:
    etag = dict(get(simulator, target).headers)["ETag"]
    post(simulator, "/_simulator/faults", {"kind": "empty"})
    answer = get(simulator, target, if_none_match=etag)
    assert (answer.status, json.loads(answer.body)["data"], answer.headers) == (200, [], ())


def test_cursors_repeat_or_never_end(simulator: Simulator, target: str) -> None:
    post(simulator, "/_simulator/faults", {"kind": "repeat_cursor"})
    last = f"{target}?cursor=MjAw"
    assert [read(get(simulator, each))["metadata"] for each in (target, last)] == [
        {"hasMore": True, "nextCursor": "MTAw"}
    ] * 2
    simulator.faults.remove()
    cursors = [""]
    post(simulator, "/_simulator/faults", {"kind": "endless_cursor", "path": "*/grades"})
    listing = target.replace("/teams", "/grades")
    for _ in range(3):
        page = read(get(simulator, f"{listing}?cursor={cursors[-1]}" if cursors[-1] else listing))
        assert page["metadata"]["hasMore"]
        cursors.append(page["metadata"]["nextCursor"])
    assert len(set(cursors)) == 4


def test_half_pages_fail_on_the_later_ones_only(simulator: Simulator, target: str) -> None:
    post(simulator, "/_simulator/faults", {"kind": "error", "page": "later", "count": 2})
    statuses = [get(simulator, each).status for each in (target, *[f"{target}?cursor=MTAw"] * 3)]
    assert statuses == [200, 503, 503, 200]


def test_a_rule_waits_counts_and_keeps_to_its_path(simulator: Simulator, target: str) -> None:
    rule = {"kind": "missing", "path": "*/teams", "after": 1, "count": 2}
    post(simulator, "/_simulator/faults", rule)
    assert [get(simulator, target).status for _ in range(5)] == [200, 404, 404, 200, 200]
    assert get(simulator, target.replace("/teams", "/grades")).status == 200
    (shown,) = read(get(simulator, "/_simulator/faults"))
    assert (shown["matched"], shown["happened"]) == (5, 2)


def test_chance_is_seeded(target: str) -> None:
    rolls = []
    for _ in range(2):
        simulator = make_simulator("club")
        post(simulator, "/_simulator/faults", {"kind": "missing", "probability": 0.5, "seed": 3})
        rolls.append([get(simulator, target).status for _ in range(40)])
    assert rolls[0] == rolls[1]
    assert {200, 404} == set(rolls[0])


def test_latency_adds_to_other_faults(simulator: Simulator, target: str) -> None:
    post(simulator, "/_simulator/faults", [{"kind": "latency", "latency_s": 0.5}, {"kind": "missing"}])
    answer = get(simulator, target)
    assert answer.status == 404
    assert answer.delay_s == pytest.approx(0.5)


def test_a_random_schedule_ends_and_ignores_the_order_of_requests(target: str) -> None:
    grades = target.replace("/teams", "/grades")
    met = []
    for order in ((target, grades), (grades, target)):
        simulator = make_simulator("club")
        post(
            simulator, "/_simulator/faults", {"kind": "random", "seed": 5, "requests": 60, "probability": 0.5}
        )
        seen: dict[str, list[str | None]] = {target: [], grades: []}
        for _ in range(50):
            for each in order:
                seen[each].append(get(simulator, each).fault)
        met.append({each: faults[:30] for each, faults in seen.items()})
        assert any(seen[target][:30])
        assert not any(seen[target][30:])
    assert met[0] == met[1]


def test_wrong_rules_are_refused_and_named(simulator: Simulator) -> None:
    for rule in ({"kind": "nonsense"}, {"kind": "error", "colour": 1}, {"kind": "error", "page": "middle"}):
        answer = post(simulator, "/_simulator/faults", rule)
        assert answer.status == 400
        assert any(word in answer.body.decode() for word in ("nonsense", "colour", "middle"))


def test_rules_are_lifted_one_by_one_or_all(simulator: Simulator, target: str) -> None:
    added = json.loads(post(simulator, "/_simulator/faults", [{"kind": "missing"}, {"kind": "error"}]).body)
    assert [rule["id"] for rule in added] == [1, 2]
    simulator.faults.remove(1)
    assert get(simulator, target).status == 503
    simulator.faults.remove()
    assert get(simulator, target).status == 200


def test_every_fault_can_be_asked_for(simulator: Simulator, target: str) -> None:
    for fault in Fault:
        meet(simulator, target, kind=fault.value, count=1)


def test_a_quota_allows_so_many_a_second_for_each_key(simulator: Simulator, target: str) -> None:
    post(simulator, "/_simulator/quota", {"requests_per_s": 3})
    assert [get(simulator, target).status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert get(simulator, target, key="other-9876").status == 200
    shown = read(get(simulator, "/_simulator/quota"))["keys"]
    assert (shown["…1234"]["arrived"], shown["…1234"]["refused"], shown["…1234"]["max_in_1s"]) == (5, 2, 5)
    assert shown["…9876"]["refused"] == 0
