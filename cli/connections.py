"""Everything that the settings name, reached once: what `config check --connect` says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Thread

from brokers import embedded
from brokers.clients import open_client
from brokers.server_doubts import find_doubts
from cms.registry import CmsContext, open_cms
from notifications.channels import Channel, Reachable
from notifications.registry import open_channels
from providers.reach import Probe, probe_of, reach
from providers.registry import load_plugins
from settings import logs
from settings.problems import variable_name
from settings.schema import HttpSettings, Settings
from stores.redis.errors import answering
from stores.sql.engine import open_engine, ping
from stores.sql.migrate import pending
from stores.sql.stores import open_stores
from sync.clock import SystemClock
from sync.errors import ConfigurationError, NotFound, SyncError, TransientError

NOT_CONFIGURED = "not configured"


@dataclass(frozen=True, slots=True)
class Connection:
    """`ask` answers in a few words what it found, or raises SyncError; `advice` is for that case.

    `when_down` is for the case that it does not answer, which may be nobody's mistake here.
    """

    name: str
    ask: Callable[[], str]
    advice: str
    when_down: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What asking came to."""

    name: str
    is_good: bool
    value: str
    advice: str
    took_ms: float


def connections(settings: Settings, timeout_s: float) -> list[Connection]:
    """One for each thing that the settings name."""
    return [
        Connection("redis", lambda: _ask_redis(settings), "mend REDIS_URL, or start that server"),
        Connection(
            "sql", lambda: _ask_sql(settings), "mend DATABASE_URL, start that server, clubsync migrate"
        ),
        Connection(
            "cms",
            lambda: _ask_cms(settings),
            "mend the address and token of the section cms",
            when_down="start it, see its log; if it is up, mend the address in the section cms",
        ),
        *_providers(settings, timeout_s),
        *_channels(settings),
    ]


def reach_all(wanted: Sequence[Connection], timeout_s: float) -> list[Found]:
    """Ask all at once; what has not answered in time has failed. Never shows a secret."""
    found: dict[str, Found] = {}

    def ask(connection: Connection) -> None:
        found[connection.name] = _asked(connection)

    # Daemons: one that hangs in a name server must not keep the command from ending.
    threads = [Thread(target=ask, args=[connection], daemon=True) for connection in wanted]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    late = f"no answer within {timeout_s:g} s"
    return [
        found.get(one.name)
        or Found(one.name, is_good=False, value=late, advice=one.advice, took_ms=timeout_s * 1000)
        for one in wanted
    ]


def _asked(connection: Connection) -> Found:
    began_s = time.monotonic()
    advice = connection.advice
    try:
        value, is_good = connection.ask(), True
    except TransientError as error:
        value, is_good, advice = str(error), False, connection.when_down or advice
    except (SyncError, ConfigurationError) as error:
        value, is_good = str(error), False
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and the others still count
        value, is_good = f"{type(error).__name__}: {logs.redacted(str(error))}", False
    took_ms = round((time.monotonic() - began_s) * 1000, 1)
    return Found(connection.name, is_good, value, "" if is_good else advice, took_ms)


def _ask_redis(settings: Settings) -> str:
    url = settings.redis.url.get_secret_value() if settings.redis.url else embedded.discover(settings.home)
    if url is None:
        embedded.find_server_binary()
        return f"embedded, in {settings.home}; it starts with clubsync up"
    client = open_client(url, max_connections=2)
    with contextlib.closing(client), answering():
        client.ping()
        server = client.info()
    for doubt in find_doubts(server):
        raise ConfigurationError(f"{doubt.said}: {doubt.mend}")
    return f"version {server['redis_version']} answers"


def _ask_sql(settings: Settings) -> str:
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    if settings.database.url is None:
        return f"embedded, in {settings.home}"
    try:
        ping(engine)
        if missing := pending(engine):
            raise ConfigurationError(
                f"{len(missing)} migration(s) are missing, from {missing[0]}: clubsync migrate"
            )
        return f"{engine.dialect.name} answers, its schema is current"
    finally:
        engine.dispose()


def _ask_cms(settings: Settings) -> str:
    clock = SystemClock()
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    if settings.cms.kind == "embedded":
        return "embedded, in the SQL database"
    cms = open_cms(CmsContext(settings=settings.cms, stores=open_stores(engine, clock), clock=clock))
    with contextlib.suppress(NotFound):
        cms.find_account(0)
    return f"{settings.cms.kind} answers"


def _providers(settings: Settings, timeout_s: float) -> Iterator[Connection]:
    plugins = load_plugins()
    probes: dict[str, Probe] = {}
    for name, opener in plugins.openers.items():
        make = probe_of(opener)
        probe = make(settings) if make is not None else None
        if probe is not None:
            probes[name] = probe
        advice = f"mend the section providers.{name}: its address and key"
        yield Connection(
            f"provider {name}",
            _ask_provider(probe, settings.http, timeout_s, is_offered=make is not None),
            advice,
            when_down=f"see whether it says that it is down; if not, mend providers.{name}.base_url",
        )
    for name, reason in plugins.broken.items():
        yield Connection(f"provider {name}", _raise(reason), "mend or uninstall its package")
    through = next(iter(probes.values()), None)
    for number, proxy in enumerate(settings.http.proxies, start=1):
        advice = f"mend number {number} of {variable_name('http.proxies')}: http://user:password@host:port"
        yield Connection(
            f"proxy {number}", _ask_proxy(through, settings.http, proxy.get_secret_value(), timeout_s), advice
        )


def _ask_provider(
    probe: Probe | None, http: HttpSettings, timeout_s: float, *, is_offered: bool
) -> Callable[[], str]:
    if probe is None:
        return lambda: NOT_CONFIGURED if is_offered else "offers no probe: only a sync shows whether it works"
    return lambda: reach(probe, http, timeout_s=timeout_s)


def _ask_proxy(through: Probe | None, http: HttpSettings, proxy: str, timeout_s: float) -> Callable[[], str]:
    if through is None:
        return _raise("no provider is configured that could be asked through it")
    return lambda: reach(through, http, timeout_s=timeout_s, proxy=proxy)


def _channels(settings: Settings) -> Iterator[Connection]:
    channels = open_channels(settings.notifications)
    for name, channel in channels.opened.items():
        yield Connection(f"channel {name}", _ask_channel(channel), f"mend the section notifications.{name}")
    for name in channels.unconfigured:
        yield Connection(f"channel {name}", lambda: NOT_CONFIGURED, "")
    for name, reason in channels.broken.items():
        yield Connection(f"channel {name}", _raise(reason), "mend or uninstall its package")


def _ask_channel(channel: Channel) -> Callable[[], str]:
    if isinstance(channel, Reachable):
        return channel.reach
    return lambda: "cannot be tried without telling somebody"


def _raise(reason: str) -> Callable[[], str]:
    def ask() -> str:
        raise ConfigurationError(reason)

    return ask
