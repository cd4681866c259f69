"""The connections of the way out: a pool each, one TLS context, proxies if there are any.

httpx looks at every connection of its pool at every acquire and release, by a poll that gevent
makes a round trip of its hub. So a request costs 9-12 ms of CPU with a pool of 200
connections, 0.7-0.9 ms with pools of 10, and 0.55 ms with a pool for each connection.
"""

from __future__ import annotations

import functools
import logging
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

import httpx

from providers.proxies import Rotation
from settings.schema import HttpSettings

# Below the 5 s after which common servers drop an idle connection.
KEEP_ALIVE_S = 4.0
_WANTS_OTHER_CREDENTIALS = "wants other credentials (407)"


def open_client(settings: HttpSettings) -> httpx.Client:
    """An HTTP client for one upstream; ignores proxy settings of the environment."""
    # These loggers print whole addresses and headers, tokens included.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    context = _tls_context()
    if settings.proxies:
        proxies = [proxy.get_secret_value() for proxy in settings.proxies]
        transport: httpx.BaseTransport = ProxiedTransport(
            [(_host(proxy), ShardedTransport(context, proxy=proxy)) for proxy in proxies]
        )
    else:
        transport = ShardedTransport(context)
    return httpx.Client(
        transport=transport,
        trust_env=False,
        timeout=httpx.Timeout(
            connect=settings.connect_timeout_s,
            read=settings.read_timeout_s,
            write=settings.write_timeout_s,
            pool=settings.pool_timeout_s,
        ),
    )


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """One for the process: each costs 45 ms and 1 MB."""
    return ssl.create_default_context()


class ShardedTransport(httpx.BaseTransport):
    """As many connections as there are requests at once, each in a pool of its own.

    For an actor of any worker with many greenlets, one for the process:
    `httpx.Client(transport=ShardedTransport())`.
    """

    def __init__(self, context: ssl.SSLContext | None = None, *, proxy: str | None = None) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE_S)
        context = context or _tls_context()
        self._open = functools.partial(
            httpx.HTTPTransport, verify=context, limits=limits, proxy=proxy, trust_env=False
        )
        self._shards: set[httpx.HTTPTransport] = set()
        # Last in, first out: the rest of them may fall idle, and their connections end.
        self._idle: list[httpx.HTTPTransport] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        shard = self._take()
        try:
            response = shard.handle_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            # httpcore keeps a tunnel whose TLS failed as if it were in use, and the pool is full for ever.
            self._shards.discard(shard)
            shard.close()
            raise
        except BaseException:
            self._idle.append(shard)
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - narrows the type
        response.stream = _LentStream(response.stream, lambda: self._idle.append(shard))
        return response

    def close(self) -> None:
        for shard in self._shards:
            shard.close()

    def _take(self) -> httpx.HTTPTransport:
        try:
            return self._idle.pop()
        except IndexError:
            shard = self._open()
            self._shards.add(shard)
            return shard


class ProxiedTransport(httpx.BaseTransport):
    """Sends each request through the next proxy; a failing one rests for a while.

    Raises httpx.ProxyError for whatever the proxy did wrong, a 407 answer included, so
    that nothing of it is taken for the provider's word. Each proxy comes with the name that
    errors call it by.
    """

    def __init__(self, proxies: Sequence[tuple[str, httpx.BaseTransport]]) -> None:
        self._proxies = proxies
        self._rotation = Rotation(proxies, time.monotonic)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        number, (_, proxy) = self._rotation.next()
        try:
            response = proxy.handle_request(request)
        except (httpx.ProxyError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._refuse(number, _what_is_wrong(error), error)
        if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            self._refuse(number, _WANTS_OTHER_CREDENTIALS, None)
        return response

    def close(self) -> None:
        for _, proxy in self._proxies:
            proxy.close()

    def _refuse(self, number: int, what: str, cause: Exception | None) -> NoReturn:
        self._rotation.rest(number)
        name = self._proxies[number][0]
        raise httpx.ProxyError(f"proxy {number + 1} of {len(self._proxies)}, {name}, {what}") from cause


class _LentStream(httpx.SyncByteStream):
    """Gives its shard back once the answer is read or dropped."""

    def __init__(self, stream: httpx.SyncByteStream, give_back: Callable[[], None]) -> None:
        self._stream = stream
        self._give_back = give_back
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            if self._is_open:
                self._is_open = False
                self._give_back()


def _host(proxy: str) -> str:
    """Host and port, without the credentials."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _what_is_wrong(error: httpx.TransportError) -> str:
    # All that httpx tells of a refused CONNECT is the status line in the text.
    status = str(error).partition(" ")[0]
    if status == "407":
        return _WANTS_OTHER_CREDENTIALS
    if status.isdecimal():
        return f"refuses to connect ({status})"
    if _is_about_tls(error):
        return "leads to no TLS connection that can be trusted: look at its certificate and the provider's"
    return "cannot be reached"


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None:
        # httpcore keeps the error of TLS as the argument of its own.
        if any(isinstance(told, ssl.SSLError) for told in (error, *error.args)):
            return True
        error = error.__cause__ or error.__context__
    return False
