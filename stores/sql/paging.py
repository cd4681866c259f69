"""Pages of long lists: a cursor says after which row the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from sync.errors import InvalidRequest

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list; `next_cursor` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None = None

    def map(self, transform: Callable[[T], U]) -> Page[U]:
        return Page([transform(item) for item in self.items], self.next_cursor)


def cut_page(rows: Sequence[T], limit: int, position: Callable[[T], tuple[Any, ...]]) -> Page[T]:
    """A page of at most `limit` of the rows, which were read with one more than that."""
    if len(rows) <= limit:
        return Page(rows)
    return Page(rows[:limit], write_cursor(position(rows[limit - 1])))


def read_cursor(cursor: str, shape: type[T]) -> T:
    """The position in a cursor. Raises InvalidRequest when it is none of ours."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=shape)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("cursor: not one that an earlier page gave") from error


def write_cursor(position: tuple[Any, ...]) -> str:
    """The cursor that `read_cursor` reads."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()
