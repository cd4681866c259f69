from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from simulator.app import Simulator
from simulator.running import running
from simulator.world.sizes import plan_world
from simulator.world.world import World

HEADERS = {"x-api-key": "key-1234", "x-phq-tenant": "ca"}


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(World(plan_world("demo", None, None), seed=7, today=date(2031, 11, 24)))


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx.Client]:
    """A client of a simulator that listens, with PlayHQ's headers."""
    with running(simulator) as address, httpx.Client(base_url=address, headers=HEADERS, timeout=30) as client:
        yield client
