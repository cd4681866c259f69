"""Each notice once, in order, whatever befalls the channel or the worker."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from pydantic import SecretStr

from notifications import slack
from notifications.cms_callback import CmsCallback
from settings.schema import NotificationsSettings, TemplateSettings, WebhookSettings
from simulator.app import Simulator
from stores.sql.notices import NoticeState
from sync.errors import (
    AccountBusy,
    AddressGone,
    CredentialsRejected,
    DeferredError,
    NotFound,
    PermanentError,
    TransientError,
)
from sync.incident import Severity
from sync.report import Run
from tests.conftest import Eventually
from tests.integration.notifications.conftest import Chat, Desk, Slack


def test_a_notice_is_told_once_however_often_its_message_runs(desk: Desk, chat: Chat) -> None:
    desk.finish()
    for _ in range(3):
        assert desk.deliver() is None
    assert [notice.subject for notice in chat.notices] == ["Sync of club 1 succeeded"]
    (entry,) = desk.stores.notices.of_run("r1")
    assert (entry.state, entry.reference) == (NoticeState.SENT, "message 1")


def test_the_settings_words_are_told(desk: Desk, chat: Chat) -> None:
    desk.settings = NotificationsSettings(templates={"mine": TemplateSettings(text="run $run_id: $outcome")})
    desk.finish()
    desk.deliver()
    assert chat.notices[0].text == "run r1: succeeded"


def test_an_unknown_run_is_permanent(desk: Desk) -> None:
    assert isinstance(desk.deliver(9), NotFound)


def test_a_channel_that_is_gone_takes_nothing_and_says_so_on_the_record(desk: Desk) -> None:
    desk.finish()
    assert desk.deliver(channel="pager") is None
    (entry,) = desk.stores.notices.of_run("r1")
    assert (entry.state, entry.reason) == (NoticeState.REFUSED, "no channel of this name is configured")


def test_one_sender_a_channel_and_another_one_is_not_held_up(desk: Desk, chat: Chat) -> None:
    desk.channels["other"] = Chat(name="other")
    desk.finish()
    with desk.turns.take("chat", owner="somebody else"):
        assert isinstance(desk.deliver(), AccountBusy)
        assert desk.deliver(channel="other") is None
    assert chat.notices == []


def test_a_channel_without_an_answer_is_asked_again_and_nothing_is_lost(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [TransientError("no answer"), TransientError("no answer")]
    desk.finish()
    assert isinstance(desk.deliver(), DeferredError)
    assert isinstance(desk.deliver(), DeferredError)
    assert desk.deliver() is None
    assert len(chat.notices) == 1


def test_a_channel_that_keeps_failing_is_left_alone(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [TransientError("no answer")] * 9
    desk.finish()
    for _ in range(8):
        assert isinstance(desk.deliver(), DeferredError)
    assert len(chat.fails_with) == 4


def test_a_channel_that_wants_no_more_is_switched_off_and_keeps_its_notices(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [AddressGone("post: 410")] * 2
    for number in (1, 2, 3):
        desk.finish(number)
        assert desk.deliver(number) is None
    assert len(chat.fails_with) == 1
    assert set(desk.states().values()) == {NoticeState.WAITING}
    (off,) = desk.turns.switched_off().items()
    assert (off[0], off[1].reason, off[1].at) == ("chat", "post: 410", desk.clock.now())

    assert desk.turns.switch_on("chat")
    assert desk.drain() is None
    assert not desk.turns.switch_on("elsewhere")
    assert chat.notices == []  # it is gone still, and off again

    chat.fails_with = []
    assert desk.turns.switch_on("chat")
    assert desk.drain() is None
    assert [notice.key for notice in chat.notices] == [f"r{number}:sync_succeeded" for number in (1, 2, 3)]


def test_other_settings_of_a_channel_switch_it_on_and_those_of_another_do_not(desk: Desk, chat: Chat) -> None:
    def webhook(secret: str) -> WebhookSettings:
        return WebhookSettings(url=SecretStr("https://example.test"), secret=SecretStr(secret))

    desk.channels["webhook"] = chat
    chat.name = "webhook"
    chat.fails_with = [AddressGone("post: 410")]
    desk.settings = NotificationsSettings(webhook=webhook("one"))
    desk.finish()
    desk.deliver(channel="webhook")
    desk.settings = NotificationsSettings(webhook=webhook("one"), digest_from=7)
    desk.drain("webhook")
    assert chat.notices == []
    desk.settings = NotificationsSettings(webhook=webhook("two"), digest_from=7)
    desk.drain("webhook")
    assert len(chat.notices) == 1
    assert desk.turns.switched_off() == {}


def test_what_a_strangers_channel_raises_costs_one_notice(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [KeyError("room")]
    desk.finish(1)
    with pytest.raises(KeyError):
        desk.deliver(1)
    desk.finish(2)
    assert desk.deliver(2) is None
    assert [entry.state for entry in desk.stores.notices.of_run("r1")] == [NoticeState.REFUSED]
    assert [notice.key for notice in chat.notices] == ["r2:sync_succeeded"]


def test_what_a_channel_asks_to_wait_is_waited_by_everybody(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [DeferredError("429", retry_after_s=30)]
    desk.finish(1)
    desk.finish(2)
    first, second = desk.deliver(1), desk.deliver(2)
    assert isinstance(first, DeferredError)
    assert first.retry_after_s == 30
    assert isinstance(second, DeferredError)
    assert 29 < second.retry_after_s <= 30
    assert set(desk.states().values()) == {NoticeState.WAITING}


def test_a_channel_that_was_down_for_an_hour_gets_one_summary_in_order(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [TransientError("no answer")] * 200
    for number in range(1, 61):
        desk.finish(number)
        desk.deliver(number)
        desk.wait(minutes=1)
        desk.turns.succeeded("chat")
    assert chat.notices == []
    chat.fails_with = []
    assert desk.drain() is None
    (first, *_), summary = desk.stores.notices.list(limit=1).items, chat.notices[-1]
    assert first.state is NoticeState.MERGED
    # The one that may have arrived goes first, under its own key.
    assert [notice.key for notice in chat.notices] == ["r1:sync_succeeded", "r2:sync_succeeded+58"]
    assert summary.subject.endswith("UTC: 59 sync succeeded")
    assert "Sync of club 2 succeeded\n• Sync of club 3 succeeded" in summary.text
    assert desk.stores.notices.due_channels() == {}


def test_after_ten_minutes_a_message_leaves_its_channel_to_whoever_watches(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [TransientError("no answer")] * 2
    desk.finish()
    assert isinstance(desk.deliver(), DeferredError)
    desk.wait(minutes=11)
    assert desk.deliver() is None
    assert desk.stores.notices.due_channels() == {"chat": 1}


def test_a_refusal_is_kept_with_its_reason_and_tried_again_when_its_dead_letter_is(
    desk: Desk, chat: Chat
) -> None:
    chat.fails_with = [CredentialsRejected("post to Slack: refused: invalid_auth")]
    desk.finish()
    error = desk.deliver()
    assert isinstance(error, PermanentError)
    assert desk.stores.notices.refused_since(desk.clock.now()) == {
        "chat": "post to Slack: refused: invalid_auth"
    }
    assert desk.drain() is None
    assert chat.notices == []
    assert desk.deliver() is None
    assert len(chat.notices) == 1


def test_a_strangers_channel_that_breaks_holds_up_no_other_notice(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [KeyError("colour")]
    desk.finish(1)
    desk.finish(2)
    with pytest.raises(KeyError):
        desk.deliver(1)
    assert desk.deliver(2) is None
    assert [notice.run_id for notice in chat.notices] == ["r2"]


def test_what_is_too_old_is_not_told(desk: Desk, chat: Chat) -> None:
    chat.fails_with = [TransientError("no answer")]
    desk.finish()
    desk.deliver()
    desk.wait(days=3)
    assert desk.drain() is None
    assert chat.notices == []
    assert list(desk.states().values()) == [NoticeState.EXPIRED]


def test_a_flood_is_few_messages_and_every_notice_is_in_one(desk: Desk, chat: Chat) -> None:
    desk.settings = NotificationsSettings(most_per_minute=5)
    for number in range(1, 301):
        desk.finish(number)
        desk.deliver(number)
    assert len(chat.notices) == 5
    desk.wait(minutes=1, seconds=1)
    assert desk.drain() is None
    assert len(chat.notices) == 6
    assert chat.notices[-1].subject.startswith("295 notices")
    assert set(desk.states().values()) == {NoticeState.SENT, NoticeState.MERGED}


def test_notices_held_by_quiet_hours_are_told_as_one_when_these_end(desk: Desk, chat: Chat) -> None:
    ends = desk.clock.now() + timedelta(hours=5)
    for number in range(1, 4):
        desk.stores.notices.add(
            key=f"k{number}",
            channel="chat",
            event="sync_partial",
            severity=Severity.WARNING,
            subject=f"notice {number}",
            text="text",
            fields={},
            not_before=ends,
        )
    desk.drain()
    assert chat.notices == []
    desk.wait(hours=5)
    desk.drain()
    assert [notice.subject[:9] for notice in chat.notices] == ["3 notices"]


def test_clocks_that_jump_lose_no_notice(desk: Desk, chat: Chat) -> None:
    desk.finish(1)
    desk.deliver(1)
    desk.wait(hours=-3)
    desk.finish(2)
    desk.deliver(2)
    desk.wait(days=1)
    desk.finish(3)
    desk.deliver(3)
    assert [notice.run_id for notice in chat.notices] == ["r1", "r2", "r3"]


# -- a worker that is killed between sending and recording


def test_a_message_that_slack_has_is_found_and_not_posted_again(desk: Desk, slack_api: Slack) -> None:
    desk.channels["slack"] = slack_api.channel
    slack_api.fail("dropped", count=1, path="/slack/api/chat.postMessage")
    desk.finish()
    assert isinstance(desk.deliver(channel="slack"), DeferredError)
    assert len(slack_api.messages()) == 1
    assert desk.deliver(channel="slack") is None
    (message,) = slack_api.messages()
    (entry,) = desk.stores.notices.of_run("r1")
    assert entry.reference is not None
    assert entry.reference.endswith(message["ts"])


def test_a_sender_that_is_killed_before_it_noted_its_message_doubles_nothing(
    desk: Desk, slack_api: Slack, redis_url: str, namespace: str, eventually: Eventually
) -> None:
    desk.channels["slack"] = slack_api.channel
    desk.finish()
    address = f"{slack_api.http.base_url}".rstrip("/") + "/slack/api"
    database_url = str(desk.stores.engine.url)
    sender = [sys.executable, "-m", "tests.integration.notifications.killed_sender"]
    places = [database_url, redis_url, namespace, address]
    killed = subprocess.run([*sender, *places, "r1"], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert desk.states() == {"r1:sync_succeeded": NoticeState.SENDING}
    eventually(lambda: desk.deliver(channel="slack") is None, deadline_s=30)
    assert desk.states() == {"r1:sync_succeeded": NoticeState.SENT}
    assert len(slack_api.messages()) == 1


def test_where_the_bot_may_not_look_it_is_told_twice_rather_than_not(desk: Desk, slack_api: Slack) -> None:
    desk.channels["slack"] = slack_api.channel
    slack_api.fail("dropped", count=1, path="/slack/api/chat.postMessage")
    slack_api.fail("reject", path="/slack/api/conversations.*")
    desk.finish()
    assert isinstance(desk.deliver(channel="slack"), DeferredError)
    assert desk.deliver(channel="slack") is None
    assert len(slack_api.messages()) == 2


def test_a_message_that_slack_does_not_have_is_posted_after_the_crash(desk: Desk, slack_api: Slack) -> None:
    desk.channels["slack"] = slack_api.channel
    desk.finish(1)
    desk.deliver(1, "slack")
    desk.finish(2)
    slack_api.fail("reset", count=1, path="/slack/api/chat.postMessage")
    assert isinstance(desk.deliver(2, "slack"), DeferredError)
    assert desk.deliver(2, "slack") is None
    assert len(slack_api.messages()) == 2


def test_a_channel_that_cannot_be_asked_gets_the_same_key_again(desk: Desk, chat: Chat) -> None:
    desk.finish()
    desk.deliver()
    (entry,) = desk.stores.notices.of_run("r1")
    desk.stores.notices.begin([entry.id])
    desk.drain()
    assert [notice.key for notice in chat.notices] == ["r1:sync_succeeded"] * 2


def test_the_cms_is_not_called_twice(desk: Desk) -> None:
    called: list[str] = []

    def tell(run: Run) -> None:
        called.append(run.id)
        raise SystemExit("killed")

    desk.channels["cms"] = CmsCallback(tell, desk.stores.runs)
    desk.finish()
    with pytest.raises(SystemExit):
        desk.deliver(channel="cms")
    assert desk.deliver(channel="cms") is None
    assert called == ["r1"]
    (entry,) = desk.stores.notices.of_run("r1")
    assert entry.reference == "r1:sync_succeeded, perhaps"


def test_the_cms_is_called_again_when_it_surely_did_not_hear(desk: Desk) -> None:
    called: list[str] = []
    errors = [TransientError("the CMS did not answer (ConnectError)")]

    def tell(run: Run) -> None:
        if errors:
            raise errors.pop()
        called.append(run.id)

    desk.channels["cms"] = CmsCallback(tell, desk.stores.runs)
    desk.finish()
    assert isinstance(desk.deliver(channel="cms"), DeferredError)
    assert desk.deliver(channel="cms") is None
    assert called == ["r1"]


# -- incidents


def test_an_incident_is_one_message_that_changes_and_one_thread(desk: Desk, slack_api: Slack) -> None:
    desk.channels["slack"] = slack_api.channel
    desk.tell_incident(1, "slack", "PlayHQ fails: 3 runs", "began")
    desk.drain("slack")
    desk.tell_incident(2, "slack", "PlayHQ fails: 900 runs", None)
    desk.drain("slack")
    desk.tell_incident(3, "slack", "PlayHQ is back", "resolved after 12 min")
    desk.drain("slack")
    root, reply = slack_api.messages()
    assert (root["text"], root["updates"], root["channel"]) == ("PlayHQ is back", 2, "#data-account-error")
    assert (reply["text"], reply["thread_ts"]) == ("resolved after 12 min", root["ts"])


def test_an_incident_whose_message_was_deleted_goes_on_in_a_new_thread(
    desk: Desk, slack_api: Slack, simulator: Simulator
) -> None:
    desk.channels["slack"] = slack_api.channel
    desk.tell_incident(1, "slack", "PlayHQ fails: 3 runs", "began")
    desk.drain("slack")
    simulator.chat.messages.clear()
    for number, change in [(2, "it is worse"), (3, "resolved after 12 min")]:
        desk.tell_incident(number, "slack", f"PlayHQ: {change}", change)
        assert desk.drain("slack") is None
    root, reply = slack_api.messages()
    assert (root["text"], root["updates"]) == ("PlayHQ: resolved after 12 min", 1)
    assert (reply["text"], reply["thread_ts"]) == ("resolved after 12 min", root["ts"])
    assert set(desk.states().values()) == {NoticeState.SENT}


def test_an_incident_that_passed_while_slack_was_down_is_one_message(desk: Desk, slack_api: Slack) -> None:
    desk.channels["slack"] = slack_api.channel
    slack_api.fail("error", status=500)
    desk.tell_incident(1, "slack", "PlayHQ fails: 3 runs", "began")
    desk.drain("slack")
    slack_api.recover()
    desk.tell_incident(2, "slack", "PlayHQ is back", "resolved after 12 min")
    desk.drain("slack")
    assert [message["text"] for message in slack_api.messages()] in (
        ["PlayHQ is back"],
        ["PlayHQ fails: 3 runs", "resolved after 12 min"],
        ["PlayHQ is back", "resolved after 12 min"],
    )


def test_a_reply_that_slack_has_is_not_posted_again(desk: Desk, slack_api: Slack) -> None:
    desk.channels["slack"] = slack_api.channel
    desk.tell_incident(1, "slack", "it fails", "began")
    desk.drain("slack")
    desk.tell_incident(2, "slack", "it is over", "resolved")
    slack_api.fail("dropped", count=1, path="/slack/api/chat.postMessage")
    assert isinstance(desk.drain("slack"), DeferredError)
    assert desk.drain("slack") is None
    assert len(slack_api.messages()) == 2


def test_where_there_are_no_threads_only_changes_are_told(desk: Desk, chat: Chat) -> None:
    desk.tell_incident(1, "chat", "it fails: 3 runs", "began")
    desk.drain()
    desk.tell_incident(2, "chat", "it fails: 900 runs", None)
    desk.drain()
    desk.tell_incident(3, "chat", "it is over", "resolved")
    desk.drain()
    assert [notice.text for notice in chat.notices] == ["it fails: 3 runs", "it is over"]
    assert set(desk.states().values()) == {NoticeState.SENT, NoticeState.MERGED}


def test_a_slack_that_is_too_slow_is_asked_again(desk: Desk, slack_api: Slack) -> None:
    impatient = slack.open_channel(NotificationsSettings(slack=slack_api.settings, timeout_s=0.2))
    assert isinstance(impatient, slack.SlackApi)
    desk.channels["slack"] = impatient
    slack_api.fail("latency", latency_s=3)
    desk.finish()
    assert isinstance(desk.deliver(channel="slack"), DeferredError)
    impatient._client.close()
    slack_api.recover()
    desk.channels["slack"] = slack_api.channel
    desk.turns.pause("slack", 0.001)
    assert desk.deliver(channel="slack") is None
    assert {message["text"].splitlines()[0] for message in slack_api.messages()} == {
        "Sync of club 1 succeeded"
    }


@pytest.mark.parametrize(
    ("fault", "options", "kind"),
    [
        ("throttle", {"retry_after_s": 7}, DeferredError),
        ("error", {"status": 500}, DeferredError),
        ("reset", {}, DeferredError),
        ("html", {}, DeferredError),
        ("reject", {"status": 403}, CredentialsRejected),
        ("missing", {}, PermanentError),
    ],
)
def test_slacks_moods_lose_nothing(
    desk: Desk, slack_api: Slack, fault: str, options: dict[str, float], kind: type[Exception]
) -> None:
    desk.channels["slack"] = slack_api.channel
    slack_api.fail(fault, **options)
    desk.finish()
    assert isinstance(desk.deliver(channel="slack"), kind)
    slack_api.recover()
    desk.turns.pause("slack", 0.001)
    assert desk.deliver(channel="slack") is None
    assert [message["text"].splitlines()[0] for message in slack_api.messages()] == [
        "Sync of club 1 succeeded"
    ]
