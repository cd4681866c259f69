"""What one machine needs before any process runs: a Redis, and addresses in the environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Ground:
    """The environment that every process of this machine gets.

    `revive_redis` starts a server of ours again that has ended, with its data and at its
    address, and answers whether it had. It raises ConfigurationError when that fails.
    """

    environ: Mapping[str, str]
    redis_url: str
    is_redis_ours: bool
    revive_redis: Callable[[], bool]


@contextlib.contextmanager
def grounded(settings: Settings) -> Iterator[Ground]:
    """Make sure that a Redis is there; one that was started here ends last.

    Raises ConfigurationError when the embedded server cannot be started.
    """
    environ = {**os.environ, "CLUBSYNC_HOME": str(settings.home.absolute())}
    if settings.redis.url is not None:
        url = settings.redis.url.get_secret_value()
        yield Ground(environ, url, is_redis_ours=False, revive_redis=lambda: False)
        return
    from brokers import embedded

    server = embedded.start(settings.home)

    def revive() -> bool:
        nonlocal server
        if not server.has_ended:
            return False
        server = embedded.start(settings.home)
        return True

    environ["REDIS_URL"] = server.url
    try:
        yield Ground(environ, server.url, is_redis_ours=server.is_ours, revive_redis=revive)
    finally:
        server.stop()
