"""One call to Strapi: a bounded answer, errors in our words, and repeats of what may be repeated."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx

from sync.errors import (
    CmsAnswersWrongly,
    CmsRefusesKey,
    CmsThrottles,
    CmsUnavailable,
    NotFound,
    RateLimited,
    SyncError,
)
from sync.retry_after import parse_retry_after

T = TypeVar("T")
Parameter = tuple[str, str]
# Makes of a JSON body what the caller wants; raises CmsAnswersWrongly when it cannot.
Read = Callable[[Any], T]

_ATTEMPTS = 4
_RETRY_BASE_S = 0.25
_RETRY_CAP_S = 5.0
# A longer pause is left to the run, which is sent again after it.
_LONGEST_PAUSE_S = 10.0
_LONGEST_DEFERRAL_S = 3600.0
# A page of a hundred rows with all that they relate to is a few megabytes.
_MAX_BODY_BYTES = 64_000_000
# However busily it trickles.
_BODY_TIMEOUT_S = 60.0
_MAX_REASON_CHARS = 500
# How a server, or a proxy before it, says that an address is too long for it.
_TOO_LONG = frozenset(
    {
        httpx.codes.REQUEST_ENTITY_TOO_LARGE,
        httpx.codes.REQUEST_URI_TOO_LONG,
        httpx.codes.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)
_PASSING = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY})


class RecordRefused(SyncError):
    """The CMS does not take this one record; the others go on."""


class QuestionTooLong(SyncError):
    """The address is longer than the CMS takes: the same is asked in two."""


class RecordFailed(CmsUnavailable):
    """A 500 to a write: the CMS's fault, or this one record's (a number too large, a text too long)."""


class AnswerGarbled(CmsAnswersWrongly):
    """What came back with success is no answer to the question; whether a write was done is not known."""


class CmsHangs(CmsUnavailable):
    """It took the question and never answered; asking the same again at once would only wait as long."""


class Calls:
    """The calls of one client; its token is never told, not even when the CMS repeats it."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._token = http.headers.get("authorization", "").removeprefix("Bearer ")

    def close(self) -> None:
        self._http.close()

    def send(
        self, method: str, path: str, read: Read[T], *, query: Sequence[Parameter] = (), body: Any = None
    ) -> T:
        """Send something that may be repeated. Raises the errors of `send_once`."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self.send_once(method, path, read, query=query, body=body)
            except CmsHangs:
                raise
            except (CmsUnavailable, RateLimited, AnswerGarbled) as error:
                pause_s = _pause_s(error, attempt)
                if attempt == _ATTEMPTS or pause_s > _LONGEST_PAUSE_S:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last attempt answers or raises")

    def send_once(
        self, method: str, path: str, read: Read[T], *, query: Sequence[Parameter] = (), body: Any = None
    ) -> T:
        """Send and read the answer. Raises CmsUnavailable, RateLimited, CmsAnswersWrongly,
        CmsRefusesKey and NotFound; of a write RecordRefused, of a question QuestionTooLong.
        """
        operation = f"{method} {path}"
        answer = self.receive(method, path, query=query, body=body)
        try:
            content = answer.json() if answer.content or _is_page(answer) else None
        except (ValueError, RecursionError) as error:
            if _is_page(answer):
                raise _answered_by_a_page(operation) from error
            raise AnswerGarbled(f"{operation}: the CMS did not answer JSON") from error
        if isinstance(content, Mapping) and content.get("error") and not content.get("data"):
            told = f"{answer.status_code}, but an error: {self._reason(answer)}"
            raise AnswerGarbled(f"{operation}: {told}") if method == "GET" else RecordRefused(told)
        try:
            return read(content)
        except CmsAnswersWrongly as error:
            raise AnswerGarbled(f"{operation}: {error}") from error

    def receive(
        self, method: str, path: str, *, query: Sequence[Parameter] = (), body: Any = None
    ) -> httpx.Response:
        """A successful answer, whatever its body. Raises as `send_once` does."""
        operation = f"{method} {path}"
        try:
            with self._http.stream(method, path, params=list(query), json=body) as response:
                answer = _read(response, operation)
        except httpx.ReadTimeout as error:
            raise CmsHangs(f"{operation}: the CMS did not answer ({type(error).__name__})") from error
        except httpx.RequestError as error:
            raise CmsUnavailable(f"{operation}: the CMS did not answer ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CmsAnswersWrongly(f"{operation}: {type(error).__name__}") from error
        if not answer.is_success:
            self._refuse(answer, operation, is_write=method != "GET")
        return answer

    def _refuse(self, answer: httpx.Response, operation: str, *, is_write: bool) -> NoReturn:
        status, reason = answer.status_code, self._reason(answer)
        if answer.has_redirect_location:
            host = urlsplit(answer.headers["location"]).netloc.rpartition("@")[2] or "another path of its own"
            raise CmsAnswersWrongly(
                f"{operation}: the CMS sends us on to {host[:200]} ({status}), where our token does not go; "
                "if it moved, cms.strapi.base_url must be the new address"
            )
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            if _is_page(answer):
                raise _answered_by_a_page(f"{operation}: {status}")
            raise CmsRefusesKey(f"{operation}: the CMS refuses the token ({status}): {reason}")
        if status == httpx.codes.NOT_FOUND:
            raise NotFound(f"{operation}: the CMS knows no such thing")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            asked_s = parse_retry_after(answer.headers.get("retry-after"), now=datetime.now(UTC))
            wait_s = _RETRY_CAP_S if asked_s is None else min(asked_s, _LONGEST_DEFERRAL_S)
            raise CmsThrottles(f"{operation}: the CMS throttles", retry_after_s=wait_s)
        if status in _TOO_LONG and not is_write:
            raise QuestionTooLong(f"{operation}: the CMS takes no address of this length ({status})")
        if status == httpx.codes.INTERNAL_SERVER_ERROR and is_write:
            raise RecordFailed(f"{operation}: the CMS failed ({status}): {reason}")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in _PASSING:
            raise CmsUnavailable(f"{operation}: the CMS answered {status}")
        if is_write:
            raise RecordRefused(f"{status}: {reason}")
        raise CmsAnswersWrongly(f"{operation}: the CMS answered {status}: {reason}")

    def _reason(self, answer: httpx.Response) -> str:
        """Strapi's own words; each wrong field with what is wrong."""
        try:
            error = answer.json()["error"]
            if isinstance(error, str):
                error = {"message": error}
            details = error.get("details") or {}
            fields = [
                f"{'.'.join(map(str, item.get('path', ())))}: {item.get('message')}"
                for item in details.get("errors", ())
            ]
            reason = "; ".join(fields) or str(error["message"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "no reason given"
        return (reason.replace(self._token, "…") if self._token else reason)[:_MAX_REASON_CHARS]


def _is_page(answer: httpx.Response) -> bool:
    return "html" in answer.headers.get("content-type", "")


def _answered_by_a_page(operation: str) -> CmsUnavailable:
    """A login page, or a proxy's word about maintenance or a block, is no answer of the CMS."""
    return CmsUnavailable(f"{operation}: a page for people answered in the CMS's place")


def _read(response: httpx.Response, operation: str) -> httpx.Response:
    """The answer with its whole body, within bounds of bytes and time."""
    ends_at_s = time.monotonic() + _BODY_TIMEOUT_S
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise AnswerGarbled(f"{operation}: the CMS's answer is longer than {_MAX_BODY_BYTES} bytes")
        if time.monotonic() > ends_at_s:
            raise httpx.ReadTimeout("the body takes too long", request=response.request)
    # The body is unpacked by now.
    kept = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
    return httpx.Response(response.status_code, headers=kept, content=bytes(body), request=response.request)


def _pause_s(error: SyncError, attempt: int) -> float:
    if isinstance(error, RateLimited):
        return error.retry_after_s
    return random.uniform(0, min(_RETRY_CAP_S, _RETRY_BASE_S * 2**attempt))  # noqa: S311 - full jitter
