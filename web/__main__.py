"""The web process: settings -> engine, Redis, broker, publisher -> application -> port."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace

from brokers import embedded
from settings import logs
from settings.loader import Loaded, load
from settings.plugins import Kind, tell_broken
from settings.schema import Settings
from stores.redis.registry import BEAT_EVERY_S, Heartbeat
from sync.errors import ConfigurationError, SyncError
from web.app import create_app
from web.assembly import build_services
from web.background import Background
from web.foundation import lay_foundation
from web.recording import Recorder
from web.server import bind, serve

# The event loop and the threads beside it take turns in tenths of what Python gives them: a request
# waits for several turns of a thread that asks SQL and Redis.
THREAD_TURN_S = 0.0005
EXIT_FAILED = 1
EXIT_WRONG_USE = 2


def main() -> int:
    """Serve until SIGTERM; 0 after an orderly end, 1 or 2 with one clear sentence."""
    try:
        loaded = load()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 before there is a log
        return EXIT_WRONG_USE
    logs.set_up(loaded.settings)
    tell_broken(Kind)
    sys.setswitchinterval(THREAD_TURN_S)
    try:
        # First of all, so that a busy port is said before anything else is started.
        listener = bind(loaded.settings.web.host, loaded.settings.web.port)
        with listener, _redis_url(loaded.settings) as redis_url:
            _serve(loaded, redis_url, listener)
    except (ConfigurationError, SyncError) as error:
        print(error, file=sys.stderr)  # noqa: T201 for the person who started it
        return EXIT_FAILED
    return 0


@contextlib.contextmanager
def _redis_url(settings: Settings) -> Iterator[str]:
    """The configured Redis, or the embedded one, which ends after this process."""
    if settings.redis.url is not None:
        yield settings.redis.url.get_secret_value()
        return
    server = embedded.start(settings.home)
    try:
        yield server.url
    finally:
        server.stop()


def _serve(loaded: Loaded, redis_url: str, listener: socket.socket) -> None:
    foundation = lay_foundation(loaded, redis_url)
    following = foundation.following
    signal.signal(signal.SIGHUP, lambda _number, _frame: following.ask())
    services = build_services(foundation)
    heartbeat = Heartbeat(
        services.registry,
        lambda: replace(foundation.process, config_version=following.number() or None),
        every_s=BEAT_EVERY_S,
    )
    heartbeat.start()
    following.start()
    recorder = Recorder(
        services.operations, services.trends, services.registry, lambda: services.clock.now().timestamp()
    )
    background = Background(services.mass_retries, services.dead, recorder)
    background.start()
    try:
        serve(create_app(services), listener, services.stopping)
    finally:
        background.stop()
        following.stop()
        heartbeat.stop()
        foundation.close()


if __name__ == "__main__":
    sys.exit(main())
