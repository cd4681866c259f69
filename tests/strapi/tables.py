"""The rows of a Strapi as somebody else makes, reads and edits them: of a face, or of a real one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.server import Answer, Request
from simulator.strapi.face import Strapi
from simulator.strapi.schema import collections
from simulator.strapi.tables import Entry
from tests.strapi.real import RealStrapi

TOKEN = "strapi-test-token"
_SCHEMA = collections()
# Of the transport, and not the answer's own.
_HOP_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "date"})


@dataclass(frozen=True, slots=True)
class Row:
    """`number` is what people know; `ref` is what addresses take."""

    number: int
    ref: str
    fields: Mapping[str, Any]
    related: Mapping[str, Sequence[Mapping[str, Any]]]


class Tables(Protocol):
    @property
    def prefix(self) -> str: ...

    @property
    def version(self) -> int: ...

    def answer(self, request: Request) -> Answer: ...

    def create(
        self, collection: str, fields: Mapping[str, Any], related: Mapping[str, Sequence[Row]]
    ) -> Row: ...

    def rows(self, collection: str) -> Sequence[Row]: ...

    def edit(self, collection: str, row: Row, fields: Mapping[str, Any]) -> None: ...

    def delete(self, collection: str, row: Row) -> None: ...


class FaceTables:
    def __init__(self, face: Strapi) -> None:
        self.face = face
        self.prefix = face.prefix
        self.version = 4 if "v4" in face.prefix else 5

    def answer(self, request: Request) -> Answer:
        return self.face.answer(request)

    def create(self, collection: str, fields: Mapping[str, Any], related: Mapping[str, Sequence[Row]]) -> Row:
        tables = self.face.tables
        entry = tables.create(collection, dict(fields), is_published=True)
        for name, others in related.items():
            relation = entry.collection.relations[name]
            for other in others:
                tables.connect(entry, relation, self._find(relation.target, other))
        return self._row(entry)

    def rows(self, collection: str) -> Sequence[Row]:
        return [self._row(entry) for entry in self.face.tables.entries(collection)]

    def edit(self, collection: str, row: Row, fields: Mapping[str, Any]) -> None:
        self._find(collection, row).fields.update(fields)

    def delete(self, collection: str, row: Row) -> None:
        self.face.tables.delete(self._find(collection, row))

    def _find(self, collection: str, row: Row) -> Entry:
        tables = self.face.tables
        entry = (
            tables.find(collection, row.ref)
            if self.version == 5
            else tables.find_number(collection, row.number)
        )
        assert entry is not None
        return entry

    def _row(self, entry: Entry) -> Row:
        return Row(
            entry.number,
            entry.document_id if self.version == 5 else str(entry.number),
            dict(entry.fields),
            {
                name: [other.fields for other in self.face.tables.linked(entry, relation)]
                for name, relation in entry.collection.relations.items()
            },
        )


class RealTables:
    """Over REST, which is also how requests that were meant for a face get there."""

    prefix = "/api/"

    def __init__(self, real: RealStrapi) -> None:
        self._real = real
        self.version = real.version

    def answer(self, request: Request) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        if headers.get("authorization") == f"Bearer {TOKEN}":
            headers["authorization"] = f"Bearer {self._real.token}"
        answer = self._real.client.request(
            request.method,
            request.target.removeprefix(self.prefix),
            headers=headers,
            content=request.body,
        )
        return Answer(
            answer.status_code,
            answer.content,
            content_type=answer.headers.get("content-type", ""),
            headers=tuple(
                (name, value)
                for name, value in answer.headers.items()
                if name not in _HOP_HEADERS and name != "content-type"
            ),
        )

    def create(self, collection: str, fields: Mapping[str, Any], related: Mapping[str, Sequence[Row]]) -> Row:
        links = {
            name: {"connect": [self._reference(other) for other in others]}
            for name, others in related.items()
        }
        return self._row(self._send("POST", collection, {"data": {**fields, **links}}), {})

    def rows(self, collection: str) -> Sequence[Row]:
        relations = list(_SCHEMA[collection].relations)
        order = "documentId" if self._real.version == 5 else "id"
        query = "&".join(f"populate[{place}]={name}" for place, name in enumerate(relations))
        query = f"sort[0]={order}:asc&pagination[pageSize]=100&{query}"
        found: list[Any] = []
        for number in itertools.count(1):
            page = self._send("GET", f"{collection}?pagination[page]={number}&{query}")
            if not page:
                break
            found += page
        rows = [self._row(item, dict.fromkeys(relations)) for item in found]
        # In the order in which they were made.
        return sorted(rows, key=lambda row: (row.fields["createdAt"], row.number))

    def edit(self, collection: str, row: Row, fields: Mapping[str, Any]) -> None:
        self._send("PUT", f"{collection}/{row.ref}", {"data": fields})

    def delete(self, collection: str, row: Row) -> None:
        self._real.send("DELETE", f"{collection}/{row.ref}").raise_for_status()

    def _send(self, method: str, target: str, body: Any = None) -> Any:
        answer = self._real.send(method, target, body)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def _reference(self, row: Row) -> Any:
        return row.ref if self._real.version == 5 else {"id": row.number}

    def _row(self, item: Mapping[str, Any], relations: Mapping[str, None]) -> Row:
        attributes = item.get("attributes", item)
        related = {name: [_flat(other) for other in _many(attributes.get(name))] for name in relations}
        ref = item["documentId"] if self._real.version == 5 else str(item["id"])
        fields = {name: value for name, value in attributes.items() if name not in relations}
        return Row(item["id"], ref, fields, related)


def _many(value: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, Mapping) and "data" in value:
        value = value["data"]
    return [] if value is None else value if isinstance(value, list) else [value]


def _flat(item: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes: Mapping[str, Any] = item.get("attributes", item)
    return attributes
