"""What every test may rely on: a private Redis, loopback only, an odd time zone, bounded waits."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import hypothesis
import pytest
import redis

from brokers import embedded

pytest_plugins = ["tests.databases", "tests.strapi.fixtures"]

T = TypeVar("T")

POLL_S = 0.005
LONGEST_POLL_S = 0.5
LOOPBACK = ("127.", "::1", "localhost")

# Nobody's zone, half an hour off: code that forgets its zone is wrong by a visible amount.
os.environ["TZ"] = "ODD-10:30"
time.tzset()

# A run in the background is started with Ctrl-C ignored, and so would be all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "clubsync",
    deadline=None,  # two shared cores: a slow example says nothing
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("clubsync")


def _refuse_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        kind, address = arguments[0].family, arguments[1]
        host = address[0] if kind in (socket.AF_INET, socket.AF_INET6) else "localhost"
    elif event == "socket.getaddrinfo":
        host = arguments[0] or "localhost"
    else:
        return
    text = host.decode() if isinstance(host, bytes) else str(host)
    if not text.startswith(LOOPBACK):
        raise AssertionError(f"a test tried to reach {text}: tests stay on loopback")


sys.addaudithook(_refuse_the_network)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with drills come first, or one process is left with minutes of them at the end."""
    with_drills = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in with_drills)


class Eventually(Protocol):
    def __call__(self, find: Callable[[], T], *, deadline_s: float = 30.0) -> T: ...


@pytest.fixture
def eventually() -> Eventually:
    """Ask again until the answer is truthy, and return it; fail at the deadline.

    Asking takes a fifth of the time at most: whatever is waited for needs the cores, too.
    """

    def wait(find: Callable[[], T], *, deadline_s: float = 30.0) -> T:
        end = time.monotonic() + deadline_s
        pause = threading.Event()
        while True:
            asked_at = time.monotonic()
            if found := find():
                return found
            now = time.monotonic()
            if now > end:
                pytest.fail(f"still {found!r} after {deadline_s} s")
            pause.wait(min(max(POLL_S, 4 * (now - asked_at)), LONGEST_POLL_S))

    return wait


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private embedded server for this test process."""
    server = embedded.start(tmp_path_factory.mktemp("home"))
    yield server.url
    # Ended at once: in order, it would wait seconds for connections that tests have left open.
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def namespace(redis_client: redis.Redis) -> Iterator[str]:
    """A namespace of this test's own; its keys are deleted afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    for key in redis_client.scan_iter(f"*{name}*", count=1000):
        redis_client.delete(key)
