"""Strapi's REST API, version 4 or 5, over rows in memory."""

from __future__ import annotations

from typing import Any

from simulator.answers import json_answer
from simulator.server import Answer, Request
from simulator.strapi.bodies import Body, apply_wishes, read_body
from simulator.strapi.errors import StrapiError
from simulator.strapi.filters import read_filters
from simulator.strapi.pages import checked_fields, checked_populate, in_order, paged, read_order
from simulator.strapi.query_text import parse_query, values_of
from simulator.strapi.reading import Reader, Rules
from simulator.strapi.schema import GAMES, Collection
from simulator.strapi.tables import Entry, Tables

_WRONG_TOKEN = "wrong"  # noqa: S105  (the one token that is refused)
_READ_ONLY_TOKEN = "read-only"  # noqa: S105  (it may read and not write)
_READING = ("GET", "HEAD")
_VALIDATION_PAGE_SIZE = 1000


class Strapi:
    """`has_drafts` turns draft and publish on; `is_lenient` makes v4 the older 4.12."""

    def __init__(self, version: int, *, has_drafts: bool = False, is_lenient: bool = False) -> None:
        self.tables = Tables()
        self.prefix = f"/strapi-v{version}/api/"
        self.has_drafts = has_drafts
        self._rules = Rules(is_v5=version == 5, is_lenient=is_lenient)
        self._turn = 0

    def answer(self, request: Request) -> Answer:
        self._turn += 1
        try:
            return self._route(request)
        except StrapiError as error:
            return error.answer()

    def _route(self, request: Request) -> Answer:
        name, _, reference = request.path.removeprefix(self.prefix).strip("/").partition("/")
        is_validation = (name, reference) == ("fixtures", "validation")
        collection = self.tables.schema.get(name)
        if not is_validation and (collection is None or "/" in reference):
            raise StrapiError("NotFoundError", "Not Found")
        # After the route: an address that nobody serves is 404 to everybody.
        _authorize(request)
        if collection is None:
            return self._validation(request)
        if reference:
            return self._route_one(request, collection, reference)
        if request.method in _READING:
            return self._list(request, collection)
        return self._create(request, collection) if request.method == "POST" else _not_allowed()

    def _route_one(self, request: Request, collection: Collection, reference: str) -> Answer:
        if request.method in _READING:
            return self._show(request, self._find(request, collection, reference))
        if request.method == "PUT":
            return self._update(request, self._find(request, collection, reference))
        return self._delete(request, collection, reference) if request.method == "DELETE" else _not_allowed()

    def _list(self, request: Request, collection: Collection) -> Answer:
        query = parse_query(request.pairs)
        reader = self._reader(query)
        passes = read_filters(collection, query.get("filters", {}), reader)
        order = read_order(collection, query.get("sort"), reader)
        found = [
            entry
            for entry in self.tables.entries(collection.name)
            if self._is_shown(entry, query, reader) and passes(entry)
        ]
        page, meta = paged(in_order(found, order, reader, turn=self._turn), query.get("pagination"))
        shown = [self._shape(entry, query, reader, request) for entry in page]
        return json_answer({"data": shown, "meta": {"pagination": meta}})

    def _show(self, request: Request, entry: Entry) -> Answer:
        query = parse_query(request.pairs)
        return json_answer({"data": self._shape(entry, query, self._reader(query), request), "meta": {}})

    def _create(self, request: Request, collection: Collection) -> Answer:
        body = read_body(request.body, collection, self.tables, self._rules)
        is_published = not (self.has_drafts and self._is_draft_write(request, body))
        entry = self.tables.create(collection.name, body.fields, is_published=is_published)
        apply_wishes(entry, body.wishes, self.tables)
        answer = self._show(request, entry)
        return Answer(201 if self._rules.is_v5 else 200, answer.body)

    def _update(self, request: Request, entry: Entry) -> Answer:
        """Partial: fields that are not sent stay; equal values still move `updatedAt`."""
        body = read_body(request.body, entry.collection, self.tables, self._rules)
        moment = self.tables.touch(entry)
        apply_wishes(entry, body.wishes, self.tables)
        if self.has_drafts and self._rules.is_v5:
            if self._is_draft_write(request, body):
                entry.draft = (entry.draft or {}) | body.fields
            else:
                entry.fields |= (entry.draft or {}) | body.fields
                entry.draft = None
                entry.published_at = moment
                # Publishing replaces the row: its number is new every time.
                self.tables.renumber(entry)
        else:
            entry.fields |= body.fields
        return self._show(request, entry)

    def _delete(self, request: Request, collection: Collection, reference: str) -> Answer:
        """v5 says 204 to anything, also to a number, which deletes nothing."""
        if self._rules.is_v5:
            entry = self.tables.find(collection.name, reference)
            if entry:
                self.tables.delete(entry)
            return Answer(204)
        entry = self._find(request, collection, reference)
        answer = self._show(request, entry)
        self.tables.delete(entry)
        return answer

    def _find(self, request: Request, collection: Collection, reference: str) -> Entry:
        if self._rules.is_v5:
            entry = self.tables.find(collection.name, reference)
            query = parse_query(request.pairs)
            # A draft is found by id only when drafts are asked for; a write may publish it.
            if entry and request.method == "GET" and not self._is_shown(entry, query, self._reader(query)):
                entry = None
        else:
            number = int(reference) if reference.isdigit() else 0
            entry = self.tables.find_number(collection.name, number)
        if entry is None:
            raise StrapiError("NotFoundError", "Not Found")
        return entry

    def _is_shown(self, entry: Entry, query: dict[str, Any], reader: Reader) -> bool:
        if not self.has_drafts or reader.is_draft:
            return True
        if not self._rules.is_v5 and query.get("publicationState") == "preview":
            return True
        return entry.published_at is not None

    def _is_draft_write(self, request: Request, body: Body) -> bool:
        return request.query.get("status") == "draft" if self._rules.is_v5 else body.is_draft

    def _reader(self, query: dict[str, Any]) -> Reader:
        is_draft = self._rules.is_v5 and self.has_drafts and query.get("status") == "draft"
        return Reader(self.tables, self._rules, is_draft=is_draft)

    def _shape(self, entry: Entry, query: dict[str, Any], reader: Reader, request: Request) -> dict[str, Any]:
        """The entry in the version's own form, or a v5 entry in v4's when the header asks for it."""
        collection = entry.collection
        fields = checked_fields(collection, query.get("fields"), self._rules)
        names = [*collection.fields, "createdAt", "updatedAt"]
        if self._rules.is_v5 or self.has_drafts:
            names.append("publishedAt")
        attributes = {name: reader.value(entry, name) for name in names if fields is None or name in fields}
        is_wrapped = not self._rules.is_v5 or request.headers.get("strapi-response-format") == "v4"
        populate = checked_populate(collection, query.get("populate"), self._rules)
        for name, options in populate.items():
            relation = collection.relations[name]
            others = [
                self._shape(other, options, reader, request)
                for other in self.tables.linked(entry, relation)
                if self._is_shown(other, query, reader)
            ]
            shown = others if relation.is_many else (others[0] if others else None)
            attributes[name] = {"data": shown} if is_wrapped else shown
        number = reader.value(entry, "id")
        shape = {"id": number, "attributes": attributes} if is_wrapped else {"id": number, **attributes}
        return shape | ({"documentId": entry.document_id} if self._rules.is_v5 else {})

    def _validation(self, request: Request) -> Answer:
        """The light list of stored games of teams in a window; a route of this CMS's own."""
        query = parse_query(request.pairs)
        wanted = set(values_of(query.get("teamIds")))
        first, last = str(query.get("fromDate", ""))[:10], str(query.get("toDate", "9"))[:10]
        games = [
            entry
            for name in GAMES
            for entry in self.tables.entries(name)
            if first <= str(entry.fields.get("dayOne") or "")[:10] <= last
            and wanted & {str(team.number) for team in self._teams(entry)}
        ]
        games.sort(key=lambda entry: entry.number)
        page, meta = paged(games, query, max_size=_VALIDATION_PAGE_SIZE)
        shown = [
            {
                "id": entry.number,
                "gameID": entry.fields["gameID"],
                "urlToScoreCard": entry.fields["urlToScoreCard"],
            }
            for entry in page
        ]
        return json_answer({"data": shown, "meta": {"pagination": meta}})

    def _teams(self, game: Entry) -> list[Entry]:
        return self.tables.linked(game, game.collection.relations["teams"])


def _not_allowed() -> Answer:
    return Answer(405, b"Method Not Allowed", content_type="text/plain; charset=utf-8")


def _authorize(request: Request) -> None:
    """Nothing sent, or no right: 403; a wrong token: 401."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token == _WRONG_TOKEN:
        raise StrapiError("UnauthorizedError", "Missing or invalid credentials")
    if not token or (token == _READ_ONLY_TOKEN and request.method not in _READING):
        raise StrapiError("ForbiddenError", "Forbidden")
