"""Strapi's order, pages and selection of fields and relations.

Without a sort the order of rows differs from request to request, as PostgreSQL's may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.strapi.errors import StrapiError
from simulator.strapi.query_text import values_of, whole
from simulator.strapi.reading import Reader, Rules, is_known
from simulator.strapi.schema import Collection
from simulator.strapi.tables import Entry

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 100


def read_order(collection: Collection, sort: Any, reader: Reader) -> list[tuple[str, bool]] | None:
    """The names to sort by, each with whether it descends; None when no order was asked for."""
    if sort is None:
        return None
    order = []
    for term in values_of(sort):
        name, _, direction = term.partition(":")
        if is_known(collection, name, reader.rules):
            order.append((name, direction.lower() == "desc"))
        else:
            reader.rules.unknown(name)
    return order


def in_order(
    entries: list[Entry], order: list[tuple[str, bool]] | None, reader: Reader, *, turn: int
) -> list[Entry]:
    """Entries in that order; without one they start somewhere else each `turn`."""
    if order is None:
        shift = turn % len(entries) if entries else 0
        return entries[shift:] + entries[:shift]
    for name, is_descending in reversed(order):
        entries = sorted(entries, key=_by(name, reader), reverse=is_descending)
    return entries


def paged(entries: list[Entry], pagination: Any, *, max_size: int = MAX_PAGE_SIZE) -> tuple[list[Entry], Any]:
    """The page and its `meta.pagination`; sizes above the cap are lowered without an error."""
    asked = pagination if isinstance(pagination, dict) else {}
    total = len(entries)
    if "start" in asked or "limit" in asked:
        if "page" in asked or "pageSize" in asked:
            raise StrapiError("ValidationError", "Cannot use both page & offset pagination in the same query")
        start = whole(asked.get("start"), 0)
        limit = min(whole(asked.get("limit"), DEFAULT_PAGE_SIZE), max_size)
        return entries[start : start + limit], {"start": start, "limit": limit, "total": total}
    page = max(1, whole(asked.get("page"), 1))
    size = max(1, min(whole(asked.get("pageSize"), DEFAULT_PAGE_SIZE), max_size))
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
        if is_known(collection, name, rules):
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


def _by(name: str, reader: Reader) -> Callable[[Entry], tuple[bool, Any]]:
    return lambda entry: _sortable(reader.value(entry, name))


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if isinstance(value, int | float | str) else str(value or ""))
