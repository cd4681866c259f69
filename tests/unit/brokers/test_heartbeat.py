"""A worker that left stays away, whatever its heartbeat was just doing."""

from __future__ import annotations

import threading
from typing import cast

from brokers.heartbeat import Heartbeat
from brokers.process import Orders, Process


class SlowProcess:
    """Its second beat is on its way until the test lets it arrive."""

    def __init__(self) -> None:
        self.beats = 0
        self.is_on_its_way = threading.Event()
        self.may_arrive = threading.Event()
        self.events: list[str] = []

    def beat(self) -> Orders:
        self.beats += 1
        if self.beats == 2:
            self.is_on_its_way.set()
            self.may_arrive.wait(30)
            self.events.append("registered")
        return Orders(is_new=False, is_quiet=False, must_stop=False)

    def recover_others(self) -> int:
        return 0

    def end_beats(self) -> None:
        """No connection to close."""


def test_a_beat_in_flight_ends_before_the_process_leaves() -> None:
    process = SlowProcess()
    heartbeat = Heartbeat(cast("Process", process), beat_s=0.01)
    heartbeat.start()
    assert process.is_on_its_way.wait(30)

    def leave() -> None:
        heartbeat.close()
        process.events.append("left")

    leaving = threading.Thread(target=leave)
    leaving.start()
    process.may_arrive.set()
    leaving.join(30)
    assert process.events == ["registered", "left"]
