"""The scheduler's entry point: settings -> clients -> broker -> service."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace

from brokers import embedded
from brokers.inbox import Inbox
from notifications.live import LiveNotifications
from scheduler.assembly import build_service, open_notifications
from scheduler.foundation import lay_foundation
from scheduler.service import Service
from settings import logs
from settings.loader import load
from settings.reload import Reloader
from settings.schema import Settings
from stores.redis.registry import BEAT_EVERY_S, Heartbeat, Registry
from sync.errors import ConfigurationError, SyncError

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
LOOK_EVERY_S = 0.5


def main() -> int:
    """Schedule until SIGTERM; 0 after an orderly end, 1 or 2 with one clear sentence."""
    try:
        settings = load().settings
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 before there is a log
        return EXIT_WRONG_USE
    logs.set_up(settings)
    try:
        if settings.redis.url is not None:
            _serve(settings, settings.redis.url.get_secret_value())
            return 0
        server = embedded.start(settings.home)
        try:
            _serve(settings, server.url)
        finally:
            server.stop()
    except (ConfigurationError, SyncError) as error:
        print(error, file=sys.stderr)  # noqa: T201 for the person who started it
        return EXIT_FAILED
    return 0


def _serve(settings: Settings, redis_url: str) -> None:
    stopping = _stopped_by_signals()
    foundation = lay_foundation(settings, redis_url, stopping)
    if foundation is None:
        return
    reloader = foundation.reloader
    notifications = open_notifications(foundation)
    service = build_service(foundation, notifications)
    # Not a chore of whoever leads: several may read, and an entry then starts within milliseconds.
    inbox = Inbox(foundation.broker, foundation.publisher, runs=foundation.stores.runs)
    reader = threading.Thread(target=inbox.run, name="inbox", daemon=True)
    heartbeat = Heartbeat(
        Registry(foundation.client, foundation.namespace, foundation.clock),
        lambda: replace(foundation.process, config_version=reloader.in_force.number),
        every_s=BEAT_EVERY_S,
    )
    _follow(reloader, service, notifications)
    reloading = threading.Thread(target=reloader.run, args=[stopping], name="reloader", daemon=True)
    heartbeat.start()
    service.start(foundation.settings.scheduler)
    reader.start()
    reloading.start()
    try:
        # A signal that comes just before a wait does not end it, so no wait is for ever.
        while not stopping.wait(LOOK_EVERY_S):
            pass
    finally:
        inbox.stop()
        service.stop()
        reader.join()
        reloading.join()
        heartbeat.stop()
        foundation.close()


def _stopped_by_signals() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    return stopping


def _follow(reloader: Reloader, service: Service, notifications: LiveNotifications) -> None:
    reloader.subscribe("logging", apply=logs.set_up)
    reloader.subscribe("scheduler.entries", apply=lambda settings: service.apply(settings.scheduler))
    reloader.subscribe("notifications", "alerts", apply=notifications.apply)
    signal.signal(signal.SIGHUP, lambda _number, _frame: reloader.ask())


if __name__ == "__main__":
    sys.exit(main())
