"""The simulator's own addresses: accounts, counters, clock, chat and callbacks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from simulator.server import Answer, Delivery, Request
from simulator.stats import Entry, Stats, most_within
from tests.unit.simulator.asking import TODAY, get, make_simulator, post, read


def entry(**options: Any) -> Entry:
    told = Entry(
        at_s=0.0, method="GET", target="/", endpoint="teams", status=200, key="…1234", fault=None,
        served_bytes=10, took_s=0.1,
    )  # fmt: skip
    return replace(told, **options)


def test_accounts_name_every_organisation_with_what_is_odd() -> None:
    simulator = make_simulator()
    accounts = read(get(simulator, "/_simulator/accounts?tenant=ca"))
    kinds = [account["type"] for account in accounts]
    assert kinds.count("association") == 4
    assert kinds.count("club") >= 24
    features = {feature for account in accounts for feature in account["features"]}
    assert {
        "no ladder", "two-day games", "forfeit", "team without a club", "several games a round",
        "several associations", "hidden grade", "season missing from the listing",
    } <= features  # fmt: skip
    for account in accounts:
        assert {"type", "name", "provider", "organisation", "associations"} <= set(account)
    clubs = [account for account in accounts if account["type"] == "club"]
    assert all(club["associations"] for club in clubs)
    assert {account["tenant"] for account in read(get(simulator, "/_simulator/accounts"))} == {
        "ca",
        "afl",
        "nzc",
    }


def test_the_clock_tells_the_day_and_moves_it() -> None:
    simulator = make_simulator()
    assert read(get(simulator, "/_simulator/clock")) == {"today": TODAY.isoformat()}
    assert read(post(simulator, "/_simulator/clock", {"days": 8}))["today"] == "2031-12-02"
    assert read(post(simulator, "/_simulator/clock", {"today": "2031-12-20"}))["today"] == "2031-12-20"
    assert post(simulator, "/_simulator/clock", {"today": "2031-12-01"}).status == 400


def test_an_unknown_address_says_what_there_is() -> None:
    answer = get(make_simulator(), "/_simulator/nonsense")
    assert answer.status == 404
    assert "/_simulator/faults" in answer.body.decode()


def test_counters_add_up_and_can_be_reset() -> None:
    stats = Stats()
    for number in range(4):
        stats.arrived("…1234", 100 + number * 0.4)
    stats.served(entry())
    stats.served(entry(status=304, served_bytes=0))
    stats.served(entry(status=429, fault="quota"))
    summary = stats.summary()
    assert summary["requests"] == 3
    assert summary["in_flight"] == 1
    assert summary["max_in_flight"] == 4
    assert summary["max_in_1s"] == summary["max_in_1s_by_key"]["…1234"] == 3
    assert summary["conditional_hits"] == 1
    assert summary["served_bytes"] == 20
    assert summary["by_status"] == {"200": 1, "304": 1, "429": 1}
    assert summary["by_fault"] == {"quota": 1}
    assert len(stats.log(2)) == 2
    stats.reset()
    assert stats.summary()["requests"] == 0


def test_the_busiest_second_is_half_open() -> None:
    assert most_within([0.0, 0.5, 1.0, 1.5]) == 2
    assert most_within([0.0, 0.1, 0.2]) == 3
    assert most_within([]) == 0


def test_keys_are_never_shown_whole() -> None:
    simulator = make_simulator()
    request = Request("GET", "/v1/seasons/x/teams", {"x-api-key": "a-secret-key-1234", "x-phq-tenant": "ca"})
    simulator.done(request, simulator.handle(request), 0.001)
    shown = get(simulator, "/_simulator/log").body + get(simulator, "/_simulator/stats").body
    assert "…1234".encode() in shown
    assert b"secret" not in shown


def test_the_chat_takes_webhooks_and_tokens() -> None:
    simulator = make_simulator()
    hook = post(simulator, "/slack/webhook/T1/B2/x", {"text": "a run finished"})
    assert (hook.status, hook.body) == (200, b"ok")
    assert post(simulator, "/slack/webhook/T1", {"nothing": 1}).status == 400
    bearer = {"authorization": "Bearer xoxb"}
    sent = read(
        post(simulator, "/slack/api/chat.postMessage", {"channel": "#data", "text": "in a thread"}, **bearer)
    )
    assert sent["ok"] is True
    reply = {"channel": "#data", "text": "more", "thread_ts": sent["ts"]}
    assert read(post(simulator, "/slack/api/chat.postMessage", reply, **bearer))["ts"] != sent["ts"]
    shown = read(get(simulator, "/_simulator/chat"))
    assert [message["form"] for message in shown] == ["webhook", "token", "token"]
    assert shown[2]["thread_ts"] == sent["ts"]
    page = get(simulator, "/_simulator/chat", accept="text/html")
    assert b"a run finished" in page.body


def test_the_chat_says_no_as_slack_does() -> None:
    simulator = make_simulator()
    address = "/slack/api/chat.postMessage"
    bearer = {"authorization": "Bearer xoxb"}
    assert _error(post(simulator, address, {"channel": "#a", "text": "x"})) == "not_authed"
    assert _error(post(simulator, address, {"text": "x"}, **bearer)) == "channel_not_found"
    assert _error(post(simulator, address, {"channel": "#a"}, **bearer)) == "no_text"
    post(simulator, "/_simulator/faults", {"kind": "error", "path": "/slack/*", "count": 1})
    assert post(simulator, "/slack/webhook/T", {"text": "x"}).status == 503
    assert get(simulator, "/_simulator/chat").body == b"[]"


def test_the_chat_updates_and_lists_messages_by_the_channels_id() -> None:
    simulator = make_simulator()
    bearer = {"authorization": "Bearer xoxb"}
    metadata = {"event_type": "n", "event_payload": {"key": "k1"}}
    message = {"channel": "#data", "text": "2 failed", "metadata": metadata}
    sent = read(post(simulator, "/slack/api/chat.postMessage", message, **bearer))
    reply = {"channel": sent["channel"], "text": "more", "thread_ts": sent["ts"]}
    post(simulator, "/slack/api/chat.postMessage", reply, **bearer)
    change = {"channel": sent["channel"], "ts": sent["ts"], "text": "3 failed"}
    assert read(post(simulator, "/slack/api/chat.update", change, **bearer))["ok"] is True
    change["ts"] = "1.0"
    assert _error(post(simulator, "/slack/api/chat.update", change, **bearer)) == "message_not_found"

    listed = read(get(simulator, "/slack/api/conversations.list", **bearer))["channels"]
    assert listed == [{"id": sent["channel"], "name": "data"}]
    history = f"/slack/api/conversations.history?channel={sent['channel']}&include_all_metadata=true"
    (found,) = read(get(simulator, history, **bearer))["messages"]
    assert (found["text"], found["metadata"]) == ("3 failed", metadata)
    replies = f"/slack/api/conversations.replies?channel={sent['channel']}&ts={sent['ts']}&limit=1"
    page = read(get(simulator, replies, **bearer))
    rest = read(get(simulator, f"{replies}&cursor={page['response_metadata']['next_cursor']}", **bearer))
    assert [message["text"] for message in (*page["messages"], *rest["messages"])] == ["3 failed", "more"]
    assert _error(get(simulator, history.replace(sent["channel"], "#data"), **bearer)) == "channel_not_found"


def test_posted_text_is_shown_as_text() -> None:
    simulator = make_simulator()
    post(simulator, "/slack/webhook/T", {"text": "<script>"})
    assert b"<script>" not in get(simulator, "/_simulator/chat", accept="text/html").body


def test_callbacks_are_noted() -> None:
    simulator = make_simulator()
    for route in ("AccountSchedulerToFalse", "setCompleteEmail"):
        assert get(simulator, f"/api/account/{route}/12").status == 200
    calls = read(get(simulator, "/_simulator/callbacks"))
    assert [(call["route"], call["account_id"]) for call in calls] == [
        ("AccountSchedulerToFalse", "12"),
        ("setCompleteEmail", "12"),
    ]


def _error(answer: Answer) -> str:
    told = json.loads(answer.body)
    assert told["ok"] is False
    return str(told["error"])


def test_the_cms_starts_with_accounts_and_organisations() -> None:
    simulator = make_simulator()
    bearer = {"authorization": "Bearer token"}
    for version in (4, 5):
        accounts = read(
            get(
                simulator,
                f"/strapi-v{version}/api/accounts?populate[0]=account_type&populate[1]=clubs",
                **bearer,
            )
        )
        assert accounts["meta"]["pagination"]["total"] > 28
    shown = read(get(simulator, "/_simulator/strapi"))
    assert shown["v4"]["rows"]["associations"] == 6
    again = read(post(simulator, "/_simulator/strapi", {"version": 5, "drafts": True}))
    assert again["v5"]["drafts"] is True
    assert post(simulator, "/_simulator/strapi", {"version": 3}).status == 400


def test_a_dropped_answer_leaves_the_row_behind() -> None:
    simulator = make_simulator()
    bearer = {"authorization": "Bearer token"}
    post(simulator, "/_simulator/faults", {"kind": "dropped", "method": "POST", "path": "/strapi-v5/*"})
    lost = post(simulator, "/strapi-v5/api/grades", {"data": {"gradeId": "7c1d22aa"}}, **bearer)
    assert lost.delivery is Delivery.RESET
    found = read(get(simulator, "/strapi-v5/api/grades?filters[gradeId]=7c1d22aa", **bearer))
    assert len(found["data"]) == 1
