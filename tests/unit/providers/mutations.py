"""Payloads with anything changed anywhere, for hypothesis."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = st.sampled_from(
    [
        "",
        " ",
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "true",
        "2031-02-30",
        "9999-12-31T23:59:59Z",
        "31/12/9999",
        "\x00",
        "٣",
    ]
)
ODD_NUMBERS = st.sampled_from([0, -1, 2**63, 2**200, -0.0, 1e308, 5e-324])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | ODD_NUMBERS | ODD_TEXTS | st.text(max_size=5) | st.integers() | FLOATS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)

Step = str | int


@st.composite
def mutated(draw: st.DrawFn, payload: Any) -> Any:
    """The payload with one to four of its values replaced, removed or repeated."""
    changed = copy.deepcopy(payload)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            break
        holder, step = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "remove", "repeat"])):
            case "replace":
                holder[step] = draw(ANYTHING)
            case "remove":
                del holder[step]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[step]))
            case _:
                holder[step] = [copy.deepcopy(holder[step])] * 2
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Step]]:
    steps: list[Step] = []
    if isinstance(value, dict):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    for step in steps:
        yield value, step
        yield from _places(value[step])
