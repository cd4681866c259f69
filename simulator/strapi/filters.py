"""Strapi's filters.

The trap is kept: a list of more than 100 values drops its filter without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from simulator.strapi.query_text import values_of
from simulator.strapi.reading import Reader, Rules, is_known
from simulator.strapi.schema import Kind
from simulator.strapi.tables import Entry

_ARRAY_LIMIT = 100


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
    if not is_known(collection, name, reader.rules):
        reader.rules.unknown(name)
        return True
    value = reader.value(entry, name)
    kind = Kind.INTEGER if name == "id" else collection.fields.get(name, Kind.STRING)
    conditions = node if isinstance(node, dict) else {"$eq": node}
    return all(_holds(value, operator, given, kind, reader.rules) for operator, given in conditions.items())


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
