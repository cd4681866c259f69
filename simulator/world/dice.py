"""Chance that repeats: the same throws for the same path."""

from __future__ import annotations

from random import Random


def dice(*path: object) -> Random:
    return Random("/".join(map(str, path)))  # noqa: S311  (draws and faults, no secrets)
