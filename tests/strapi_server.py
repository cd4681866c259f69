"""A Strapi to test against: the simulator's face behind a real socket, with faults on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from simulator.server import Answer, Listener, Request
from simulator.strapi.face import Strapi
from simulator.strapi.tables import Entry

TOKEN = "strapi-test-token"


def as_usual(_request: Request, answer: Answer) -> Answer:
    return answer


@dataclass
class StrapiServer:
    """`before` may answer in the CMS's place; `after` may spoil the answer of what was done."""

    face: Strapi
    before: Callable[[Request], Answer | None] = lambda _: None
    after: Callable[[Request, Answer], Answer] = as_usual
    requests: list[tuple[str, str]] = field(default_factory=list)
    base_url: str = ""

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [request for request in self.requests if request[0] != "GET"]

    def add(self, collection: str, **fields: Any) -> Entry:
        """An entry as somebody else would have made it; relations by name and entries."""
        known = self.face.tables.schema[collection]
        columns = {name: value for name, value in fields.items() if name in known.fields}
        entry = self.face.tables.create(collection, columns, is_published=True)
        for name in fields.keys() - columns.keys():
            for other in fields[name]:
                self.face.tables.connect(entry, known.relations[name], other)
        return entry

    def rows(self, collection: str) -> list[dict[str, Any]]:
        return [dict(entry.fields) for entry in self.face.tables.entries(collection)]

    def linked(self, collection: str, relation: str, column: str) -> list[list[str]]:
        """For each entry, a column of the entries that a relation holds."""
        edge = self.face.tables.schema[collection].relations[relation]
        return [
            sorted(other.fields[column] for other in self.face.tables.linked(entry, edge))
            for entry in self.face.tables.entries(collection)
        ]

    def answer(self, request: Request) -> Answer:
        self.requests.append((request.method, request.path.removeprefix(self.face.prefix)))
        instead = self.before(request)
        return self.after(request, self.face.answer(request)) if instead is None else instead


@contextmanager
def serving(face: Strapi) -> Iterator[StrapiServer]:
    """Serve a face on a free port of the loopback, from a thread."""
    strapi = StrapiServer(face)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    is_listening = threading.Event()

    async def serve() -> None:
        listener = Listener(strapi.answer, lambda *_: None)
        host, port = await listener.listen("127.0.0.1", 0)
        strapi.base_url = f"http://{host}:{port}{face.prefix}"
        is_listening.set()
        await stop.wait()
        await listener.close()
        # One more turn for the connections that were aborted.
        await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert is_listening.wait(10)
    try:
        yield strapi
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
