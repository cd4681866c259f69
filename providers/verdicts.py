"""What an HTTP answer of a provider means: records, nothing new, a throttle, a fault, an error."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import httpx
import msgspec

from providers.upstream import Upstream
from sync.errors import CredentialsRejected, NotFound, UnexpectedResponse
from sync.retry_after import parse_retry_after


@dataclass(frozen=True, slots=True)
class Received:
    """A 200 with this body; whether it keeps its contract is the caller's question."""

    body: bytes


@dataclass(frozen=True, slots=True)
class NotModified:
    """A 304: the stored answer still holds."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """A 429, or a burst block when `is_block`; `wait_s` is what the provider asked for."""

    status: int
    wait_s: float | None
    is_block: bool


@dataclass(frozen=True, slots=True)
class Faulty:
    """A fault that may pass; `wait_s` is what the provider asked for."""

    status: int
    wait_s: float | None


Verdict = Received | NotModified | Throttled | Faulty

# What decoding raises for bytes that are no JSON, or JSON nested beyond all reason.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_STRAY_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_RETRIABLE = frozenset({408, 425})


def judge(response: httpx.Response, operation: str, upstream: Upstream, *, now: datetime) -> Verdict:
    """Tell what to do with an answer of the upstream.

    Raises CredentialsRejected (401, 403 with JSON), NotFound (404, 410) and
    UnexpectedResponse (a redirect or any other refusal): repeating those cannot help.
    """
    status = response.status_code
    if status == httpx.codes.NOT_MODIFIED:
        return NotModified()
    if response.is_success:
        return Received(_utf8(response))
    wait_s = parse_retry_after(response.headers.get("Retry-After"), now=now)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(status, wait_s, is_block=False)
    if status == httpx.codes.FORBIDDEN and not _is_json(response.content):
        return Throttled(status, wait_s, is_block=True)
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CredentialsRejected(
            f"{operation}: the provider refuses our key ({status}{_explanation(response, upstream)}); "
            "check the key, its tenant and what it may read"
        )
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise NotFound(f"{operation}: the provider does not know it ({status})")
    if response.is_server_error or status in _RETRIABLE:
        return Faulty(status, wait_s)
    if response.has_redirect_location:
        raise UnexpectedResponse(
            f"{operation}: the provider sends us on to {_host(response.headers['Location'])} ({status}), "
            "where our key does not go; if it moved, its base_url must be the new address"
        )
    raise UnexpectedResponse(f"{operation}: unexpected answer ({status}{_explanation(response, upstream)})")


def _utf8(response: httpx.Response) -> bytes:
    charset = (response.charset_encoding or "utf-8").lower()
    body = response.content
    if charset not in ("utf-8", "utf8"):
        # JSON is UTF-8 whatever a wrong label says, and the decoder tells when it is not.
        with suppress(LookupError, UnicodeError):
            body = body.decode(charset).encode()
    return body.removeprefix(_STRAY_BYTE_ORDER_MARK)


def _host(location: str) -> str:
    """Nothing else of an address: the rest may hold a token."""
    try:
        host = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        return "an unreadable address"
    return host[:200] or "another path of its own"


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except NOT_JSON:
        return False
    return True


def _explanation(response: httpx.Response, upstream: Upstream) -> str:
    """What a JSON error body says, if it says something; error shapes are not documented."""
    try:
        body = msgspec.json.decode(response.content)
    except NOT_JSON:
        return ""
    if not isinstance(body, dict):
        return ""
    texts = (body.get(key) for key in ("error", "message"))
    text = next((text for text in texts if isinstance(text, str) and text), None)
    return f': "{upstream.without_secrets(text)[:200]}"' if text else ""
