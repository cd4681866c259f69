"""Strapi's query language: qs brackets, filters, sort, pages.

Its traps are kept: a list of more than 100 values drops its filter without a word, and
without a sort the order of rows differs from request to request, as PostgreSQL's may.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.strapi.errors import StrapiError
from simulator.strapi.schema import Collection, Kind
from simulator.strapi.tables import Entry, Tables

_ARRAY_LIMIT = 100
DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 100
_OWN = ("id", "documentId", "createdAt", "updatedAt", "publishedAt")
_BRACKETS = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Rules:
    """How a version treats names that it does not know."""

    is_v5: bool
    # Strapi 4.12 drops unknown names in silence, 4.26 refuses those of filters, sort and fields.
    is_lenient: bool = False

    def unknown(self, name: str, *, is_always_dropped_in_v4: bool = False) -> None:
        """Raises StrapiError unless this version drops the name."""
        if self.is_v5:
            raise StrapiError("ValidationError", f"Invalid key {name}")
        if not (self.is_lenient or is_always_dropped_in_v4):
            raise StrapiError("ValidationError", f"Invalid parameter {name}")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads an entry's own values as the request sees them: published, or as a draft."""

    tables: Tables
    rules: Rules
    is_draft: bool = False

    def value(self, entry: Entry, name: str) -> Any:
        own = {
            "id": entry.draft_number if self.is_draft else entry.number,
            "documentId": entry.document_id,
            "createdAt": entry.created_at,
            "updatedAt": entry.updated_at,
            "publishedAt": None if self.is_draft else entry.published_at,
        }
        if name in own:
            return own[name]
        if self.is_draft and entry.draft and name in entry.draft:
            return entry.draft[name]
        return entry.fields.get(name)


def parse_query(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][0]=1` as {"a": {"b": {"0": "1"}}}; `[]` and repeated names count up."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head = name.partition("[")[0]
        steps = [head, *_BRACKETS.findall(name[len(head) :])]
        node = tree
        for step in steps[:-1]:
            below = node.get(step)
            node[step] = below if isinstance(below, dict) else {}
            node = node[step]
        last = steps[-1]
        if last == "" or last in node:
            if last and not isinstance(node[last], dict):
                node[last] = {"0": node[last]}
            target = node[last] if last else node
            target[str(len(target))] = value
        else:
            node[last] = value
    return tree


def values_of(node: Any) -> list[str]:
    """A list in any of its spellings: indexed, repeated, separated by commas."""
    if isinstance(node, dict):
        return [str(value) for _, value in sorted(node.items(), key=lambda item: item[0].zfill(9))]
    return [] if node is None else str(node).split(",")


def matches(entry: Entry, filters: Any, reader: Reader) -> bool:
    """Whether the entry passes; raises StrapiError for names that the version refuses."""
    return all(_matches_one(entry, name, node, reader) for name, node in filters.items())


def _matches_one(entry: Entry, name: str, node: Any, reader: Reader) -> bool:
    if name in ("$and", "$or"):
        combine: Callable[[Iterator[bool]], bool] = all if name == "$and" else any
        return combine(matches(entry, part, reader) for part in node.values())
    if name == "$not":
        return not matches(entry, node, reader)
    collection = entry.collection
    relation = collection.relations.get(name)
    if relation:
        nested = node if isinstance(node, dict) else {"id": node}
        if set(nested) <= {"$null", "$notNull"}:
            has_any = bool(reader.tables.linked(entry, relation))
            return has_any == (_is_true(nested.get("$notNull")) or not _is_true(nested.get("$null", "true")))
        if all(step.startswith("$") for step in nested):
            nested = {"id": nested}
        return any(matches(other, nested, reader) for other in reader.tables.linked(entry, relation))
    if not _is_known(collection, name, reader.rules):
        reader.rules.unknown(name)
        return True
    value = reader.value(entry, name)
    kind = Kind.INTEGER if name == "id" else collection.fields.get(name, Kind.STRING)
    conditions = node if isinstance(node, dict) else {"$eq": node}
    return all(_holds(value, operator, given, kind, reader.rules) for operator, given in conditions.items())


def _is_known(collection: Collection, name: str, rules: Rules) -> bool:
    if name == "documentId":
        return rules.is_v5
    return name in collection.fields or name in _OWN


def _holds(value: Any, operator: str, given: Any, kind: Kind, rules: Rules) -> bool:  # noqa: PLR0911  (a table)
    if operator in ("$in", "$notIn"):
        listed = values_of(given)
        if len(listed) > _ARRAY_LIMIT:
            return True
        return (value in {_typed(each, kind) for each in listed}) == (operator == "$in")
    if operator in ("$null", "$notNull"):
        return (value is None) == (_is_true(given) == (operator == "$null"))
    if operator == "$between":
        low, high = (_typed(each, kind) for each in values_of(given))
        return value is not None and low <= value <= high
    wanted = _typed(given, kind)
    if operator == "$eq":
        return bool(value == wanted)
    if operator == "$ne":
        return bool(value != wanted)
    text, sought = str(value or ""), str(given)
    compared: dict[str, Callable[[], bool]] = {
        "$eqi": lambda: text.lower() == sought.lower(),
        "$lt": lambda: value is not None and value < wanted,
        "$lte": lambda: value is not None and value <= wanted,
        "$gt": lambda: value is not None and value > wanted,
        "$gte": lambda: value is not None and value >= wanted,
        "$contains": lambda: sought in text,
        "$containsi": lambda: sought.lower() in text.lower(),
        "$startsWith": lambda: text.startswith(sought),
        "$endsWith": lambda: text.endswith(sought),
    }
    if operator not in compared:
        rules.unknown(operator, is_always_dropped_in_v4=True)
        return True
    return compared[operator]()


def sorted_entries(entries: list[Entry], sort: Any, reader: Reader, *, turn: int) -> list[Entry]:
    """Entries in the order that was asked for; without one they start somewhere else each `turn`."""
    if sort is None:
        shift = turn % len(entries) if entries else 0
        return entries[shift:] + entries[:shift]
    ordered = entries
    for term in reversed(values_of(sort)):
        name, _, direction = term.partition(":")
        if entries and not _is_known(entries[0].collection, name, reader.rules):
            reader.rules.unknown(name)
            continue
        ordered = sorted(
            ordered,
            key=lambda entry, name=name: _sortable(reader.value(entry, name)),  # type: ignore[misc]
            reverse=direction.lower() == "desc",
        )
    return ordered


def paged(entries: list[Entry], pagination: Any, *, max_size: int = MAX_PAGE_SIZE) -> tuple[list[Entry], Any]:
    """The page and its `meta.pagination`; sizes above the cap are lowered without an error."""
    asked = pagination if isinstance(pagination, dict) else {}
    total = len(entries)
    if "start" in asked or "limit" in asked:
        if "page" in asked or "pageSize" in asked:
            raise StrapiError("ValidationError", "Cannot use both page & offset pagination in the same query")
        start = _whole(asked.get("start"), 0)
        limit = min(_whole(asked.get("limit"), DEFAULT_PAGE_SIZE), max_size)
        return entries[start : start + limit], {"start": start, "limit": limit, "total": total}
    page = max(1, _whole(asked.get("page"), 1))
    size = max(1, min(_whole(asked.get("pageSize"), DEFAULT_PAGE_SIZE), max_size))
    meta = {"page": page, "pageSize": size, "pageCount": -(-total // size), "total": total}
    if asked.get("withCount") in ("false", "0"):
        del meta["pageCount"], meta["total"]
    return entries[(page - 1) * size : page * size], meta


def checked_fields(collection: Collection, node: Any, rules: Rules) -> list[str] | None:
    """The fields that were asked for; None for all of them."""
    if node is None or node == "*":
        return None
    names = []
    for name in values_of(node):
        if _is_known(collection, name, rules):
            names.append(name)
        else:
            rules.unknown(name)
    return names


def checked_populate(collection: Collection, node: Any, rules: Rules) -> dict[str, Any]:
    """The relations to show, each with its own options; dotted names go deeper."""
    if node is None:
        return {}
    if node == "*":
        return {name: {} for name in collection.relations}
    wanted: dict[str, Any] = {}
    is_list = not isinstance(node, dict) or all(step.isdigit() for step in node)
    if is_list:
        for path in values_of(node):
            head, _, rest = path.partition(".")
            below = wanted.setdefault(head, {})
            if rest:
                deeper = below.setdefault("populate", {})
                deeper[str(len(deeper))] = rest
    else:
        wanted = {name: options if isinstance(options, dict) else {} for name, options in node.items()}
    for name in [name for name in wanted if name not in collection.relations]:
        rules.unknown(name, is_always_dropped_in_v4=True)
        del wanted[name]
    return wanted


def _typed(text: Any, kind: Kind) -> Any:
    """A query's text as a value that compares with a stored one."""
    if kind is Kind.BOOLEAN:
        return _is_true(text)
    if kind in (Kind.INTEGER, Kind.FLOAT):
        try:
            return int(text) if kind is Kind.INTEGER else float(text)
        except ValueError:
            return text
    if kind is Kind.DATETIME and len(str(text)) == 10:
        return f"{text}T00:00:00.000Z"
    return text


def _is_true(text: Any) -> bool:
    return str(text).lower() in ("true", "1", "t")


def _whole(text: Any, default: int) -> int:
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if isinstance(value, int | float | str) else str(value or ""))
