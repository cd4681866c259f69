from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from dramatiq import Retry
from dramatiq.broker import MessageProxy
from dramatiq.errors import BrokerConnectionError
from dramatiq.worker import Worker, WorkerThread

from brokers.middleware.error_aware_retries import (
    KEPT_ATTEMPTS,
    ErrorAwareRetries,
    NotSettled,
    OnDead,
    RetryRules,
)
from sync.errors import (
    CmsUnavailable,
    CredentialsRejected,
    NotFound,
    ProviderUnavailable,
    RateLimited,
    StoreUnavailable,
)
from tests.unit.brokers.middleware.settling import RecordingBroker, declare, fail_with, proxy, settle

RULES = RetryRules(max_retries=3, min_backoff_s=2.0, max_backoff_s=5.0, max_deferral_s=60.0)


def broker_with(
    *,
    draw: float = 1.0,
    on_dead: OnDead | None = None,
    now_s: Callable[[], float] = time.time,
) -> RecordingBroker:
    return RecordingBroker([ErrorAwareRetries(RULES, on_dead=on_dead, draw=lambda: draw, now_s=now_s)])


def test_transient_error_is_sent_again_with_growing_capped_backoff_then_dies() -> None:
    broker = broker_with()
    message = proxy(declare(broker))
    for _ in range(RULES.max_retries):
        fail_with(broker, message, ProviderUnavailable("timeout"))
        assert settle(broker, message) == "ack"
    fail_with(broker, message, ProviderUnavailable("timeout"))
    assert settle(broker, message) == "nack"
    assert [delay for _, delay in broker.sent] == [2000, 4000, 5000]
    assert message.options["dead_reason"] == "gave up after 4 attempts: ProviderUnavailable: timeout"


@pytest.mark.parametrize(("draw", "delay_ms"), [(0.0, 0), (0.5, 1000), (1.0, 2000)])
def test_backoff_has_full_jitter(draw: float, delay_ms: int) -> None:
    broker = broker_with(draw=draw)
    message = proxy(declare(broker))
    fail_with(broker, message, CmsUnavailable("no answer"))
    settle(broker, message)
    assert broker.sent[0][1] == delay_ms


def test_message_is_sent_again_under_its_own_id() -> None:
    broker = broker_with()
    message = proxy(declare(broker))
    fail_with(broker, message, ProviderUnavailable("timeout"))
    settle(broker, message)
    assert broker.sent[0][0].message_id == message.message_id


@pytest.mark.parametrize("draw", [0.0, 1.0])
def test_deferral_waits_at_least_as_long_as_asked_and_uses_no_attempt(draw: float) -> None:
    broker = broker_with(draw=draw)
    message = proxy(declare(broker))
    for _ in range(20):
        fail_with(broker, message, RateLimited("429", retry_after_s=8.0))
        assert settle(broker, message) == "ack"
    assert {delay for _, delay in broker.sent} == {8000 if draw == 0 else 10_000}
    assert message.options["deferrals"] == 20
    assert "retries" not in message.options


def test_deferral_is_bounded_by_age() -> None:
    now_s = [1000.0]
    broker = broker_with(now_s=lambda: now_s[0])
    message = proxy(declare(broker), due_at_ms=1_000_000)
    now_s[0] += 59.0
    fail_with(broker, message, RateLimited("429", retry_after_s=8.0))
    assert settle(broker, message) == "ack"
    now_s[0] += 1.0
    fail_with(broker, message, RateLimited("429", retry_after_s=8.0))
    assert settle(broker, message) == "nack"
    assert message.options["dead_reason"] == "deferred for more than 60 s: RateLimited: 429"


def test_age_of_a_message_without_a_due_time_counts_from_when_it_was_sent() -> None:
    broker = broker_with(now_s=lambda: time.time() + 61.0)
    message = proxy(declare(broker))
    fail_with(broker, message, RateLimited("429", retry_after_s=1.0))
    assert settle(broker, message) == "nack"


@pytest.mark.parametrize("error", [CredentialsRejected("401"), NotFound("no such club")])
def test_permanent_error_is_dead_at_once_with_its_reason(error: Exception) -> None:
    broker = broker_with()
    message = proxy(declare(broker))
    fail_with(broker, message, error)
    assert settle(broker, message) == "nack"
    assert message.options["dead_reason"] == f"{type(error).__name__}: {error}"
    assert broker.sent == []


def test_bug_keeps_its_traceback_and_is_given_up_after_few_attempts() -> None:
    broker = broker_with()
    message = proxy(declare(broker, max_retries=1))
    for expected in ("ack", "nack"):
        fail_with(broker, message, ZeroDivisionError("by zero"))
        assert settle(broker, message) == expected
    assert "ZeroDivisionError: by zero" in message.options["traceback"]


def test_dramatiq_logs_the_trace_of_bugs_only(caplog: pytest.LogCaptureFixture) -> None:
    broker = broker_with()
    worker = Worker(broker, worker_threads=1)
    broker.emit_before("worker_boot", worker)
    thread = WorkerThread(broker=broker, consumers={}, work_queue=worker.work_queue, worker_timeout=10)
    for error in (ProviderUnavailable("timeout"), ZeroDivisionError("by zero")):
        try:
            raise error
        except (ProviderUnavailable, ZeroDivisionError):
            thread.logger.exception("Failed to process message.")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_expected_errors_keep_no_traceback() -> None:
    broker = broker_with()
    message = proxy(declare(broker))
    fail_with(broker, message, ProviderUnavailable("timeout"))
    assert "traceback" not in message.options


def test_each_attempt_is_kept_with_error_host_time_and_duration_and_the_list_is_bounded() -> None:
    now_s = [1000.0]
    broker = broker_with(now_s=lambda: now_s[0])
    message = proxy(declare(broker), due_at_ms=1_000_000)
    for number in range(KEPT_ATTEMPTS + 2):
        broker.emit_before("process_message", message)
        now_s[0] += 1.5
        broker.emit_after(
            "process_message", message, exception=RateLimited(f"no {number}", retry_after_s=1.0)
        )
        settle(broker, message)
    attempts = message.options["attempts"]
    assert len(attempts) == KEPT_ATTEMPTS
    assert attempts[-1]["text"] == f"no {KEPT_ATTEMPTS + 1}"
    assert attempts[-1]["error"] == "RateLimited"
    assert attempts[-1]["duration_s"] == 1.5
    assert attempts[-1]["at"] == now_s[0]
    assert ":" in attempts[-1]["host"]


def test_message_that_cannot_be_sent_again_is_neither_acknowledged_nor_dead_until_it_can() -> None:
    broker = broker_with()
    message = proxy(declare(broker))
    fail_with(broker, message, ProviderUnavailable("timeout"))
    broker.is_down = True
    for _ in range(2):
        with pytest.raises(NotSettled) as refused:
            settle(broker, message)
        # This type makes dramatiq wait and settle again instead of giving the message up.
        assert isinstance(refused.value, BrokerConnectionError)
    broker.is_down = False
    assert settle(broker, message) == "ack"
    assert len(broker.sent) == 1


def test_end_of_a_message_is_told_once_even_if_telling_fails_at_first() -> None:
    told: list[str] = []

    def tell(message: MessageProxy, error: BaseException) -> None:
        told.append(str(error))
        if len(told) == 1:
            raise StoreUnavailable("database is locked")

    broker = broker_with(on_dead=tell)
    message = proxy(declare(broker))
    fail_with(broker, message, NotFound("no such club"))
    with pytest.raises(NotSettled):
        settle(broker, message)
    assert settle(broker, message) == "nack"
    assert settle(broker, message) == "nack"
    assert told == ["no such club", "no such club"]


def test_end_is_not_told_while_attempts_are_left() -> None:
    told: list[Any] = []
    broker = broker_with(on_dead=lambda message, error: told.append(error))
    message = proxy(declare(broker))
    fail_with(broker, message, ProviderUnavailable("timeout"))
    settle(broker, message)
    assert told == []


def test_dramatiqs_own_retry_with_a_delay_is_honoured() -> None:
    broker = broker_with()
    message = proxy(declare(broker))
    fail_with(broker, message, Retry("later", delay=1234))
    settle(broker, message)
    assert broker.sent[0][1] == 1234


def test_actors_throws_is_dead_at_once() -> None:
    broker = broker_with()
    message = proxy(declare(broker, throws=KeyError))
    fail_with(broker, message, KeyError("expected"))
    assert settle(broker, message) == "nack"


def test_actors_retry_when_overrides_the_count() -> None:
    broker = broker_with()
    message = proxy(declare(broker, retry_when=lambda retries, error: retries < 5, max_retries=0))
    for _ in range(5):
        fail_with(broker, message, ProviderUnavailable("timeout"))
        assert settle(broker, message) == "ack"
    fail_with(broker, message, ProviderUnavailable("timeout"))
    assert settle(broker, message) == "nack"


def test_on_retry_exhausted_actor_is_sent_the_message_once_no_attempt_is_left() -> None:
    broker = broker_with()
    message = proxy(declare(broker, max_retries=0, on_retry_exhausted="work"))
    fail_with(broker, message, ProviderUnavailable("timeout"))
    settle(broker, message)
    sent, _ = broker.sent[0]
    assert sent.args[0]["message_id"] == message.message_id
    assert sent.args[1] == {"retries": 0, "max_retries": 0}
