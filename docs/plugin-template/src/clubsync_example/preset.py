"""A run preset: `clubsync sync club 3 --preset fixtures`. Switches that are not named are on."""

from __future__ import annotations

FIXTURES = {"validation": False, "cleanup": False, "tracking": False}
