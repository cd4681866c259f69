from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.worker import Worker

from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from sync.errors import Stopping


@pytest.fixture
def received() -> Iterator[list[int]]:
    """What reached the handler that dramatiq would have installed."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGTERM, handle)
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_only_the_first_of_several_signals_reaches_the_worker(received: list[int]) -> None:
    broker = StubBroker(middleware=[DrainOnSigterm()])
    broker.emit_after("process_boot")
    for _ in range(3):
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]


def test_long_actors_are_told_from_the_signal_on(received: list[int]) -> None:
    drain = DrainOnSigterm()
    broker = StubBroker(middleware=[drain])
    broker.emit_after("process_boot")
    drain.raise_if_stopping()
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Stopping) as stopping:
        drain.raise_if_stopping()
    assert stopping.value.retry_after_s == 0.0


def test_shutdown_without_a_signal_counts_too() -> None:
    drain = DrainOnSigterm()
    broker = StubBroker(middleware=[drain])
    broker.emit_before("worker_shutdown", Worker(broker))
    with pytest.raises(Stopping):
        drain.raise_if_stopping()
