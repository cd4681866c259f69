"""The producer that all watchers of the dashboard share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sync.errors import StoreUnavailable
from web import live
from web.live import Pulse, Shared

WATCHERS = 200


@dataclass
class Source:
    """What is watched; counts how often it is read."""

    value: str = "a"
    reads: int = 0
    is_there: bool = True

    def read(self) -> str:
        self.reads += 1
        if not self.is_there:
            raise StoreUnavailable("Redis did not answer")
        return self.value


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "READ_EVERY_S", 0.01)


async def watch(pulse: Pulse, told: list[int | None], until: int) -> None:
    async for number in pulse.follow():
        told.append(number)
        if len(told) >= until:
            return


def test_a_change_is_told_to_all_and_read_once_for_all() -> None:
    source = Source()

    async def run() -> list[list[int | None]]:
        pulse = Pulse(source.read, asyncio.Event())
        told: list[list[int | None]] = [[] for _ in range(WATCHERS)]
        watching = [asyncio.create_task(watch(pulse, one, 3)) for one in told]
        async with asyncio.timeout(30):
            while not all(len(one) >= 2 for one in told):  # noqa: ASYNC110 others fill the lists
                await asyncio.sleep(0.005)
            source.value = "b"
            await asyncio.gather(*watching)
        return told

    told = asyncio.run(run())
    assert len({tuple(one[1:]) for one in told}) == 1
    assert source.reads < WATCHERS


def test_nothing_is_read_once_nobody_watches() -> None:
    source = Source()

    async def run() -> int:
        pulse = Pulse(source.read, asyncio.Event())
        await watch(pulse, [], 2)
        async with asyncio.timeout(30):
            while pulse._beating is not None:  # noqa: ASYNC110 it ends by itself
                await asyncio.sleep(0.005)
        reads = source.reads
        await asyncio.sleep(5 * live.READ_EVERY_S)  # in which nothing may happen
        return source.reads - reads

    assert asyncio.run(run()) == 0


def test_streams_end_when_the_process_drains() -> None:
    async def run() -> None:
        stopping = asyncio.Event()
        pulse = Pulse(Source().read, stopping)
        told: list[list[int | None]] = [[] for _ in range(WATCHERS)]
        watching = [asyncio.create_task(watch(pulse, one, 99)) for one in told]
        async with asyncio.timeout(30):
            while not all(told):  # noqa: ASYNC110 others fill the lists
                await asyncio.sleep(0.005)
            stopping.set()
            await asyncio.gather(*watching)

    asyncio.run(run())


def test_an_outage_costs_a_moment_and_no_stream() -> None:
    source = Source(is_there=False)

    async def run() -> list[int | None]:
        pulse = Pulse(source.read, asyncio.Event())
        told: list[int | None] = []
        watching = asyncio.create_task(watch(pulse, told, 2))
        async with asyncio.timeout(30):
            while source.reads < 3:  # noqa: ASYNC110 a thread counts them
                await asyncio.sleep(0.005)
            source.is_there = True
            await watching
        return told

    assert len(asyncio.run(run())) == 2


def test_what_many_ask_for_at_once_is_read_once() -> None:
    source = Source()

    async def run() -> set[str]:
        shared = Shared(source.read, lasts_s=60)
        answers = set(await asyncio.gather(*(shared.get() for _ in range(50))))
        assert source.reads == 1
        source.value = "b"
        assert await shared.get() == "a"
        return answers

    async def run_later() -> str:
        shared = Shared(source.read, lasts_s=0.01)
        source.value = "a"
        assert await shared.get() == "a"
        source.value = "b"
        await asyncio.sleep(0.05)  # the first answer's life ends by the clock
        return await shared.get()

    assert asyncio.run(run()) == {"a"}
    assert asyncio.run(run_later()) == "b"
