"""Strapi's query language: brackets, pages and a total order."""

from __future__ import annotations

from collections.abc import Sequence

from cms.strapi.entries import Version

Query = list[tuple[str, str]]

# At 101 items the server's query parser drops the whole filter and answers every row.
IN_LIMIT = 50
PAGE_SIZE = 100


def is_in(field: str, values: Sequence[str]) -> Query:
    """Rows whose field is one of the values, at most IN_LIMIT of them."""
    brackets = "".join(f"[{name}]" for name in field.split("."))
    return [(f"filters{brackets}[$in][{place}]", value) for place, value in enumerate(values)]


def contains_any(field: str, values: Sequence[str]) -> Query:
    """Rows whose field contains one of the values, at most IN_LIMIT of them."""
    return [(f"filters[$or][{place}][{field}][$contains]", value) for place, value in enumerate(values)]


def populated(relations: Sequence[str]) -> Query:
    return [(f"populate[{place}]", relation) for place, relation in enumerate(relations)]


def drafts(version: Version | None) -> Query:
    """What makes a question be about drafts too (v4), or about drafts (v5), each where there are some."""
    of_v4, of_v5 = ("publicationState", "preview"), ("status", "draft")
    return {Version.V4: [of_v4], Version.V5: [of_v5], None: [of_v4, of_v5]}[version]


def page(number: int, *, order_by: str) -> Query:
    """A page of the list in a total order: by `id` in v4, by `documentId` in v5.

    A v5 entry with drafts gets a new number at each write, which loses rows between pages.
    """
    return [
        ("sort[0]", f"{order_by}:asc"),
        ("pagination[page]", str(number)),
        ("pagination[pageSize]", str(PAGE_SIZE)),
        # A CMS may be set to leave the totals out.
        ("pagination[withCount]", "true"),
    ]
