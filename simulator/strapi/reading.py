"""How a request sees an entry: which version's rules hold, and whether drafts are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulator.strapi.errors import StrapiError
from simulator.strapi.schema import Collection
from simulator.strapi.tables import Entry, Tables

_OWN = ("id", "documentId", "createdAt", "updatedAt", "publishedAt")


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
        if name in entry.fields:
            drafted = entry.draft if self.is_draft and entry.draft else {}
            return drafted.get(name, entry.fields[name])
        own = {
            "id": entry.draft_number if self.is_draft else entry.number,
            "documentId": entry.document_id,
            "createdAt": entry.created_at,
            "updatedAt": entry.updated_at,
            "publishedAt": None if self.is_draft else entry.published_at,
        }
        return own[name]


def is_known(collection: Collection, name: str, rules: Rules) -> bool:
    if name == "documentId":
        return rules.is_v5
    return name in collection.fields or name in _OWN
