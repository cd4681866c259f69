"""Durations as people write them on a command line: 90s, 5m, 2h, 3d."""

from __future__ import annotations

from sync.errors import InvalidRequest

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_duration_s(option: str, text: str) -> float:
    """Seconds. Raises InvalidRequest, naming the option."""
    number, unit = text[:-1], text[-1:]
    try:
        duration_s = float(number) * UNITS_S[unit]
    except (ValueError, KeyError):
        duration_s = -1.0
    if not 0 <= duration_s < float("inf"):
        raise InvalidRequest(f"{option} {text!r}: write a number and s, m, h or d, as 2h")
    return duration_s
