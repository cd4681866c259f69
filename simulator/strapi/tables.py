"""The CMS's rows, in memory: entries by document id, and the edges between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from simulator.strapi.schema import Collection, Relation, collections

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_FIRST_MOMENT = datetime(2031, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Entry:
    """One row. `draft` holds what was saved as a draft on top of the published fields."""

    collection: Collection
    document_id: str
    number: int
    draft_number: int
    created_at: str
    updated_at: str
    published_at: str | None
    fields: dict[str, Any] = field(default_factory=dict)
    draft: dict[str, Any] | None = None


class Tables:
    """Time is a counter of milliseconds: each write is later than the one before."""

    def __init__(self) -> None:
        self.schema = collections()
        self._entries: dict[str, dict[str, Entry]] = {name: {} for name in self.schema}
        self._by_number: dict[str, dict[int, Entry]] = {name: {} for name in self.schema}
        self._edges: dict[tuple[str, bool], dict[str, dict[str, None]]] = {}
        self._numbers: dict[str, int] = dict.fromkeys(self.schema, 0)
        self._writes = 0

    def entries(self, name: str) -> list[Entry]:
        return list(self._entries[name].values())

    def find(self, name: str, document_id: str) -> Entry | None:
        return self._entries[name].get(document_id)

    def find_number(self, name: str, number: int) -> Entry | None:
        """The entry whose published or draft row has the number now."""
        return self._by_number[name].get(number)

    def create(self, name: str, fields: dict[str, Any], *, is_published: bool) -> Entry:
        now = self._now()
        digest = blake2b(f"{name}/{self._writes}".encode(), digest_size=24).digest()
        entry = Entry(
            collection=self.schema[name],
            document_id="".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest),
            number=0,
            draft_number=0,
            created_at=now,
            updated_at=now,
            published_at=now if is_published else None,
            fields=dict.fromkeys(self.schema[name].fields) | fields,
        )
        entry.number = entry.draft_number = self._next_number(entry)
        self._entries[name][entry.document_id] = entry
        return entry

    def touch(self, entry: Entry) -> str:
        """Note a write; answers its moment."""
        entry.updated_at = self._now()
        return entry.updated_at

    def delete(self, entry: Entry) -> None:
        del self._entries[entry.collection.name][entry.document_id]
        for number in {entry.number, entry.draft_number}:
            del self._by_number[entry.collection.name][number]
        for relation in entry.collection.relations.values():
            self.link(entry, relation, [])

    def renumber(self, entry: Entry) -> None:
        """Give the published row a new number; the old one is nobody's."""
        if entry.number != entry.draft_number:
            del self._by_number[entry.collection.name][entry.number]
        entry.number = self._next_number(entry)

    def linked(self, entry: Entry, relation: Relation) -> list[Entry]:
        """The entries at the other end, in the order in which they were connected."""
        other = self._entries[relation.target]
        ids = self._side(relation.edge, is_left=relation.is_left).get(entry.document_id, {})
        return [other[document_id] for document_id in ids if document_id in other]

    def link(self, entry: Entry, relation: Relation, others: Iterable[Entry]) -> None:
        """Put these entries, and no others, at the other end."""
        for other in self.linked(entry, relation):
            self.disconnect(entry, relation, other)
        for other in others:
            self.connect(entry, relation, other)

    def connect(self, entry: Entry, relation: Relation, other: Entry) -> None:
        """A relation to one lets go of the one it had, at either end."""
        if not relation.is_many:
            for former in self.linked(entry, relation):
                self.disconnect(entry, relation, former)
        back = self._back(relation)
        if back is not None and not back.is_many:
            for former in self.linked(other, back):
                self.disconnect(other, back, former)
        self._side(relation.edge, is_left=relation.is_left).setdefault(entry.document_id, {})[
            other.document_id
        ] = None
        self._side(relation.edge, is_left=not relation.is_left).setdefault(other.document_id, {})[
            entry.document_id
        ] = None

    def disconnect(self, entry: Entry, relation: Relation, other: Entry) -> None:
        self._side(relation.edge, is_left=relation.is_left).get(entry.document_id, {}).pop(
            other.document_id, None
        )
        self._side(relation.edge, is_left=not relation.is_left).get(other.document_id, {}).pop(
            entry.document_id, None
        )

    def _next_number(self, entry: Entry) -> int:
        name = entry.collection.name
        self._numbers[name] += 1
        self._by_number[name][self._numbers[name]] = entry
        return self._numbers[name]

    def _back(self, relation: Relation) -> Relation | None:
        ends = self.schema[relation.target].relations.values()
        return next((end for end in ends if end.edge == relation.edge and end is not relation), None)

    def _side(self, edge: str, *, is_left: bool) -> dict[str, dict[str, None]]:
        return self._edges.setdefault((edge, is_left), {})

    def _now(self) -> str:
        self._writes += 1
        moment = _FIRST_MOMENT + timedelta(milliseconds=self._writes)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
