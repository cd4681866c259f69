from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from web.grouped import MOST_AT_ONCE, Grouped


class Work:
    """Doubles numbers, 13 is refused; the first group waits until it may go on."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()

    def carry_out(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        self.has_begun.set()
        assert self.may_go_on.wait(30)
        if 666 in items:
            raise OSError("the store is gone")
        return [ValueError("13 is refused") if item == 13 else 2 * item for item in items]


def submit(work: Work, numbers: Sequence[int]) -> list[int | BaseException]:
    """What becomes of the numbers, the first of which is being carried out when the others come."""

    async def run() -> list[int | BaseException]:
        grouped = Grouped("test", work.carry_out)
        tasks = [asyncio.create_task(grouped.submit(numbers[0]))]
        assert await asyncio.to_thread(work.has_begun.wait, 30)
        tasks += [asyncio.create_task(grouped.submit(number)) for number in numbers[1:]]
        await asyncio.sleep(0)
        work.may_go_on.set()
        try:
            return await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            grouped.close()

    return asyncio.run(run())


def test_those_who_come_during_a_group_share_the_next_one() -> None:
    work = Work()
    assert submit(work, range(1, 10)) == [2 * number for number in range(1, 10)]
    assert work.groups == [[1], list(range(2, 10))]


def test_a_refused_item_fails_for_itself_alone() -> None:
    results = submit(Work(), [1, 13, 3])
    assert (results[0], results[2]) == (2, 6)
    assert isinstance(results[1], ValueError)


def test_a_failed_group_fails_for_those_in_it_and_for_nobody_else() -> None:
    results = submit(Work(), [1, 666, 3])
    assert results[0] == 2
    assert all(isinstance(result, OSError) for result in results[1:])


def test_a_group_is_bounded() -> None:
    work = Work()
    submit(work, range(2 * MOST_AT_ONCE))
    assert max(map(len, work.groups)) == MOST_AT_ONCE


def test_somebody_who_went_away_does_not_disturb_the_others() -> None:
    work = Work()

    async def run() -> int:
        grouped = Grouped("test", work.carry_out)
        gone = asyncio.create_task(grouped.submit(1))
        assert await asyncio.to_thread(work.has_begun.wait, 30)
        other = asyncio.create_task(grouped.submit(2))
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        work.may_go_on.set()
        try:
            return await other
        finally:
            grouped.close()

    assert asyncio.run(run()) == 4
