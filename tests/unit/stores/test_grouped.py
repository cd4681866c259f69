from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from stores.sql.grouped import GroupCommit


class Store:
    """Keeps the groups it was given; the first one waits until others have come."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go_on = threading.Event()
        self.has_begun = threading.Event()

    def write(self, items: Sequence[int]) -> None:
        self.groups.append(list(items))
        self.has_begun.set()
        assert self.may_go_on.wait(10)
        if 13 in items:
            raise ValueError("13 cannot be stored")


def test_those_who_come_during_a_write_share_the_next_one() -> None:
    store = Store()
    group = GroupCommit(store.write)
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(group.submit, 0)
        assert store.has_begun.wait(10)
        others = [threads.submit(group.submit, item) for item in range(1, 9)]
        while len(group._waiting) < len(others):
            threading.Event().wait(0.001)
        store.may_go_on.set()
        for one in (first, *others):
            one.result(10)
    assert store.groups[0] == [0]
    assert sorted(store.groups[1]) == list(range(1, 9))
    assert len(store.groups) == 2


def test_a_failed_write_fails_for_those_in_it_and_for_nobody_else() -> None:
    store = Store()
    store.may_go_on.set()
    group = GroupCommit(store.write)
    with pytest.raises(ValueError, match="13"):
        group.submit(13)
    group.submit(1)
    assert store.groups == [[13], [1]]
