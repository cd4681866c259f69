"""One JSON POST or GET, its faults told apart by what to do about them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx

from sync.errors import AddressGone, CredentialsRejected, DeferredError, PermanentError, TransientError
from sync.retry_after import parse_retry_after

# When a 429 does not say how long.
DEFAULT_RETRY_AFTER_S = 30.0
# Nobody is told a day late; a longer wait is asked for again.
MAX_RETRY_AFTER_S = 3600.0
MAX_REASON_CHARS = 200


def open_client(timeout_s: float) -> httpx.Client:
    """A client that reads no proxy settings from the environment."""
    return httpx.Client(timeout=timeout_s, trust_env=False, limits=httpx.Limits(max_connections=4))


def post(
    client: httpx.Client, url: str, content: bytes, *, what: str, headers: Mapping[str, str]
) -> httpx.Response:
    """Send and answer the successful response. `what` names the operation in errors; the URL is a secret.

    Raises TransientError (no answer, 5xx), DeferredError (429), CredentialsRejected (401, 403),
    AddressGone (410) and PermanentError (any other refusal).
    """
    as_json = {"content-type": "application/json; charset=utf-8", **headers}
    try:
        response = client.post(url, content=content, headers=as_json)
    except httpx.TransportError as error:
        raise _no_answer(error, what) from error
    return _successful(response, what)


def get(
    client: httpx.Client, url: str, params: Mapping[str, str], *, what: str, headers: Mapping[str, str]
) -> httpx.Response:
    """Ask, with the same errors as `post`."""
    try:
        response = client.get(url, params=dict(params), headers=dict(headers))
    except httpx.TransportError as error:
        raise _no_answer(error, what) from error
    return _successful(response, what)


def _no_answer(error: httpx.TransportError, what: str) -> TransientError:
    """Also where a certificate is not valid: it may be renewed, and what waits is told then."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    reason = f"the certificate is not valid: {cause.verify_message}" if cause else "no answer"
    return TransientError(f"{what}: {reason} ({type(error).__name__})")


def _successful(response: httpx.Response, what: str) -> httpx.Response:
    if response.is_success:
        return response
    reason = f"{what}: {response.status_code} {' '.join(response.text.split())[:MAX_REASON_CHARS]}".rstrip()
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise DeferredError(reason, retry_after_s=retry_after_s(response))
    if response.is_server_error or response.status_code == httpx.codes.REQUEST_TIMEOUT:
        raise TransientError(reason)
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CredentialsRejected(reason)
    if response.status_code == httpx.codes.GONE:
        raise AddressGone(reason)
    raise PermanentError(reason)


def connect(client: httpx.Client, url: str, *, what: str) -> str:
    """Name, connection and TLS alone: what such an address is asked, it may take for a notice.

    Raises TransientError, PermanentError for a certificate that is not valid.
    """
    parts = httpx.URL(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.host, port), timeout=client.timeout.connect) as connection:
            if parts.scheme == "https":
                ssl.create_default_context().wrap_socket(connection, server_hostname=parts.host).close()
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"{what}: the certificate of {parts.host} is not valid") from error
    except OSError as error:
        raise TransientError(
            f"{what}: {parts.host}:{port} does not answer ({type(error).__name__})"
        ) from error
    return f"{what}: {parts.host}:{port} answers"


def retry_after_s(response: httpx.Response) -> float:
    """Retry-After as seconds or as a date (RFC 9110, 10.2.3), within bounds."""
    wait_s = parse_retry_after(response.headers.get("retry-after"), now=datetime.now(UTC))
    return DEFAULT_RETRY_AFTER_S if wait_s is None else min(wait_s, MAX_RETRY_AFTER_S)
