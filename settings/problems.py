"""A mistake in the settings, as one line that says where, what, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from settings import schema_tree
from settings.formats import why_no_table

MASK = "********"
# An unknown key may be a secret's misspelt name, so its value is shown only when it looks harmless.
SECRET_NAME = re.compile(
    r"key|token|password|passwd|secret|credential|url|dsn|prox|auth|webhook", re.IGNORECASE
)
MAX_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """`place` is a file's or a variable's name; `key` is empty when the whole layer is wrong."""

    place: str
    key: str
    value: str | None
    advice: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value is not None else ""
        subject = f"{self.place}: {self.key}{shown}" if self.key else self.place
        return f"{subject}: {self.advice}"


def from_validation(error: ValidationError, places: Mapping[str, str], origin: str) -> list[Problem]:
    """One problem for each of pydantic's; `places` says where a key was written if not in `origin`."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        for problem in _from_detail(detail, places, origin):
            # Both halves of a union complain about one value; the first says it best.
            found.setdefault(problem.key, problem)
    return list(found.values())


def refused_keys(error: ValidationError) -> set[str]:
    """The dotted keys, or whole sections, that must be left out for the rest to be valid."""
    return {_key(detail) for detail in error.errors(include_url=False)}


def mask(value: Any) -> Any:
    """The value as it may be shown: no secret, no password within a URL."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, str):
        return mask_url(value)
    if isinstance(value, Mapping):
        return {name: MASK if SECRET_NAME.search(str(name)) else mask(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return value


def mask_url(text: str) -> str:
    """Hide the user and password of a URL, if it is one."""
    if "://" not in text or "@" not in text:
        return text
    scheme, rest = text.split("://", 1)
    return f"{scheme}://{MASK}@{rest.rsplit('@', 1)[1]}"


def show(key: str, value: Any) -> str:
    """A value on one line of text, masked if the key holds a secret or may hold one."""
    if value is None:
        return "not set"
    if _may_be_secret(key) or _may_hold_secret(value):
        return MASK
    text = repr(mask(value))
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}..."


def _may_be_secret(key: str) -> bool:
    if known := schema_tree.find(key):
        return known.is_secret
    meant = schema_tree.find(schema_tree.nearest(key) or "")
    return bool(SECRET_NAME.search(key)) or (meant is not None and meant.is_secret)


def _may_hold_secret(value: Any) -> bool:
    """A variable may hold a whole section as text."""
    return isinstance(value, str) and value.lstrip().startswith("{") and bool(SECRET_NAME.search(value))


def _from_detail(detail: ErrorDetails, places: Mapping[str, str], origin: str) -> Iterator[Problem]:
    key = _key(detail)
    if detail["type"] != "extra_forbidden":
        yield Problem(places.get(key, origin), key, show(key, detail["input"]), _advice(detail))
        return
    for unknown, value in schema_tree.leaves({key: detail["input"]}):
        place = places.get(unknown, origin)
        advice = _unknown(unknown, is_variable=unknown in places)
        yield Problem(place, unknown, show(unknown, value), advice)


def _key(detail: ErrorDetails) -> str:
    # pydantic adds names of its own, such as "[key]" and "function-after[...]" for a union's branches.
    names = [part for part in detail["loc"] if isinstance(part, str)]
    return ".".join(name for name in names if "[" not in name and "(" not in name)


def _unknown(key: str, *, is_variable: bool) -> str:
    meant = schema_tree.nearest(key)
    if meant is not None:
        return f"unknown setting; did you mean {variable_name(meant) if is_variable else meant}?"
    section, _, _ = key.rpartition(".")
    if not schema_tree.children(section):
        section = ""
    return f"unknown setting; {section or 'the top level'} has {', '.join(schema_tree.children(section))}"


def variable_name(key: str) -> str:
    return f"CLUBSYNC_{key.upper().replace('.', '__')}"


def _advice(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] in ("model_type", "dict_type"):
        text = detail["input"]
        is_written = isinstance(text, str) and text.lstrip().startswith("{")
        reason = f", which this is not: {why_no_table(text)}" if is_written else ""
        return f"should be a table with settings of its own{reason}"
    if detail["type"] == "string_pattern_mismatch":
        return "should be a name of lower-case letters, digits and hyphens that begins with a letter"
    if detail["type"] == "tuple_type":
        return "should be a list"
    if detail["type"] in ("float_parsing", "int_parsing") and _key(detail).endswith("_s"):
        return "should be a number of seconds, without a unit"
    message = detail["msg"].replace("Input should", "should").replace("String should", "should")
    return message[0].lower() + message[1:]


def redact_userinfo(text: str) -> str:
    """Hide what stands between `://` and `@` anywhere in a longer text."""
    return re.sub(r"(?<=://)[^\s/@]*(?=@)", MASK, text)
