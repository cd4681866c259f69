"""Where the time of sending or draining goes, by function."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from contextlib import closing
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from benchmarks.broker.arena import Arena
from benchmarks.broker.contestants import OURS, message
from benchmarks.broker.draining import THREADS, fill
from brokers.redis import PriorityRedisBroker

PROFILES = ("send", "bulk", "drain")
COUNT = 5000
SHOWN = 40


class ThreadProfiles(Middleware):
    """Profiles each of the worker's threads; the time of all is added up."""

    def __init__(self) -> None:
        self.profilers: list[cProfile.Profile] = []

    def after_worker_thread_boot(self, broker: Any, thread: Any) -> None:  # noqa: ARG002 - a hook
        profiler = cProfile.Profile()
        self.profilers.append(profiler)
        profiler.enable()

    after_consumer_thread_boot = after_worker_thread_boot


def profile(name: str, url: str) -> None:
    """Print the functions that cost most."""
    with closing(Arena(OURS, url)) as arena:
        assert isinstance(arena.sender, PriorityRedisBroker)
        profilers = _drain(arena, arena.sender) if name == "drain" else _send(name, arena.sender)
    stats = pstats.Stats(*profilers)
    stats.sort_stats("tottime").print_stats(SHOWN)


def _send(name: str, sender: PriorityRedisBroker) -> list[cProfile.Profile]:
    def one_by_one() -> None:
        for number in range(COUNT):
            sender.enqueue(message("nothing", number=number))

    def in_bulk() -> None:
        sender.enqueue_many(message("nothing", number=number) for number in range(COUNT * 4))

    run: Callable[[], None] = one_by_one if name == "send" else in_bulk
    profiler = cProfile.Profile()
    profiler.runcall(run)
    return [profiler]


def _drain(arena: Arena, sender: PriorityRedisBroker) -> list[cProfile.Profile]:
    @dramatiq.actor(broker=sender)
    def nothing(**_: object) -> None:
        """The cost of a message and of nothing else."""

    fill(arena, COUNT)
    profiles = ThreadProfiles()
    sender.add_middleware(profiles)
    worker = dramatiq.Worker(sender, worker_threads=THREADS)
    worker.start()
    sender.join("default")
    worker.stop()
    for profiler in profiles.profilers:
        profiler.disable()
    return profiles.profilers
