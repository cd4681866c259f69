"""The REST client of Strapi: authorisation, pages to the total, retries, errors in our words."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from cms.strapi.entries import Entry, Version, read_entry
from cms.strapi.queries import IN_LIMIT, Query, is_in, page, populated
from sync.errors import (
    CmsAnswersWrongly,
    CmsRefusesKey,
    CmsThrottles,
    CmsUnavailable,
    NotFound,
    RateLimited,
    SyncError,
)

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_RETRY_BASE_S = 0.25
_RETRY_CAP_S = 5.0
# A longer pause is left to the run, which is sent again after it.
_LONGEST_PAUSE_S = 10.0
_PAGES_AT_MOST = 1000
# Somebody else writes between two pages; a list that never stands still is told as a failure.
_LISTINGS = 4
# How a server, or a proxy before it, says that an address is too long for it.
_TOO_LONG = frozenset(
    {
        httpx.codes.REQUEST_ENTITY_TOO_LARGE,
        httpx.codes.REQUEST_URI_TOO_LONG,
        httpx.codes.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)


Parameter = tuple[str, str]


class RecordRefused(SyncError):
    """The CMS does not take this one record; the others go on."""


class QuestionTooLong(SyncError):
    """The address is longer than the CMS takes: the same is asked in two."""


class RecordFailed(CmsUnavailable):
    """A 500 to a write: the CMS's fault, or this one record's (a number too large, a text too long)."""


class StrapiClient:
    """One CMS; its version is given, or learned from the first entry seen."""

    def __init__(self, http: httpx.Client, *, version: Version | None) -> None:
        self._http = http
        self.version = version

    def close(self) -> None:
        self._http.close()

    def find_by_id(self, collection: str, number: int, relations: Sequence[str] = ()) -> Entry:
        """By the number that people know; in v5 the path takes only documentIds. Raises NotFound."""
        query = [("filters[id][$eq]", str(number)), *populated(relations)]
        found = [entry for entry in self._list(collection, query, relations) if entry.number == number]
        if not found:
            raise NotFound(f"the CMS has no {collection} {number}")
        return found[0]

    def find_by_ref(self, collection: str, ref: str, relations: Sequence[str] = ()) -> Entry:
        """By the reference that the version's addresses take. Raises NotFound."""
        answer = self._send("GET", f"{collection}/{ref}", query=populated(relations))
        return self._entry(answer, f"find {collection}", relations)

    def find_by_keys(
        self, collection: str, field: str, keys: Sequence[str], relations: Sequence[str] = ()
    ) -> Mapping[str, Sequence[Entry]]:
        """The entries of each key, oldest first; keys without one are left out."""
        found: dict[str, list[Entry]] = {}
        wanted = set(keys)
        for entry in self._list_in(collection, field, sorted(wanted), relations):
            key = entry.fields.get(field)
            if key not in wanted:
                raise CmsAnswersWrongly(
                    f"the CMS ignored the filter on {field}: it answered other {collection}"
                )
            found.setdefault(key, []).append(entry)
        for entries in found.values():
            entries.sort(key=lambda entry: entry.age)
        return found

    def find_by_endings(self, collection: str, field: str, codes: Sequence[str]) -> Mapping[str, Entry]:
        """The oldest entry of each code that ends the field, as a page address; others are left out."""
        found: dict[str, Entry] = {}
        for code in sorted(set(codes)):
            # Not $endsWith: some addresses end in a slash.
            entries = self._list(collection, [(f"filters[{field}][$contains]", code)], ())
            own = [entry for entry in entries if address_end(entry.fields.get(field)) == code]
            if own:
                found[code] = min(own, key=lambda entry: entry.age)
        return found

    def find_linked(
        self, collection: str, relation: str, field: str, keys: Sequence[str], relations: Sequence[str]
    ) -> Sequence[Entry]:
        """Entries whose relation holds one with a field among the keys, with their relations."""
        return self._list_in(collection, f"{relation}.{field}", sorted(set(keys)), relations)

    def create(self, collection: str, fields: Mapping[str, Any]) -> Entry:
        """POST once. Raises RecordRefused, and CmsUnavailable when it is not known whether it was stored."""
        answer = self._send_once("POST", collection, body={"data": fields})
        return self._entry(answer, "create " + collection)

    def update(self, collection: str, ref: str, fields: Mapping[str, Any]) -> None:
        """PUT the fields; those not named stay. Raises RecordRefused and NotFound."""
        _raise_for_page(self._send("PUT", f"{collection}/{ref}", body={"data": fields}))

    def call(self, route: str) -> None:
        """Call a route of the CMS's own, once, whatever its body. Raises NotFound when it has none."""
        self._send_once("GET", route)

    def _list_in(
        self, collection: str, field: str, values: Sequence[str], relations: Sequence[str]
    ) -> Sequence[Entry]:
        """The entries whose field is one of the values, asked for in portions that the CMS takes."""
        found: list[Entry] = []
        portions = [values[start : start + IN_LIMIT] for start in range(0, len(values), IN_LIMIT)]
        while portions:
            portion = portions.pop(0)
            try:
                found += self._list(collection, [*is_in(field, portion), *populated(relations)], relations)
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
            answer = self._json(
                self._send("GET", collection, query=[*query, *page(number, order_by=order_by)])
            )
            raw, pagination = _page_of(answer, collection)
            for item in raw:
                entry = read_entry(item, relations)
                self._learn(entry)
                entries[entry.ref] = entry
            if number >= pagination["pageCount"]:
                return list(entries.values()) if len(entries) == pagination["total"] else None
            if not raw:
                break
        return None

    def _entry(self, answer: httpx.Response, operation: str, relations: Sequence[str] = ()) -> Entry:
        content = self._json(answer)
        if not isinstance(content, Mapping):
            raise CmsAnswersWrongly(f"{operation}: the CMS answered no entry")
        entry = read_entry(content.get("data"), relations)
        self._learn(entry)
        return entry

    def _learn(self, entry: Entry) -> None:
        if self.version is None:
            self.version = entry.version
            log.info("cms_version_learned", extra={"version": entry.version.value})
        elif entry.version is not self.version:
            raise CmsAnswersWrongly(
                f"cms.strapi.version: the CMS answers as {entry.version}, but is taken for {self.version}"
            )

    def _send(
        self, method: str, path: str, *, query: Sequence[Parameter] = (), body: Any = None
    ) -> httpx.Response:
        """Send something that may be repeated. Raises the errors of `_send_once`."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send_once(method, path, query=query, body=body)
            except (CmsUnavailable, RateLimited) as error:
                pause_s = _pause_s(error, attempt)
                if attempt == _ATTEMPTS or pause_s > _LONGEST_PAUSE_S:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last attempt answers or raises")

    def _send_once(
        self, method: str, path: str, *, query: Sequence[Parameter] = (), body: Any = None
    ) -> httpx.Response:
        operation = f"{method} {path}"
        try:
            answer = self._http.request(method, path, params=list(query), json=body)
        except httpx.TransportError as error:
            raise CmsUnavailable(f"{operation}: the CMS did not answer ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise CmsAnswersWrongly(f"{operation}: {type(error).__name__}") from error
        _raise_for_status(answer, operation)
        return answer

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        _raise_for_page(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise CmsAnswersWrongly(f"{answer.request.url.path}: the CMS did not answer JSON") from error


def address_end(address: Any) -> str:
    """The last part of a page address."""
    return str(address or "").rstrip("/").rpartition("/")[2]


def _page_of(answer: Any, collection: str) -> tuple[Sequence[Any], Mapping[str, int]]:
    try:
        entries, pagination = answer["data"], answer["meta"]["pagination"]
        counts = {name: int(pagination[name]) for name in ("pageCount", "total")}
    except (KeyError, TypeError, ValueError) as error:
        raise CmsAnswersWrongly(f"the CMS answered no list of {collection}") from error
    if not isinstance(entries, list):
        raise CmsAnswersWrongly(f"the CMS answered no list of {collection}")
    return entries, counts


def _raise_for_status(answer: httpx.Response, operation: str) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    reason = _reason(answer)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CmsRefusesKey(f"{operation}: the CMS refuses the token ({status}): {reason}")
    if status == httpx.codes.NOT_FOUND:
        raise NotFound(f"{operation}: the CMS knows no such thing")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise CmsThrottles(f"{operation}: the CMS throttles", retry_after_s=_retry_after_s(answer))
    if status in _TOO_LONG and answer.request.method == "GET":
        raise QuestionTooLong(f"{operation}: the CMS takes no address of this length ({status})")
    is_write = answer.request.method != "GET"
    if status == httpx.codes.INTERNAL_SERVER_ERROR and is_write:
        raise RecordFailed(f"{operation}: the CMS failed ({status}): {reason}")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise CmsUnavailable(f"{operation}: the CMS answered {status}")
    if is_write:
        raise RecordRefused(f"{status}: {reason}")
    raise CmsAnswersWrongly(f"{operation}: the CMS answered {status}: {reason}")


def _raise_for_page(answer: httpx.Response) -> None:
    """A login page, or a proxy's word about maintenance, is no answer of the CMS."""
    if "html" in answer.headers.get("content-type", ""):
        raise CmsUnavailable(f"{answer.request.url.path}: a page for people answered in the CMS's place")


def _reason(answer: httpx.Response) -> str:
    """Strapi's own words; each wrong field with what is wrong."""
    try:
        error = answer.json()["error"]
        details = error.get("details") or {}
        fields = [
            f"{'.'.join(map(str, item.get('path', ())))}: {item.get('message')}"
            for item in details.get("errors", ())
        ]
        return "; ".join(fields) or str(error["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no reason given"


def _retry_after_s(answer: httpx.Response) -> float:
    """The header in either form: seconds, or an HTTP date."""
    given = answer.headers.get("retry-after", "")
    if given.isdigit():
        return float(given)
    try:
        at = parsedate_to_datetime(given)
    except ValueError:
        return _RETRY_CAP_S
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _pause_s(error: SyncError, attempt: int) -> float:
    if isinstance(error, RateLimited):
        return error.retry_after_s
    return random.uniform(0, min(_RETRY_CAP_S, _RETRY_BASE_S * 2**attempt))  # noqa: S311 - full jitter
