"""Accounts from a file, CSV or JSON lines: all of them, or every mistake at once and none.

type,name,provider,organisation,associations,tags,plan
club,Rovers,playhq,8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10,,"trial, north",gold

{"type": "club", "name": "Rovers", "organisation": "8f1f3c9e-...", "tags": ["trial"]}
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stores.sql.accounts import Accounts, NewAccount
from sync.errors import InvalidRequest
from sync.model import Account, OrganisationKind

REQUIRED = ("type", "name", "organisation")
OPTIONAL = ("provider", "associations", "tags", "plan")
# What `accounts list --json` calls them, and the option of `accounts add`.
ALIASES: Mapping[str, str] = {
    "organisation_id": "organisation",
    "association_ids": "associations",
    "tag": "tags",
}
NAME_MAX_CHARS = 200
# PlayHQ's ids are UUIDs, Play-Cricket's are numbers.
ID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """The installed ones, and the one that is meant when a line names none."""

    installed: Collection[str]
    default: str


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    fields: Mapping[str, Any]


def import_accounts(accounts: Accounts, text: str, providers: Providers) -> Sequence[Account]:
    """Add every account of the text, or none.

    Raises InvalidRequest with each mistake on a line of its own, as `line 3: name: required`.
    """
    mistakes: list[tuple[int, str]] = []
    new: list[tuple[int, NewAccount]] = []
    for line in _read_lines(text, mistakes):
        account, reasons = read_account(line.fields, providers)
        mistakes += [(line.number, reason) for reason in reasons]
        if account is not None:
            new.append((line.number, account))
    mistakes += _repeated(new)
    for place, conflicts in accounts.conflicts([account for _, account in new]).items():
        mistakes += [(new[place][0], reason) for reason in conflicts]
    if not new and not mistakes:
        raise InvalidRequest("line 1: there is no account in the file")
    if mistakes:
        raise InvalidRequest("\n".join(f"line {number}: {reason}" for number, reason in sorted(mistakes)))
    return accounts.add_many([account for _, account in new])


def read_account(fields: Mapping[str, Any], providers: Providers) -> tuple[NewAccount | None, list[str]]:
    """The account of one line, or None and everything that is wrong with it."""
    named = {ALIASES.get(name, name): value for name, value in fields.items()}
    known = ", ".join((*REQUIRED, *OPTIONAL))
    reasons = [f"{name}: unknown; the fields are {known}" for name in named if name not in known.split(", ")]
    reasons += [f"{name}: required" for name in REQUIRED if not named.get(name)]
    kind = str(named.get("type") or "").lower()
    if kind and kind not in list(OrganisationKind):
        reasons.append(f"type: {kind!r} is not one of {', '.join(OrganisationKind)}")
    name = str(named.get("name") or "").strip()
    if len(name) > NAME_MAX_CHARS or not name.isprintable():
        reasons.append(f"name: longer than {NAME_MAX_CHARS} characters, or with some that do not print")
    provider = str(named.get("provider") or providers.default)
    if provider not in providers.installed:
        reasons.append(f"provider: {provider!r} is not one of {', '.join(sorted(providers.installed))}")
    organisation_id = str(named.get("organisation") or "").strip().lower()
    association_ids = [item.lower() for item in _items(named.get("associations"))]
    reasons += _id_reasons("organisation", [organisation_id] if organisation_id else [])
    reasons += _id_reasons("associations", association_ids)
    if association_ids and kind == OrganisationKind.ASSOCIATION:
        reasons.append("associations: only a club has them")
    if reasons:
        return None, reasons
    return (
        NewAccount(
            kind=OrganisationKind(kind),
            name=name,
            provider=provider,
            organisation_id=organisation_id,
            association_ids=tuple(dict.fromkeys(association_ids)),
            tags=tuple(dict.fromkeys(_items(named.get("tags")))),
            plan=str(named.get("plan") or "").strip() or None,
        ),
        [],
    )


def _read_lines(text: str, mistakes: list[tuple[int, str]]) -> Iterator[_Line]:
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        yield from _read_json_lines(text, mistakes)
        return
    reader = csv.DictReader(io.StringIO(text), restkey="", strict=True)
    try:
        for row in reader:
            if extra := row.pop("", None):
                mistakes.append((reader.line_num, f"{len(extra)} more values than the first line has names"))
            fields = {name.strip().lower(): value for name, value in row.items() if name}
            yield _Line(reader.line_num, fields)
    except csv.Error as error:
        mistakes.append((reader.line_num, f"not CSV: {error}"))


def _read_json_lines(text: str, mistakes: list[tuple[int, str]]) -> Iterator[_Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            fields = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            mistakes.append((number, f"not JSON: {error}"))
            continue
        if isinstance(fields, dict):
            yield _Line(number, fields)
        else:
            mistakes.append((number, "not a JSON object"))


def _items(value: Any) -> list[str]:
    if isinstance(value, str):
        value = re.split(r"[,;]", value)
    items = value if isinstance(value, list) else []
    return [text for item in items if (text := str(item).strip())]


def _id_reasons(name: str, ids: Sequence[str]) -> list[str]:
    return [
        f"{name}: {value!r} is not an id of a provider (a UUID, or a number)"
        for value in ids
        if not ID_PATTERN.fullmatch(value)
    ]


def _repeated(new: Sequence[tuple[int, NewAccount]]) -> list[tuple[int, str]]:
    first_lines: dict[tuple[str, str, str], int] = {}
    reasons = []
    for number, account in new:
        key = (account.kind.value, account.provider, account.organisation_id)
        if (first := first_lines.setdefault(key, number)) != number:
            reasons.append((number, f"organisation: {account.organisation_id} is in line {first} already"))
    return reasons
