"""What one machine needs before any process runs: a Redis, and addresses in the environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from brokers import embedded
from settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Ground:
    """The environment that every process of this machine gets."""

    environ: Mapping[str, str]
    redis_url: str
    is_redis_ours: bool


@contextlib.contextmanager
def grounded(settings: Settings) -> Iterator[Ground]:
    """Make sure that a Redis is there; one that was started here ends last.

    Raises ConfigurationError when the embedded server cannot be started.
    """
    environ = {**os.environ, "CLUBSYNC_HOME": str(settings.home.absolute())}
    if settings.redis.url is not None:
        yield Ground(environ, settings.redis.url.get_secret_value(), is_redis_ours=False)
        return
    server = embedded.start(settings.home)
    try:
        yield Ground({**environ, "REDIS_URL": server.url}, server.url, is_redis_ours=server.is_ours)
    finally:
        server.stop()
