"""Messages run, run later, run again and die, as with any dramatiq broker."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import dramatiq
import pytest
from dramatiq import Message, Middleware
from dramatiq.errors import QueueJoinTimeout
from dramatiq.middleware import GroupCallbacks, SkipMessage
from dramatiq.rate_limits.backends import RedisBackend as LimiterBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultBackend

from brokers.dead_letters import DeadLetters
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working


def test_every_message_runs_once(
    broker: PriorityRedisBroker, working: Working, operations: Operations
) -> None:
    done: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        done.append(number)

    with working() as worker:
        for number in range(200):
            note.send(number)
        broker.join("default", timeout=30_000)
        worker.join()
    assert sorted(done) == list(range(200))
    assert operations.ledger("default").done == 200


def test_many_are_enqueued_in_few_calls_with_their_own_delays_and_hooks(
    broker: PriorityRedisBroker, working: Working
) -> None:
    done: list[tuple[str, int]] = []
    heard: list[int | None] = []

    class Ear(Middleware):
        def after_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
            heard.append(delay)

    @dramatiq.actor
    def first(number: int) -> None:
        done.append(("first", number))

    @dramatiq.actor(queue_name="other", broker_priority="high")
    def second(number: int) -> None:
        done.append(("second", number))

    broker.add_middleware(Ear())
    sent = broker.enqueue_many(
        [(first.message(n), 300 if n % 2 else None) for n in range(1200)]
        + [second.message(n) for n in range(100)]
    )
    assert len(sent) == len(heard) == 1300
    assert heard.count(300) == 600
    with working():
        broker.join("default", timeout=30_000)
        broker.join("other", timeout=30_000)
    assert sorted(done) == sorted([("first", n) for n in range(1200)] + [("second", n) for n in range(100)])


def test_delays_wait_in_redis_and_end_on_time(
    broker: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    late_ms: list[float] = []

    @dramatiq.actor
    def note(due_at: float) -> None:
        late_ms.append((time.time() - due_at) * 1000)

    with working(threads=2) as worker:
        for delay in (400, 200, 600):
            note.send_with_options(args=(time.time() + delay / 1000,), delay=delay)
        # One far away must not hold up the near ones, nor enter the worker.
        note.send_with_options(args=(0,), delay=3_600_000)
        eventually(lambda: len(late_ms) == 3)
        eventually(lambda: worker.work_queue.unfinished_tasks == 0)
        assert all(not consumer.delay_queue.qsize() for consumer in worker.consumers.values())
    # How soon after its time one starts is measured by the benchmarks.
    assert all(late > -5 for late in late_ms), late_ms
    broker.flush("default")


def test_a_failed_message_runs_again_after_its_backoff(broker: PriorityRedisBroker, working: Working) -> None:
    attempts: list[float] = []

    @dramatiq.actor(min_backoff=100, max_backoff=100)
    def fail_twice() -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    with working():
        fail_twice.send()
        broker.join("default", timeout=30_000)
    assert len(attempts) == 3
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(attempts))


def test_a_retry_without_delay_outlives_the_ack_of_its_first_run(
    broker: PriorityRedisBroker, working: Working
) -> None:
    attempts: list[int] = []

    @dramatiq.actor(max_retries=30)
    def fail_often() -> None:
        attempts.append(1)
        if len(attempts) < 30:
            raise dramatiq.errors.Retry("now", delay=0)

    with working(threads=8):
        fail_often.send()
        broker.join("default", timeout=30_000)
    assert len(attempts) == 30


def test_exhausted_and_unknown_messages_are_dead_with_a_reason(
    broker: PriorityRedisBroker, working: Working, letters: DeadLetters, operations: Operations
) -> None:
    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        raise RuntimeError("broken pipe dream")

    with working():
        fail.send()
        broker.enqueue(Message("default", "stranger", (), {}, {}))
        broker.join("default", timeout=30_000)
    reasons = {letter.message.actor_name: letter.reason for letter in letters.latest() if letter.message}
    assert reasons["fail"]["error"] == "RuntimeError: broken pipe dream"
    assert "stranger" in reasons["stranger"]["error"]
    assert operations.ledger("default").is_balanced


def test_an_unreadable_message_dies_alone(
    broker: PriorityRedisBroker, working: Working, letters: DeadLetters
) -> None:
    done: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        done.append(number)

    broken = note.send(-1).message_id
    for number in range(20):
        note.send(number)
    client: Any = broker.client
    header = client.hget(f"{broker.key}:values", f"default/{broken}").partition(b"\n")[0]
    client.hset(f"{broker.key}:values", f"default/{broken}", header + b"\n{not json")
    with working(threads=8):
        broker.join("default", timeout=30_000)
    assert sorted(done) == list(range(20))
    (letter,) = letters.latest()
    assert letter.message_id == broken
    assert letter.reason["kind"] == "undecodable"


def test_the_same_message_id_is_enqueued_once(broker: PriorityRedisBroker, operations: Operations) -> None:
    message: Message[Any] = Message("default", "note", (1,), {}, {})
    broker.enqueue(message)
    broker.enqueue(message)
    broker.enqueue(message, delay=500)
    assert operations.queue("default").depth == 1
    assert operations.ledger("default").delayed == 0


def test_a_skipped_message_is_done(
    broker: PriorityRedisBroker, working: Working, operations: Operations
) -> None:
    class Skip(Middleware):
        def before_process_message(self, broker: Any, message: Any) -> None:
            raise SkipMessage("not today")

    @dramatiq.actor
    def note() -> None:
        raise AssertionError("was skipped")

    broker.add_middleware(Skip())
    with working():
        note.send()
        broker.join("default", timeout=30_000)
    assert operations.ledger("default").done == 1


def test_results_pipelines_groups_and_callbacks_work(
    broker: PriorityRedisBroker, working: Working, redis_url: str, namespace: str, eventually: Eventually
) -> None:
    finished: list[str] = []
    backend = ResultBackend(url=redis_url, namespace=f"{namespace}-results")
    broker.add_middleware(Results(backend=backend))
    broker.add_middleware(GroupCallbacks(LimiterBackend(url=redis_url)))

    @dramatiq.actor(store_results=True)
    def add(x: int, y: int) -> int:
        return x + y

    @dramatiq.actor
    def finish(word: str) -> None:
        finished.append(word)

    with working():
        piped = dramatiq.pipeline(
            [add.message(1, 2), *(Message("default", "add", (n,), {}, {}) for n in (3, 4))]
        ).run()
        assert piped.get_result(block=True, timeout=30_000) == 10
        group = dramatiq.group([add.message(n, n) for n in range(10)])
        group.add_completion_callback(finish.message("group"))
        group.run()
        assert list(group.get_results(block=True, timeout=30_000)) == [2 * n for n in range(10)]
        eventually(lambda: finished == ["group"])


def test_join_counts_delayed_messages_and_times_out(broker: PriorityRedisBroker) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    note.send_with_options(delay=60_000)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", timeout=200)
    broker.flush_all()
    broker.join("default", timeout=30_000)


def test_a_program_may_consume_a_queue_by_itself(broker: PriorityRedisBroker, operations: Operations) -> None:
    @dramatiq.actor
    def note(number: int) -> None:
        pass

    sent = [note.send(number) for number in range(4)]
    consumer = broker.consume("default", prefetch=3, timeout=100)
    first, second, third = (next(consumer) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert next(consumer) is None  # prefetch is used up
    consumer.ack(first)
    consumer.nack(second)
    consumer.requeue([third])
    again = next(consumer)
    assert again is not None
    assert again.message_id == sent[2].message_id  # at the head again, before the fourth
    consumer.close()
    ledger = operations.ledger("default")
    assert (ledger.done, ledger.dead, ledger.waiting, ledger.leased) == (1, 1, 2, 0)


def test_hooks_run_in_dramatiqs_order(broker: PriorityRedisBroker, working: Working) -> None:
    heard: list[str] = []

    class Ear(Middleware):
        pass

    for name in dir(Middleware):
        if name.startswith(("before_", "after_")):

            def hook(self: Any, *args: Any, _name: str = name, **kwargs: Any) -> None:
                heard.append(_name)

            setattr(Ear, name, hook)
    broker.add_middleware(Ear())

    @dramatiq.actor
    def note() -> None:
        pass

    with working(threads=1) as worker:
        note.send_with_options(delay=50)
        broker.join("default", timeout=30_000)
        worker.join()
    of_message = [name for name in heard if name.endswith(("enqueue", "_message", "_ack"))]
    assert of_message == [
        "before_enqueue",
        "after_enqueue",
        "before_delay_message",
        "before_process_message",
        "after_process_message",
        "before_ack",
        "after_ack",
    ]
    assert heard.index("before_worker_boot") < heard.index("after_worker_boot")
    assert heard.index("before_worker_shutdown") < heard.index("after_worker_shutdown")
    assert {"before_declare_queue", "after_declare_queue", "after_declare_delay_queue"} <= set(heard)
