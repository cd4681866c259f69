"""TOML, YAML and JSON as values; what is wrong with a text is said without showing a value of it.

A parser says that a name is there twice, mostly not which, and ruamel shows both values, one of
which may be a secret. So the name is looked for in the text, with its place and its lines.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynaconf.vendor.ruamel.yaml import YAML
from dynaconf.vendor.ruamel.yaml.constructor import DuplicateKeyError
from dynaconf.vendor.ruamel.yaml.error import MarkedYAMLError, YAMLError

_TOML_TWIN = re.compile(r"Cannot (?:overwrite|declare|mutate).*\(at (?:line (\d+)|end)")
_INLINE_TWIN = re.compile(r"Cannot mutate immutable namespace \('(.*?)',\)")
_TOML_TABLE = re.compile(r"\s*\[\[?([^\[\]]+)\]")
_TOML_NAME = re.compile(r"""\s*([\w\-."' ]+?)\s*=""")
_YAML_TWIN = re.compile(r'found duplicate key "(.*?)" with value')
_YAML_NAME = re.compile(r"""([ -]*)([^\s#:][^:#]*?)\s*:(?:\s|$)""")
# What ruamel quotes of these is a piece of a value: `key: *hunter2`, `key: !hunter2`.
_YAML_VALUE = re.compile(r"(alias|tag|anchor) ['\"].*")
_JSON_TABLE = re.compile(r'\s*\{\s*"[^"]*"\s*:')


def parser_of(suffix: str) -> Callable[[str], Any] | None:
    """The parser of a file's ending; it raises ValueError and RecursionError."""
    if suffix in (".yaml", ".yml"):
        return parse_yaml
    if suffix == ".json":
        return parse_json
    return parse_toml if suffix == ".toml" else None


def parse_toml(text: str) -> Any:
    """Raises ValueError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if found := _TOML_TWIN.match(str(error)):
            lines = text.splitlines()
            raise ValueError(_toml_twin(lines, int(found[1] or len(lines))) or str(error)) from None
        raise


def parse_yaml(text: str) -> Any:
    """Raises ValueError and RecursionError."""
    try:
        return YAML(typ="safe").load(text)
    except DuplicateKeyError as error:  # a warning by its kind, which nobody would expect here
        name = _YAML_TWIN.search(error.problem)
        mark = error.problem_mark
        raise ValueError(
            _yaml_twin(text.splitlines(), mark.line, mark.column, name[1] if name else "a name")
        ) from None
    except MarkedYAMLError as error:
        raise ValueError(_yaml_reason(error)) from None
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def parse_json(text: str) -> Any:
    """Raises ValueError and RecursionError."""
    twins: list[tuple[dict[str, Any], str]] = []

    def note_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            twins.append((table, next(name for name in names if names.count(name) > 1)))
        return table

    content = json.loads(text, object_pairs_hook=note_twins)
    if twins:
        table, name = twins[0]
        path = ".".join([*(_path_to(table, content) or ()), name])
        lines = [at for at, line in enumerate(text.splitlines(), 1) if f'"{name}"' in line]
        raise ValueError(_told(path, lines[0], lines[1]) if len(lines) == 2 else f"{path} is there twice")
    return content


def why_no_table(text: str) -> str:
    """What keeps a variable's text from being a table."""
    try:
        if _JSON_TABLE.match(text):
            parse_json(text)
        else:
            tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError) as error:
        found = _INLINE_TWIN.match(str(error))
        return f"{found[1]} is there twice" if found else str(error)
    return "it is none"


def _told(name: str, first: int | None, second: int) -> str:
    lines = f"lines {first} and {second}" if first not in (None, second) else f"line {second}"
    return f"{name} is there twice, in {lines}"


def _toml_twin(lines: Sequence[str], last: int) -> str | None:
    before = [found for found in _toml_names(lines) if found[0] <= last]
    if not before:
        return None
    line, name, _ = before.pop()
    same = [at for at, other, _ in before if other == name]
    # A table may also have been begun by names of its own, or be a value already.
    begun = [
        at
        for at, other, is_table in before
        if other.startswith(f"{name}.") or (not is_table and name.startswith(f"{other}."))
    ]
    return _told(name, next(iter([*same, *begun]), None), line)


def _toml_names(lines: Sequence[str]) -> Iterator[tuple[int, str, bool]]:
    """Line, dotted name, and whether it is a table's."""
    table = ""
    for number, line in enumerate(lines, 1):
        if found := _TOML_TABLE.match(line):
            table = _dotted(found[1])
            yield number, table, True
        elif found := _TOML_NAME.match(line):
            name = _dotted(found[1])
            yield number, f"{table}.{name}" if table else name, False


def _dotted(written: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in written.split("."))


def _yaml_twin(lines: Sequence[str], last: int, column: int, name: str) -> str:
    path, first, indent = [name], None, column
    for number in range(last, -1, -1):
        found = _YAML_NAME.match(lines[number])
        if found is None:
            continue
        at, other = len(found[1]), found[2].strip("\"'")
        if at < indent:
            path.insert(0, other)
            indent = at
        elif indent == column == at and other == name and number < last:
            first = number + 1
    return _told(".".join(path), first, last + 1)


def _yaml_reason(error: MarkedYAMLError) -> str:
    parts = []
    for said, mark in ((error.context, error.context_mark), (error.problem, error.problem_mark)):
        if said:
            shown = _YAML_VALUE.sub(r"\1", " ".join(said.split()))
            parts.append(f"{shown} in line {mark.line + 1}" if mark else shown)
    return ": ".join(parts)


def _path_to(wanted: Mapping[str, Any], content: Any) -> list[str] | None:
    """The names that lead to a table."""
    if content is wanted:
        return []
    inner = content.items() if isinstance(content, Mapping) else ()
    for name, value in [*inner, *((None, item) for item in content if isinstance(content, list))]:
        path = _path_to(wanted, value) if isinstance(value, Mapping | list) else None
        if path is not None:
            return path if name is None else [str(name), *path]
    return None
