"""One shape for the entries of Strapi v4 and v5, and the two dialects of writing relations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sync.errors import CmsAnswersWrongly

# In every entry, but not fields of the CMS's own.
_BOOKKEEPING = frozenset({"id", "documentId", "attributes", "locale"})


class Version(StrEnum):
    V4 = "v4"
    V5 = "v5"


@dataclass(frozen=True, slots=True)
class Entry:
    """`ref` is the number in v4 and the documentId in v5; relations only where populated.

    `is_draft`: people keep it out of what is published, and it stays so.
    """

    version: Version
    ref: str
    number: int
    fields: Mapping[str, Any]
    relations: Mapping[str, Sequence[Entry]]
    is_draft: bool = False

    @property
    def age(self) -> tuple[str, int]:
        """Sorts the oldest first."""
        return str(self.fields.get("createdAt") or ""), self.number


def read_entry(raw: Any, populated: Collection[str] = ()) -> Entry:
    """Normalise an entry with the relations that were asked for.

    A relation that the token may not see is absent, not empty. Raises CmsAnswersWrongly
    when it is no entry.
    """
    number = _number(raw.get("id")) if isinstance(raw, Mapping) else None
    if number is None:
        raise CmsAnswersWrongly("the CMS answered an entry without a number")
    # A v5 entry in v4's clothing (the response-format header) has both.
    version = Version.V5 if "documentId" in raw else Version.V4
    ref = raw["documentId"] if version is Version.V5 else str(number)
    flat = raw.get("attributes", raw)
    if not isinstance(flat, Mapping) or not isinstance(ref, str) or not ref:
        raise CmsAnswersWrongly(f"the CMS answered entry {number} without its fields or its documentId")
    return Entry(
        version=version,
        ref=ref,
        number=number,
        fields={name: flat[name] for name in flat if name not in populated and name not in _BOOKKEEPING},
        relations={name: _read_related(flat[name]) for name in flat if name in populated},
    )


def connection(version: Version, refs: Sequence[str], gone: Sequence[str] = ()) -> dict[str, Any]:
    """The value that adds relations and takes others away, touching no third one."""
    value: dict[str, Any] = {"connect": [_spelled(version, ref) for ref in refs]}
    if gone:
        value["disconnect"] = [_spelled(version, ref) for ref in gone]
    return value


def _spelled(version: Version, ref: str) -> Any:
    return {"id": int(ref)} if version is Version.V4 else ref


def _number(value: Any) -> int | None:
    """A row's number, which some databases and proxies spell as a text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_related(value: Any) -> Sequence[Entry]:
    if isinstance(value, Mapping) and "data" in value:
        value = value["data"]
    if value is None:
        return ()
    return [read_entry(other) for other in (value if isinstance(value, list) else [value])]
