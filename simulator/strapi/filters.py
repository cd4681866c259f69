"""Strapi's filters, read once a request and then asked of each entry.

The trap is kept: a list of more than 100 values drops its filter without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.strapi.query_text import values_of
from simulator.strapi.reading import Reader, Rules, is_known
from simulator.strapi.schema import Collection, Kind, Relation
from simulator.strapi.tables import Entry

_ARRAY_LIMIT = 100

Passes = Callable[[Entry], bool]
_Test = Callable[[Any], bool]


def read_filters(collection: Collection, filters: Any, reader: Reader) -> Passes:
    """Whether an entry passes all of the filters; raises StrapiError for names that the version refuses."""
    parts = [_read_one(collection, name, node, reader) for name, node in filters.items()]
    return lambda entry: all(passes(entry) for passes in parts)


def _read_one(collection: Collection, name: str, node: Any, reader: Reader) -> Passes:
    if name in ("$and", "$or"):
        parts = [read_filters(collection, part, reader) for part in node.values()]
        combine = all if name == "$and" else any
        return lambda entry: combine(passes(entry) for passes in parts)
    if name == "$not":
        denied = read_filters(collection, node, reader)
        return lambda entry: not denied(entry)
    if name in collection.relations:
        return _read_relation(collection.relations[name], node, reader)
    if not is_known(collection, name, reader.rules):
        reader.rules.unknown(name)
        return lambda _: True
    kind = Kind.INTEGER if name == "id" else collection.fields.get(name, Kind.STRING)
    conditions = node if isinstance(node, dict) else {"$eq": node}
    tests = [_read_test(operator, given, kind, reader.rules) for operator, given in conditions.items()]
    return lambda entry: all(test(reader.value(entry, name)) for test in tests)


def _read_relation(relation: Relation, node: Any, reader: Reader) -> Passes:
    """Any related entry that passes; operators straight on a relation mean its id."""
    conditions = node if isinstance(node, dict) else {"$eq": node}
    if conditions and set(conditions) <= {"$null", "$notNull"}:
        wants_some = _is_true(conditions.get("$notNull")) or not _is_true(conditions.get("$null", "true"))
        return lambda entry: bool(reader.tables.linked(entry, relation)) == wants_some
    if all(name.startswith("$") for name in conditions):
        conditions = {"id": conditions}
    passes = read_filters(reader.tables.schema[relation.target], conditions, reader)
    return lambda entry: any(passes(other) for other in reader.tables.linked(entry, relation))


def _read_test(operator: str, given: Any, kind: Kind, rules: Rules) -> _Test:
    if operator in ("$in", "$notIn", "$between"):
        return _read_list_test(operator, [_typed(each, kind) for each in values_of(given)])
    wanted, sought = _typed(given, kind), str(given)
    tests: dict[str, _Test] = {
        "$null": lambda value: (value is None) == _is_true(given),
        "$notNull": lambda value: (value is not None) == _is_true(given),
        "$eq": lambda value: bool(value == wanted),
        # As in SQL: nothing is neither equal nor unequal to anything.
        "$ne": lambda value: value is not None and bool(value != wanted),
        "$eqi": lambda value: str(value or "").lower() == sought.lower(),
        "$lt": lambda value: value is not None and value < wanted,
        "$lte": lambda value: value is not None and value <= wanted,
        "$gt": lambda value: value is not None and value > wanted,
        "$gte": lambda value: value is not None and value >= wanted,
        "$contains": lambda value: sought in str(value or ""),
        "$containsi": lambda value: sought.lower() in str(value or "").lower(),
        "$startsWith": lambda value: str(value or "").startswith(sought),
        "$endsWith": lambda value: str(value or "").endswith(sought),
    }
    if operator not in tests:
        rules.unknown(operator, is_always_dropped_in_v4=True)
        return lambda _: True
    return tests[operator]


def _read_list_test(operator: str, listed: list[Any]) -> _Test:
    if len(listed) > _ARRAY_LIMIT:
        return lambda _: True
    if operator == "$between":
        low, high = listed
        return lambda value: value is not None and low <= value <= high
    wanted = set(listed)
    return lambda value: (value in wanted) == (operator == "$in")


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
