"""Waiting that gives way to a draining worker."""

from __future__ import annotations

import time

import pytest

from providers.door import stoppable_sleep
from sync.errors import Stopping
from tests.fakes import FakeStopSignal


def test_sleep_of_a_draining_worker_ends_at_once() -> None:
    stop = FakeStopSignal()
    stop.is_stopping = True
    started_s = time.monotonic()
    with pytest.raises(Stopping):
        stoppable_sleep(stop)(60)
    assert time.monotonic() - started_s < 10


def test_sleep_of_a_working_worker_lasts_as_long_as_asked_for() -> None:
    started_s = time.monotonic()
    stoppable_sleep(FakeStopSignal())(0.05)
    assert time.monotonic() - started_s >= 0.05
