"""Redis clients from a URL, with limits that suit many greenlets and no hidden repeats.

    redis://  rediss://  unix://            one server
    redis+sentinel://h1:p1,h2:p2/service    the primary that Sentinel names
    redis+cluster://h1:p1,h2:p2             a cluster; a namespace lives in one of its slots

`rediss+...` speaks TLS. A user, a password and a query (`?ssl_cert_reqs=none`) stand where
redis-py expects them in a URL.
"""

from __future__ import annotations

import functools
import select
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit, urlunsplit

import redis
from gevent import monkey  # type: ignore[import-untyped] # ships no types
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import ClusterNode
from redis.connection import AbstractConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from sync.errors import ConfigurationError

DEFAULT_SENTINEL_PORT = 26379
DEFAULT_PORT = 6379
# Longer than a healthy server ever takes.
SOCKET_TIMEOUT_S = 5.0
# A greenlet that finds all connections busy waits for one; redis-py's own pool raises instead.
CHECK_OUT_TIMEOUT_S = 20.0
MAX_CONNECTIONS = 32
TWICE_MORE = Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), 2)


# The system's own: gevent's makes a round trip of its hub, which cost as much as the call itself.
_poll = monkey.get_original("select", "poll")


class GlancingConnection(AbstractConnection):
    """Tells at a glance whether anything came while it was idle, which redis-py asks before each call."""

    def can_read(self, timeout: float = 0) -> bool:
        if not timeout and self._sock is not None:
            poll = _poll()
            poll.register(self._sock.fileno(), select.POLLIN)
            if not poll.poll(0):
                return False
        return super().can_read(timeout)


@functools.cache
def glancing(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection, glancing."""
    return type(f"Glancing{kind.__name__}", (GlancingConnection, kind), {})


class BlockingSentinelPool(SentinelConnectionPool, redis.BlockingConnectionPool):
    """Asks Sentinel for the primary, and waits for a free connection as the plain pool does."""


def open_client(url: str, *, max_connections: int) -> redis.Redis:
    """A client for the URL; connects when first used. Raises ConfigurationError for a bad URL.

    Nothing is repeated after a failure: whether a call may be is for its caller to know.
    """
    parts = urlsplit(url)
    base, _, kind = parts.scheme.partition("+")
    options = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
    pool_options = {"max_connections": max_connections, "timeout": CHECK_OUT_TIMEOUT_S}
    try:
        if kind == "sentinel":
            return _open_sentinel(parts, base, options | pool_options)
        if kind == "cluster":
            return _open_cluster(parts, base, options)
        pool = redis.BlockingConnectionPool.from_url(url, **options, **pool_options)
    except ValueError as error:
        raise ConfigurationError(f"REDIS_URL: {error}") from error
    pool.connection_class = glancing(pool.connection_class)
    return redis.Redis.from_pool(pool)


def open_tolerant_client(url: str | None, **settings: Any) -> redis.Redis:
    """A client for any `settings` of `redis.Redis`; what it is asked may be asked twice more.

    Waits for a free connection instead of failing, up to `timeout` seconds.
    """
    if "connection_pool" in settings:
        return redis.Redis(connection_pool=settings["connection_pool"])
    settings = {"socket_timeout": SOCKET_TIMEOUT_S, "retry": TWICE_MORE, **settings}
    if url is not None and "+" in urlsplit(url).scheme:
        return open_client(url, max_connections=settings.get("max_connections", MAX_CONNECTIONS))
    waiting = {
        "max_connections": settings.pop("max_connections", MAX_CONNECTIONS),
        "timeout": settings.pop("timeout", 10),
    }
    if url is not None:
        pool = redis.BlockingConnectionPool.from_url(url, **waiting, **settings)
    else:
        plain = redis.Redis(**settings).connection_pool  # knows TLS and sockets by redis-py's names
        pool = redis.BlockingConnectionPool(
            connection_class=plain.connection_class, **waiting, **plain.connection_kwargs
        )
    return redis.Redis(connection_pool=pool)


def _open_sentinel(parts: SplitResult, scheme: str, options: dict[str, Any]) -> redis.Redis:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError(
            "a Sentinel URL ends with the name of its service, redis+sentinel://host:26379/service"
        )
    credentials = _query_and_credentials(parts, scheme)
    sentinel = Sentinel(
        _addresses(parts, DEFAULT_SENTINEL_PORT), sentinel_kwargs={"socket_timeout": SOCKET_TIMEOUT_S}
    )
    pool = BlockingSentinelPool(  # type: ignore[no-untyped-call] # inherits a bare signature
        service, sentinel, is_master=True, db=int(database or 0), **credentials, **options
    )
    return redis.Redis.from_pool(pool)


def _open_cluster(parts: SplitResult, scheme: str, options: dict[str, Any]) -> redis.Redis:
    nodes = [ClusterNode(host, port) for host, port in _addresses(parts, DEFAULT_PORT)]
    credentials = _query_and_credentials(parts, scheme)
    credentials["ssl"] = scheme == "rediss"
    # The commands that are used here are the same on both classes; redis-py gives them no shared type.
    return cast(redis.Redis, redis.RedisCluster(startup_nodes=nodes, **credentials, **options))


def _addresses(parts: SplitResult, default_port: int) -> list[tuple[str, int]]:
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts:
        raise ValueError("the URL names no host")
    addresses = [host.partition(":") for host in hosts.split(",")]
    return [(host, int(port or default_port)) for host, _, port in addresses]


def _query_and_credentials(parts: SplitResult, scheme: str) -> dict[str, Any]:
    # redis-py reads these from a URL with a single host.
    user_info, at, _ = parts.netloc.rpartition("@")
    single = urlunsplit((scheme, f"{user_info}{at}localhost", "", parts.query, ""))
    options = dict(parse_url(single))
    for place in ("host", "port", "db", "connection_class"):
        options.pop(place, None)
    return options
