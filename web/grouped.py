"""What many requests ask for at the same time, carried out in one go.

A question to Redis or SQL costs more than one row in it. Whoever asks while a group is being
carried out goes into the next one, together with everybody else who has come by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Bounds how long a group keeps those who come after it waiting.
MOST_AT_ONCE = 200


class Grouped(Generic[T, R]):
    """`carry_out` answers each item of a group, in order, with its result or its error.

    It runs in a thread of its own, one group at a time. What it raises is everybody's error.
    """

    def __init__(self, name: str, carry_out: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._carry_out = carry_out
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._working: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def submit(self, item: T) -> R:
        """The item's result, when its group is done. Raises the item's error."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await answer

    def close(self) -> None:
        """Begin no further group."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                await self._settle(group)
        finally:
            self._working = None

    async def _settle(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._carry_out, [item for item, _ in group])
        except Exception as error:  # noqa: BLE001 handed to each of those who wait for it
            results = [error] * len(group)
        for (_, answer), result in zip(group, results, strict=True):
            if answer.done():  # its client has gone
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
