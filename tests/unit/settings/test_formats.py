"""What is said of a text that cannot be read: the name and the line, and never a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from settings.formats import parse_json, parse_toml, parse_yaml, why_no_table


@pytest.mark.parametrize(
    ("parse", "text", "told"),
    [
        (parse_toml, "[a.b]\nx = 1\ny = 2\nx = 3", "a.b.x is there twice, in lines 2 and 4"),
        (parse_toml, "[a.b]\nx = 1\n\n[a.b]\ny = 3\n", "a.b is there twice, in lines 1 and 4"),
        (parse_toml, "a.x = 1\n[a]\ny = 3\n", "a is there twice, in lines 1 and 2"),
        (parse_toml, "[a]\nx = 1\n[a.x]\ny = 3\n", "a.x is there twice, in lines 2 and 3"),
        (parse_toml, "a = {x = 1, x = 2}", "Duplicate inline table key 'x' (at line 1, column 18)"),
        (parse_toml, 'x = """\n1\n"""\n"x" = """\n2\n"""\n', "x is there twice, in lines 1 and 4"),
        (parse_yaml, "a:\n  b:\n    x: 1\n    y: 2\n    x: 3\n", "a.b.x is there twice, in lines 3 and 5"),
        (parse_yaml, "a:\n  x: 1\nb: 2\na:\n  y: 1\n", "a is there twice, in lines 1 and 4"),
        (parse_yaml, "a:\n  x: 1\nb:\n  x: 1\n  'x': 2\n", "b.x is there twice, in lines 4 and 5"),
        (parse_yaml, "a: {x: 1, x: 2}", "a.x is there twice, in line 1"),
        (parse_json, '{"a": {"x": 1, "y": 2,\n"x": 3}}', "a.x is there twice, in lines 1 and 2"),
        (parse_json, '[{"a": [{"x": 1, "x": 3}]}]', "a.x is there twice"),
    ],
)
def test_a_name_that_is_there_twice_is_told_with_its_place(
    parse: Callable[[str], Any], text: str, told: str
) -> None:
    with pytest.raises(ValueError, match=r"twice|Duplicate") as caught:
        parse(text)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_yaml, "api_key: hunter2\napi_key: hunter2\n"),
        (parse_yaml, "api_key: [hunter2\n"),
        (parse_yaml, 'api_key: "hunter2\n'),
        (parse_yaml, "api_key: *hunter2\n"),
        (parse_yaml, "api_key: !hunter2 x\n"),
        (parse_yaml, "api_key: !!hunter2 x\n"),
        (parse_yaml, "api_key: hunter2: x\n"),
        (parse_yaml, "api_key: hunter2\x00\n"),
        (parse_yaml, "api_key: %hunter2\n"),
        (parse_toml, "api_key = hunter2\n"),
        (parse_toml, 'api_key = "hunter2\n'),
        (parse_toml, "api_key = 'hunter2' hunter2\n"),
        (parse_toml, "api_key = 'hunter2'\napi_key = 'hunter2'\n"),
        (parse_json, '{"api_key": hunter2}'),
        (parse_json, '{"api_key": "hunter2'),
        (parse_json, '{"api_key": "hunter2", "api_key": "hunter2"}'),
        (why_no_table, '{"api_key": "hunter2", "api_key": "hunter2"}'),
        (why_no_table, "{api_key = hunter2}"),
    ],
)
def test_no_value_is_shown(parse: Callable[[str], Any], text: str) -> None:
    try:
        said = str(parse(text))
    except ValueError as error:
        said = str(error)
    assert said
    assert "hunter" not in said


def test_a_mistake_in_yaml_is_told_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"^while parsing a flow sequence in line 2: expected .* in line 3$"):
        parse_yaml("http:\n  proxies: [a\n")
