"""What a write may hold: values by column type, relations in their several spellings."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simulator.strapi.errors import StrapiError
from simulator.strapi.reading import Rules
from simulator.strapi.schema import Collection, Kind, Relation
from simulator.strapi.tables import Entry, Tables

_MAX_STRING = 255
_MAX_INTEGER = 2**31 - 1
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_IGNORED = ("publishedAt",)
_SAID = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Wish:
    """What happens to one relation: `replacement` None leaves what is there and connects to it."""

    relation: Relation
    replacement: list[Entry] | None
    connect: list[Entry] = field(default_factory=list)
    disconnect: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Body:
    fields: dict[str, Any]
    wishes: list[Wish]
    # `publishedAt: null` keeps a draft in v4.
    is_draft: bool


def read_body(raw: bytes, collection: Collection, tables: Tables, rules: Rules) -> Body:
    """Raises StrapiError: 400 with the field's name, or 500 where the real database fails."""
    try:
        sent = json.loads(raw or b"{}")
    except ValueError as error:
        raise StrapiError("SyntaxError", f"Unexpected token in JSON: {error}") from error
    data = sent.get("data") if isinstance(sent, dict) else None
    if data is None:
        raise StrapiError("ValidationError", 'Missing "data" payload in the request body')
    if not isinstance(data, dict):
        raise StrapiError("ValidationError", "this must be a `object` type", [])
    fields: dict[str, Any] = {}
    wishes: list[Wish] = []
    for name, value in data.items():
        if name in collection.fields:
            fields[name] = _column(name, value, collection.fields[name], rules)
        elif name in collection.relations:
            wishes.append(_wish(value, collection.relations[name], tables, rules))
        elif name not in _IGNORED:
            rules.unknown(name, is_always_dropped_in_v4=True)
    return Body(fields, wishes, is_draft="publishedAt" in data and data["publishedAt"] is None)


def apply_wishes(entry: Entry, wishes: list[Wish], tables: Tables) -> None:
    for wish in wishes:
        if wish.replacement is not None:
            tables.link(entry, wish.relation, wish.replacement)
            continue
        for other in wish.disconnect:
            tables.disconnect(entry, wish.relation, other)
        for other in wish.connect:
            tables.connect(entry, wish.relation, other)


def _column(name: str, value: Any, kind: Kind, rules: Rules) -> Any:
    if value is None:
        return None
    match kind:
        case Kind.STRING:
            checked: Any = _string(name, value, rules)
        case Kind.DATE:
            checked = _day(value)
        case Kind.DATETIME:
            checked = _moment(value)
        case Kind.JSON:
            checked = _json(value, rules)
        case Kind.BOOLEAN:
            checked = _boolean(name, value)
        case Kind.INTEGER | Kind.FLOAT:
            checked = _number(name, value, kind)
    return checked


def _boolean(name: str, value: Any) -> bool:
    """Numbers and texts are taken for what they say."""
    said = str(value).lower()
    if said not in _SAID:
        raise _wrong_type(name, "boolean", value)
    return _SAID[said]


def _string(name: str, value: Any, rules: Rules) -> str:
    if not isinstance(value, str):
        raise _wrong_type(name, "string", value)
    if len(value) > _MAX_STRING:
        # v4 leaves the refusal to the database.
        if rules.is_v5:
            raise StrapiError("ValidationError", f"{name} must be at most {_MAX_STRING} characters", [name])
        raise StrapiError("InternalServerError", "Internal Server Error")
    return value


def _day(value: Any) -> str:
    """A longer text is cut to its first ten characters, whatever its zone."""
    text = value[:10] if isinstance(value, str) else ""
    if not _DAY.fullmatch(text):
        raise StrapiError("ValidationError", "Invalid format, expected yyyy-MM-dd")
    try:
        datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007  (only its form is checked)
    except ValueError as error:
        raise StrapiError("ValidationError", "Invalid format, expected yyyy-MM-dd") from error
    return text


def _moment(value: Any) -> str:
    """A number counts milliseconds since 1970."""
    try:
        moment = (
            datetime.fromtimestamp(value / 1000, UTC)
            if isinstance(value, int)
            else datetime.fromisoformat(value)
        )
    except (TypeError, ValueError) as error:
        raise StrapiError("ValidationError", "Invalid format, expected a timestamp or an ISO date") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any, rules: Rules) -> Any:
    if not (rules.is_v5 and isinstance(value, str)):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise StrapiError("InternalServerError", "Internal Server Error") from error


def _number(name: str, value: Any, kind: Kind) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(name, "number", value)
    if kind is Kind.INTEGER and abs(value) > _MAX_INTEGER:
        raise StrapiError("InternalServerError", "Internal Server Error")
    return value


def _wrong_type(name: str, wanted: str, value: Any) -> StrapiError:
    return StrapiError(
        "ValidationError", f"{name} must be a `{wanted}` type, but the final value was: `{value!r}`.", [name]
    )


def _wish(value: Any, relation: Relation, tables: Tables, rules: Rules) -> Wish:
    """A list sets; connect and disconnect change; `set` sent beside them wins without an error."""

    def find(items: Any) -> list[Entry]:
        found = [_find_reference(item, relation, tables, rules) for item in _listed(items)]
        if None in found:
            raise StrapiError(
                "ValidationError",
                f"{found.count(None)} relation(s) of type {relation.target} associated with this entity "
                "do not exist",
                [],
            )
        return [entry for entry in found if entry is not None]

    is_partial = isinstance(value, dict) and value.keys() & {"connect", "disconnect", "set"}
    if not is_partial:
        return Wish(relation, find(value))
    if "set" in value:
        return Wish(relation, find(value["set"]))
    return Wish(
        relation,
        None,
        connect=find(value.get("connect")),
        disconnect=_leaving(value.get("disconnect"), relation, tables, rules),
    )


def _leaving(items: Any, relation: Relation, tables: Tables, rules: Rules) -> list[Entry]:
    """The entries to disconnect; unknown ones are let go in silence, but in v5 not by document id."""
    leaving = []
    for item in _listed(items):
        entry = _find_reference(item, relation, tables, rules)
        if entry is not None:
            leaving.append(entry)
        elif rules.is_v5 and not str(_key(item)).isdigit():
            raise StrapiError("ValidationError", f'Document with id "{_key(item)}" not found')
    return leaving


def _listed(items: Any) -> list[Any]:
    return items if isinstance(items, list) else [] if items is None else [items]


def _key(item: Any) -> Any:
    return item.get("documentId", item.get("id")) if isinstance(item, dict) else item


def _find_reference(item: Any, relation: Relation, tables: Tables, rules: Rules) -> Entry | None:
    """By number, or in v5 by document id, bare or in an object."""
    key = _key(item)
    if isinstance(key, str) and key.isdigit():
        key = int(key)
    if isinstance(key, int):
        return tables.find_number(relation.target, key)
    if isinstance(key, str) and rules.is_v5:
        return tables.find(relation.target, key)
    return None
