"""One GET and its whole answer, within bounds: bytes once unpacked, and seconds for the body."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from settings.schema import HttpSettings
from sync.errors import UnexpectedResponse

_PLAIN = ("", "identity")
_PACKED = ("gzip", "x-gzip", "deflate")
# Reads the headers of both gzip and zlib.
_EITHER_HEADER = zlib.MAX_WBITS | 32
# What each member of a gzip file begins with.
_MEMBER = b"\x1f\x8b"


# What httpx's connections say of a request that is on its way, after its "trace" extension.
_SENT = "http11.send_request_headers.complete"


def receive(  # noqa: PLR0913, PLR0917 - all that one request goes by
    http: httpx.Client,
    url: str,
    headers: Mapping[str, str],
    operation: str,
    settings: HttpSettings,
    on_sent: Callable[[], None] = lambda: None,
) -> httpx.Response:
    """GET an address and read the answer to its end, unpacked.

    `on_sent` is called when the request is written; through a proxy before that, too.

    Raises httpx.RequestError, also for a body that takes longer than `http.body_timeout_s`
    however busily it trickles, and UnexpectedResponse for one that is longer than
    `http.max_body_bytes`, of which no more than that is ever held.
    """

    def trace(event: str, _: Mapping[str, Any]) -> None:
        if event == _SENT:
            on_sent()

    asked = {**headers, "Accept-Encoding": "gzip"}
    with http.stream("GET", url, headers=asked, extensions={"trace": trace}) as response:
        body = _read(response, operation, settings)
    kept = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
    return httpx.Response(response.status_code, headers=kept, content=body)


def _read(response: httpx.Response, operation: str, settings: HttpSettings) -> bytes:
    ends_at_s = time.monotonic() + settings.body_timeout_s
    unpacker = _unpacker(response, operation)
    body = bytearray()
    is_begun = False
    for chunk in response.iter_raw():
        is_begun = True
        # One byte more than may be tells that there is more.
        body += unpacker.decompress(chunk, settings.max_body_bytes + 1 - len(body)) if unpacker else chunk
        if len(body) > settings.max_body_bytes:
            raise UnexpectedResponse(
                f"{operation}: the answer is longer than the {settings.max_body_bytes} bytes "
                "that http.max_body_bytes allows"
            )
        if time.monotonic() > ends_at_s:
            raise httpx.ReadTimeout("the body takes too long", request=response.request)
    if unpacker and is_begun and not unpacker.eof:
        raise httpx.DecodingError("the packed body has no end", request=response.request)
    return bytes(body)


class _Unpacker:
    """zlib's, member after member as gzip allows, with an error that counts as half an answer."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._zlib = zlib.decompressobj(_EITHER_HEADER)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def decompress(self, chunk: bytes, max_length: int) -> bytes:
        body = bytearray()
        try:
            while chunk and len(body) < max_length:
                if self._zlib.eof:
                    if not chunk.startswith(_MEMBER):
                        # Padding, which nobody reads.
                        break
                    self._zlib = zlib.decompressobj(_EITHER_HEADER)
                body += self._zlib.decompress(chunk, max_length - len(body))
                chunk = self._zlib.unused_data
        except zlib.error as error:
            raise httpx.DecodingError(str(error), request=self._request) from error
        return bytes(body)


def _unpacker(response: httpx.Response, operation: str) -> _Unpacker | None:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _PLAIN:
        return None
    if encoding in _PACKED:
        return _Unpacker(response.request)
    raise UnexpectedResponse(
        f'{operation}: the answer is packed as "{encoding[:40]}", and we asked for gzip or nothing'
    )
