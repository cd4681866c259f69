"""Brings rows of the CMS to what they should be, writing only what differs.

Looked up by key in batches; created once, even when an answer gets lost; the oldest of
several rows with one key is taken, and a row that belongs to another record is left alone.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from cms.local import CmsRefs
from cms.strapi.calls import AnswerGarbled, RecordFailed, RecordRefused
from cms.strapi.client import StrapiClient
from cms.strapi.entries import Entry, connection
from cms.strapi.projection import ASSOCIATIONS, KEYS, Row, Target, is_same
from sync.errors import CmsAnswersWrongly, CmsUnavailable, NotFound, RateLimited, SyncError

log = logging.getLogger(__name__)

_CREATE_ATTEMPTS = 3
_CREATE_PAUSE_S = 0.5
# So many records failing one after another mean that the CMS is broken, not the records.
_BROKEN_AFTER = 3
# Another run that creates the same row is done within seconds, or dead.
_LOOKS_AT_OTHERS = 6
_LOOK_PAUSE_S = 0.5
# A name that it does not know is refused by v5, in a question also by newer v4s, which say which.
_UNKNOWN_COLUMN = re.compile(r"Invalid (?:key|parameter) (\w+)")


class Done(Enum):
    CREATED = auto()
    UPDATED = auto()
    UNCHANGED = auto()
    # Not there, and not to be made.
    ABSENT = auto()


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


Result = Done | Refused
# Of a collection's keys, those that the caller may create now.
Claim = Callable[[str, Sequence[str]], Collection[str]]
Refs = Mapping[Target, Entry]


class Upserts:
    def __init__(self, client: StrapiClient, made: CmsRefs, claim: Claim, *, concurrency: int) -> None:
        self._client = client
        # Where the rows that we made are, by collection and key.
        self._made = made
        self._claim = claim
        self._concurrency = concurrency
        # Columns that this CMS turned out not to have, by collection.
        self._missing_columns: dict[str, set[str]] = defaultdict(set)

    def write(self, rows: Sequence[Row]) -> Sequence[Result]:
        """Write the rows of one collection; a refused one is answered with the reason.

        Raises CmsUnavailable, CredentialsRejected and UnexpectedResponse: those written by
        then are in the CMS, and writing the same again finds them.
        """
        if not rows:
            return ()
        relations = sorted({name for row in rows for name in row.links})
        stored = self._found_or_claimed(rows, relations)
        refs = self._find_targets(target for row in rows for links in row.links.values() for target in links)
        failures = _Failures()

        def write_one(row: Row) -> Result:
            return failures.contain(lambda: self._write(row, stored.get(row.key, ()), refs))

        with ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(write_one, rows))

    def find(self, rows: Sequence[Row], relations: Sequence[str] = ()) -> Mapping[str, Sequence[Entry]]:
        """The stored entries of rows of one collection, by key and oldest first.

        One that people took back into a draft is found as such: a second, published one would
        be a duplicate.
        """
        collection, field = rows[0].collection, rows[0].key_field
        keys = {row.key for row in rows}
        found = dict(self._client.find_by_keys(collection, field, sorted(keys), relations))
        if missing := sorted(keys - found.keys()):
            found.update(self._client.find_by_keys(collection, field, missing, relations, is_draft=True))
        for address in rows[0].addresses:
            if missing := sorted(keys - found.keys()):
                found.update(self._find_by_address(rows[0], address, missing, relations))
        return found

    def _find_by_address(
        self, row: Row, address: str, keys: Sequence[str], relations: Sequence[str]
    ) -> Mapping[str, Sequence[Entry]]:
        """The entries without a key whose page address ends in one; none where there is no such column."""
        collection = row.collection
        if address in self._missing_columns[collection]:
            return {}
        try:
            found = self._client.find_by_endings(collection, address, keys, relations)
        except CmsAnswersWrongly as error:
            unknown = _UNKNOWN_COLUMN.search(str(error))
            if unknown is None or unknown[1] != address:
                raise
            self._missing_columns[collection].add(address)
            return {}
        unkeyed = {
            key: [entry for entry in entries if not entry.fields.get(row.key_field)]
            for key, entries in found.items()
        }
        return {key: entries for key, entries in unkeyed.items() if entries}

    def _found_or_claimed(
        self, rows: Sequence[Row], relations: Sequence[str]
    ) -> Mapping[str, Sequence[Entry]]:
        """The stored entries; what is missing is ours to create, or another run was given its time."""
        stored = dict(self.find(rows, relations))
        missing = [row for row in rows if row.key not in stored and not row.must_exist]
        if not missing:
            return stored
        won = self._claim(missing[0].collection, [row.key for row in missing])
        others = [row for row in missing if row.key not in won]
        for _ in range(_LOOKS_AT_OTHERS):
            if not others:
                break
            time.sleep(_LOOK_PAUSE_S)
            stored.update(self.find(others, relations))
            others = [row for row in others if row.key not in stored]
        return stored

    def _write(self, row: Row, found: Sequence[Entry], refs: Refs) -> Result:
        absent = [
            f"{target.collection} {target.key}"
            for name in sorted(row.required & set(row.links))
            for target in row.links[name]
            if target not in refs
        ]
        if absent:
            return Refused(f"not in the CMS: {', '.join(absent)}")
        own = [entry for entry in found if _is_own(row, entry, refs)]
        if found and not own:
            return Refused(f"short code {row.key} belongs to another record of {row.collection}")
        if len(own) > 1:
            log.warning(
                "cms_duplicates", extra={"collection": row.collection, "key": row.key, "rows": len(own)}
            )
        if own:
            lacking = sorted(row.needed - own[0].fields.keys())
            if lacking:
                return Refused(f"the CMS has no column {', '.join(lacking)} in {row.collection}")
            return self._update(row, own[0], refs)
        return Done.ABSENT if row.must_exist else self._create(row, refs)

    def _create(self, row: Row, refs: Refs) -> Done:
        self._check_lost(row)
        fields = {name: value for name, value in row.fields.items() if value is not None}
        for name, targets in row.links.items():
            if entries := [refs[target] for target in targets if target in refs]:
                fields[name] = connection(entries[0].version, [entry.ref for entry in entries])
        fields[row.key_field] = row.key
        for attempt in range(1, _CREATE_ATTEMPTS + 1):
            try:
                self._send(row, fields, lambda body: self._make(row, body))
            except (CmsUnavailable, RateLimited, AnswerGarbled):
                # It may have been stored all the same, or be on its way: a second POST would make
                # a duplicate.
                time.sleep(_CREATE_PAUSE_S * attempt)
                found = self.find([row], sorted(row.links)).get(row.key, ())
                if found:
                    self._update(row, found[0], refs)
                    return Done.CREATED
                if attempt == _CREATE_ATTEMPTS:
                    raise
            else:
                break
        return Done.CREATED

    def _make(self, row: Row, body: Mapping[str, Any]) -> None:
        entry = self._client.create(row.collection, body)
        self._made.save(row.collection, row.key, entry.ref)

    def _check_lost(self, row: Row) -> None:
        """Raise CmsAnswersWrongly when a row that we made is still there, though no lookup answers it."""
        ref = self._made.find(row.collection, row.key)
        if ref is None:
            return
        try:
            entry = self._client.find_by_ref(row.collection, ref)
        except NotFound:
            return
        if str(entry.fields.get(row.key_field)).casefold() == row.key.casefold():
            raise CmsAnswersWrongly(
                f"the CMS has {row.collection} {row.key}, but does not answer it when asked for its "
                f"{row.key_field}: a second one would be a duplicate"
            )

    def _update(self, row: Row, entry: Entry, refs: Refs) -> Done:
        fields = {**_missing_key(row, entry), **differing(row, entry), **_link_changes(row, entry, refs)}
        if not fields:
            return Done.UNCHANGED
        try:
            self._send(
                row,
                fields,
                lambda body: self._client.update(row.collection, entry.ref, body, is_draft=entry.is_draft),
            )
        except NotFound as error:
            raise RecordRefused(
                "somebody deleted it in the CMS just now; the next sync makes it anew"
            ) from error
        return Done.UPDATED

    def _send(self, row: Row, fields: Mapping[str, Any], send: Callable[[Mapping[str, Any]], object]) -> None:
        """Send the fields, less those that the CMS turns out not to have."""
        missing = self._missing_columns[row.collection]
        while True:
            body = {name: value for name, value in fields.items() if name not in missing}
            try:
                send(body)
            except RecordRefused as error:
                unknown = _UNKNOWN_COLUMN.search(str(error))
                if unknown is None or unknown[1] not in body or unknown[1] == row.key_field:
                    raise
                missing.add(unknown[1])
                log.warning("cms_column_missing", extra={"collection": row.collection, "column": unknown[1]})
            else:
                return

    def _find_targets(self, targets: Iterable[Target]) -> Refs:
        keys: dict[str, set[str]] = defaultdict(set)
        for target in targets:
            keys[target.collection].add(target.key)
        refs: dict[Target, Entry] = {}
        for collection, wanted in keys.items():
            if collection == ASSOCIATIONS:
                found = self._client.find_by_endings(ASSOCIATIONS, "href", sorted(wanted))
            else:
                found = self._client.find_by_keys(collection, KEYS[collection], sorted(wanted))
            refs.update({Target(collection, key): entries[0] for key, entries in found.items()})
        return refs


def differing(row: Row, entry: Entry) -> Mapping[str, Any]:
    """The columns of the entry that are not as they should be; those it does not have do not count."""
    return {
        name: wanted
        for name, wanted in row.fields.items()
        if name in entry.fields and not is_same(name, wanted, entry.fields[name])
    }


def _missing_key(row: Row, entry: Entry) -> Mapping[str, Any]:
    has_none = row.key_field in entry.fields and not entry.fields[row.key_field]
    return {row.key_field: row.key} if has_none else {}


class _Failures:
    """Contains the failure of single records; stops all when the CMS itself fails."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._stopped_by: SyncError | None = None

    def contain(self, write: Callable[[], Result]) -> Result:
        if self._stopped_by is not None:
            raise self._stopped_by
        try:
            result = write()
        except RecordRefused as error:
            return Refused(str(error))
        except RecordFailed as error:
            self._in_a_row += 1
            if self._in_a_row >= _BROKEN_AFTER:
                self._stopped_by = error
                raise
            return Refused(str(error))
        except SyncError as error:
            self._stopped_by = error
            raise
        self._in_a_row = 0
        return result


def _link_changes(row: Row, entry: Entry, refs: Refs) -> Mapping[str, Any]:
    changes = {}
    for name, targets in row.links.items():
        # A relation that the token may not see cannot be compared.
        if name not in entry.relations:
            continue
        held = [other.ref for other in entry.relations[name]]
        wanted = [refs[target].ref for target in targets if target in refs]
        new = [ref for ref in wanted if ref not in held]
        # An incomplete picture takes nothing away.
        is_complete = name in row.exact and len(wanted) == len(targets)
        gone = [ref for ref in held if ref not in wanted] if is_complete else []
        if new or gone:
            changes[name] = connection(entry.version, new, gone)
    return changes


def _is_own(row: Row, entry: Entry, refs: Refs) -> bool:
    """Whether the entry is the row's record: eight hex digits are shared by accident at times.

    It is another one when both its parent and its names are others.
    """
    if row.parent is None or not entry.relations.get(row.parent):
        return True
    parents = {refs[target].ref for target in row.links.get(row.parent, ()) if target in refs}
    if not parents or parents & {other.ref for other in entry.relations[row.parent]}:
        return True
    names = [(row.fields.get(name), entry.fields.get(name)) for name in row.name_fields]
    return any(_is_same_name(ours, theirs) for ours, theirs in names)


def _is_same_name(ours: Any, theirs: Any) -> bool:
    return theirs is None or str(ours).strip().casefold() == str(theirs).strip().casefold()
