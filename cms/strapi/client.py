"""The REST client of Strapi: questions by key, pages to the total, and the version that it learns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx

from cms.strapi.calls import Calls, QuestionTooLong
from cms.strapi.entries import Entry, Version, read_entry
from cms.strapi.queries import IN_LIMIT, Query, contains_any, drafts, is_in, page, populated
from sync.errors import CmsAnswersWrongly, CmsUnavailable, NotFound

log = logging.getLogger(__name__)

_PAGES_AT_MOST = 1000
# Somebody else writes between two pages; a list that never stands still is told as a failure.
_LISTINGS = 4


class StrapiClient:
    """One CMS; its version is given, or learned from the first entry seen."""

    def __init__(self, http: httpx.Client, *, version: Version | None) -> None:
        self._calls = Calls(http)
        self.version = version

    def close(self) -> None:
        self._calls.close()

    def find_by_id(self, collection: str, number: int, relations: Sequence[str] = ()) -> Entry:
        """By the number that people know; in v5 the path takes only documentIds. Raises NotFound."""
        query = [("filters[id][$eq]", str(number)), *populated(relations)]
        found = [entry for entry in self._list(collection, query, relations) if entry.number == number]
        if not found:
            raise NotFound(f"the CMS has no {collection} {number}")
        return found[0]

    def find_by_ref(self, collection: str, ref: str, relations: Sequence[str] = ()) -> Entry:
        """By the reference that the version's addresses take. Raises NotFound."""
        return self._calls.send(
            "GET",
            f"{collection}/{quote(ref, safe='')}",
            lambda content: self._read_entry(content, relations),
            query=populated(relations),
        )

    def find_by_keys(
        self,
        collection: str,
        field: str,
        keys: Sequence[str],
        relations: Sequence[str] = (),
        *,
        is_draft: bool = False,
    ) -> Mapping[str, Sequence[Entry]]:
        """The entries of each key, oldest first; keys without one are left out.

        Case does not matter, as it does not to some databases. Drafts are asked for apart;
        without draft and publish the answer is the same.
        """
        found: dict[str, list[Entry]] = {}
        wanted = {key.casefold(): key for key in keys}
        extra = drafts(self.version) if is_draft else []

        def asking(portion: Sequence[str]) -> Query:
            return [*is_in(field, portion), *populated(relations), *extra]

        for entry in self._list_each(collection, asking, sorted(wanted.values()), relations):
            key = wanted.get(str(entry.fields.get(field)).casefold())
            if key is None:
                raise CmsAnswersWrongly(
                    f"the CMS ignored the filter on {field}: it answered other {collection}"
                )
            found.setdefault(key, []).append(replace(entry, is_draft=is_draft))
        for entries in found.values():
            entries.sort(key=lambda entry: entry.age)
        return found

    def find_by_endings(
        self, collection: str, field: str, codes: Sequence[str], relations: Sequence[str] = ()
    ) -> Mapping[str, Sequence[Entry]]:
        """The entries of each code that ends the field, as a page address, oldest first."""
        found: dict[str, list[Entry]] = {}
        wanted = {code.casefold(): code for code in codes}

        # Not $endsWith: some addresses end in a slash.
        def asking(portion: Sequence[str]) -> Query:
            return [*contains_any(field, portion), *populated(relations)]

        for entry in self._list_each(collection, asking, sorted(wanted.values()), relations):
            code = wanted.get(address_end(entry.fields.get(field)).casefold())
            if code is not None:
                found.setdefault(code, []).append(entry)
        for entries in found.values():
            entries.sort(key=lambda entry: entry.age)
        return found

    def find_linked(
        self, collection: str, relation: str, field: str, keys: Sequence[str], relations: Sequence[str]
    ) -> Sequence[Entry]:
        """Entries whose relation holds one with a field among the keys, with their relations."""
        return self._list_each(
            collection,
            lambda portion: [*is_in(f"{relation}.{field}", portion), *populated(relations)],
            sorted(set(keys)),
            relations,
        )

    def create(self, collection: str, fields: Mapping[str, Any]) -> Entry:
        """POST once. Raises RecordRefused; CmsUnavailable, RateLimited and AnswerGarbled when it is not
        known whether it was stored.
        """
        return self._calls.send_once("POST", collection, self._read_entry, body={"data": fields})

    def update(self, collection: str, ref: str, fields: Mapping[str, Any], *, is_draft: bool = False) -> None:
        """PUT the fields; those not named stay, and so does a draft. Raises RecordRefused and NotFound."""
        self._calls.send(
            "PUT",
            f"{collection}/{quote(ref, safe='')}",
            self._read_updated,
            query=drafts(self.version) if is_draft else [],
            body={"data": fields},
        )

    def call(self, route: str) -> None:
        """Call a route of the CMS's own, once, whatever its body. Raises NotFound when it has none."""
        self._calls.receive("GET", route)

    def _list_each(
        self,
        collection: str,
        asking: Callable[[Sequence[str]], Query],
        values: Sequence[str],
        relations: Sequence[str],
    ) -> Sequence[Entry]:
        """The entries that the values name, asked for in portions that the CMS takes."""
        found: list[Entry] = []
        portions = [values[start : start + IN_LIMIT] for start in range(0, len(values), IN_LIMIT)]
        while portions:
            portion = portions.pop(0)
            try:
                found += self._list(collection, asking(portion), relations)
            except QuestionTooLong as error:
                if len(portion) == 1:
                    raise CmsAnswersWrongly(str(error)) from error
                half = len(portion) // 2
                portions = [portion[:half], portion[half:], *portions]
        return found

    def _list(self, collection: str, query: Query, relations: Sequence[str]) -> Sequence[Entry]:
        for _ in range(_LISTINGS):
            entries = self._list_once(collection, query, relations)
            if entries is not None:
                return entries
        raise CmsUnavailable(f"the CMS's pages of {collection} do not add up to its total")

    def _list_once(self, collection: str, query: Query, relations: Sequence[str]) -> Sequence[Entry] | None:
        """All pages; None when they do not add up, because the list changed between them."""
        order_by = "documentId" if self.version is Version.V5 else "id"
        entries: dict[str, Entry] = {}
        for number in range(1, _PAGES_AT_MOST):
            found, pages, total = self._calls.send(
                "GET",
                collection,
                lambda content: self._read_page(content, collection, relations),
                query=[*query, *page(number, order_by=order_by)],
            )
            known = len(entries)
            entries |= {entry.ref: entry for entry in found}
            if number >= pages:
                return list(entries.values()) if len(entries) == total else None
            if len(entries) == known:
                break
        return None

    def _read_page(
        self, content: Any, collection: str, relations: Sequence[str]
    ) -> tuple[Sequence[Entry], int, int]:
        """The entries of a page, how many pages there are, and how many entries in all."""
        try:
            items, pagination = content["data"], content["meta"]["pagination"]
            pages, total = int(pagination["pageCount"]), int(pagination["total"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CmsAnswersWrongly(f"the CMS answered no list of {collection}") from error
        if not isinstance(items, list):
            raise CmsAnswersWrongly(f"the CMS answered no list of {collection}")
        return [self._read(item, relations) for item in items], pages, total

    def _read_entry(self, content: Any, relations: Sequence[str] = ()) -> Entry:
        return self._read(content.get("data") if isinstance(content, Mapping) else None, relations)

    def _read_updated(self, content: Any) -> None:
        # Nothing at all is as good as the entry.
        if content is not None:
            self._read_entry(content)

    def _read(self, raw: Any, relations: Sequence[str]) -> Entry:
        entry = read_entry(raw, relations)
        if self.version is None:
            self.version = entry.version
            log.info("cms_version_learned", extra={"version": entry.version.value})
        elif entry.version is not self.version:
            raise CmsAnswersWrongly(
                f"cms.strapi.version: the CMS answers as {entry.version}, but is taken for {self.version}"
            )
        return entry


def address_end(address: Any) -> str:
    """The last part of a page address."""
    return str(address or "").rstrip("/").rpartition("/")[2]
