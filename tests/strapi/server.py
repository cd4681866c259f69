"""A Strapi to test against, the simulator's face or a real one, behind a socket with faults on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from simulator.server import Answer, Listener, Request
from simulator.strapi.schema import collections
from tests.strapi.tables import Row, Tables

SCHEMA = collections()


def as_usual(_request: Request, answer: Answer) -> Answer:
    return answer


@dataclass
class StrapiServer:
    """`before` may answer in the CMS's place; `after` may spoil the answer of what was done."""

    tables: Tables
    before: Callable[[Request], Answer | None] = lambda _: None
    after: Callable[[Request, Answer], Answer] = as_usual
    requests: list[tuple[str, str]] = field(default_factory=list)
    base_url: str = ""

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [request for request in self.requests if request[0] != "GET"]

    def add(self, collection: str, **fields: Any) -> Row:
        """A row as somebody else would have made it; relations by name and rows."""
        known = SCHEMA[collection].relations
        related = {name: value for name, value in fields.items() if name in known}
        columns = {name: value for name, value in fields.items() if name not in known}
        return self.tables.create(collection, columns, related)

    def edit(self, collection: str, **fields: Any) -> None:
        """Somebody else changes the only row of a collection."""
        (row,) = self.tables.rows(collection)
        self.tables.edit(collection, row, fields)

    def delete(self, collection: str) -> None:
        """Somebody else deletes the only row of a collection."""
        (row,) = self.tables.rows(collection)
        self.tables.delete(collection, row)

    def entries(self, collection: str) -> Sequence[Row]:
        return self.tables.rows(collection)

    def rows(self, collection: str) -> list[dict[str, Any]]:
        """The columns of each row, the oldest row first."""
        columns = SCHEMA[collection].fields
        return [{name: row.fields.get(name) for name in columns} for row in self.tables.rows(collection)]

    def linked(self, collection: str, relation: str, column: str) -> list[list[str]]:
        """For each row, a column of the rows that a relation holds."""
        return [
            sorted(other[column] for other in row.related[relation]) for row in self.tables.rows(collection)
        ]

    def answer(self, request: Request) -> Answer:
        self.requests.append((request.method, request.path.removeprefix(self.tables.prefix)))
        instead = self.before(request)
        return self.after(request, self.tables.answer(request)) if instead is None else instead


@contextmanager
def serving(tables: Tables) -> Iterator[StrapiServer]:
    """Serve on a free port of the loopback, from a thread."""
    strapi = StrapiServer(tables)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    is_listening = threading.Event()

    async def serve() -> None:
        listener = Listener(strapi.answer, lambda *_: None)
        host, port = await listener.listen("127.0.0.1", 0)
        strapi.base_url = f"http://{host}:{port}{tables.prefix}"
        is_listening.set()
        await stop.wait()
        await listener.close()
        # One more turn for the connections that were aborted.
        await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert is_listening.wait(30)
    try:
        yield strapi
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
