"""PlayHQ's playing surfaces and venues; numbers come as numbers and as text, as in real answers."""

from __future__ import annotations

from typing import Any

from simulator.world.model import Ground


def surface(ground: Ground) -> dict[str, Any]:
    return {
        "id": ground.id,
        "name": ground.name,
        "abbreviatedName": ground.short_name,
        "longitude": _number(ground.longitude, ground),
        "latitude": _number(ground.latitude, ground),
        "venue": {
            "id": ground.venue_id,
            "name": ground.venue_name,
            "timezone": ground.zone,
            "address": address(ground),
        },
    }


def address(ground: Ground) -> dict[str, Any]:
    return {
        "line1": "" if ground.is_text else None,
        "suburb": ground.suburb,
        "postcode": _number(ground.postcode, ground),
        "state": ground.state,
        "country": ground.country,
        "latitude": _number(ground.latitude, ground),
        "longitude": None if ground.is_text else ground.longitude,
    }


def _number(value: float, ground: Ground) -> float | str:
    """The real service sends numbers as numbers and as text."""
    return str(value) if ground.is_text else value
