"""The text of a query: qs brackets as a tree, and lists in their spellings."""

from __future__ import annotations

import re
from typing import Any

_BRACKETS = re.compile(r"\[([^\]]*)\]")


def parse_query(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][0]=1` as {"a": {"b": {"0": "1"}}}; `[]` and repeated names count up."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head = name.partition("[")[0]
        steps = [head, *_BRACKETS.findall(name[len(head) :])]
        node = tree
        for step in steps[:-1]:
            below = node.get(step)
            node[step] = below if isinstance(below, dict) else {}
            node = node[step]
        last = steps[-1]
        if last == "" or last in node:
            if last and not isinstance(node[last], dict):
                node[last] = {"0": node[last]}
            target = node[last] if last else node
            target[str(len(target))] = value
        else:
            node[last] = value
    return tree


def values_of(node: Any) -> list[str]:
    """A list in any of its spellings: indexed, repeated, separated by commas."""
    if isinstance(node, dict):
        return [str(value) for _, value in sorted(node.items(), key=lambda item: item[0].zfill(9))]
    return [] if node is None else str(node).split(",")


def whole(text: Any, default: int) -> int:
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default
