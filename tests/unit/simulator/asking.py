"""Asks a simulator without a socket, and makes the worlds that the tests look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from simulator.app import Simulator
from simulator.server import Answer, Request
from simulator.world.sizes import plan_world
from simulator.world.world import World

# A Monday: Saturday's games are over, some results are late.
TODAY = date(2031, 11, 24)


def make_world(size: str = "demo", *, seed: int = 7, today: date = TODAY) -> World:
    return World(plan_world(size, None, None), seed=seed, today=today)


def make_simulator(size: str = "demo", **options: Any) -> Simulator:
    return Simulator(make_world(size), **options)


def get(
    simulator: Simulator, target: str, *, tenant: str = "ca", key: str = "key-1234", **headers: str
) -> Answer:
    """A GET with PlayHQ's headers."""
    sent = {"x-api-key": key, "x-phq-tenant": tenant}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return simulator.handle(Request("GET", target, sent))


def post(simulator: Simulator, target: str, body: Any, **headers: str) -> Answer:
    return simulator.handle(Request("POST", target, headers, json.dumps(body).encode()))


def read(answer: Answer) -> Any:
    assert answer.status == 200, answer
    return json.loads(answer.body)


def read_all(simulator: Simulator, target: str) -> list[Any]:
    """Every page of a listing."""
    items: list[Any] = []
    page = read(get(simulator, target))
    items += page["data"]
    while page["metadata"]["hasMore"]:
        page = read(get(simulator, f"{target}?cursor={page['metadata']['nextCursor']}"))
        items += page["data"]
    return items


def all_fixtures(simulator: Simulator, tenant: str = "ca") -> Iterator[tuple[Any, Any]]:
    """Each shown grade of a tenant and its v2 fixture."""
    for association in simulator.world.associations():
        if association.tenant != tenant:
            continue
        for season in association.seasons:
            for grade in season.grades:
                if not grade.is_hidden:
                    yield grade, read(get(simulator, f"/v2/grades/{grade.id}/games", tenant=tenant))
