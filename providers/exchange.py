"""One question asked of the provider until there is a usable answer: breaker, quota, HTTP, verdict, again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from providers.door import Door, Timing
from providers.ports import Answer, Conduct, Tape, Validators
from providers.receiving import receive
from providers.verdicts import NOT_JSON, Faulty, NotModified, Received, Throttled, judge
from sync.errors import (
    ProviderResting,
    ProviderUnavailable,
    ProxyUnavailable,
    RateLimited,
    SyncError,
    UnexpectedResponse,
)
from sync.report import RequestCounts

T = TypeVar("T")

# So many requests of a run may be repeated whatever its size; the others are a share of all.
REPEATS_ALLOWED = 10
# A pause asked for in error must not silence a provider for days; runs defer and ask again.
MAX_PAUSE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked; `operation` names it in errors, `asker` whoever has the turn to ask it."""

    text: str
    url: str
    shape: type[T]
    operation: str
    attempts: int
    is_hint: bool
    fresh_after: datetime
    asker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer that arrived; `is_confirmed` when it is the stored one (304)."""

    body: bytes
    fetched_at: datetime
    validators: Validators = (None, None)
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Obtained(Generic[T]):
    """An answer's bytes; `decoded` only when they were decoded on the way."""

    body: bytes
    decoded: T | None = None


class Tally:
    """What a run asks, counted, and recorded where a tape runs; its greenlets share it."""

    def __init__(self, tape: Tape | None) -> None:
        self.requests = RequestCounts()
        self._tape = tape
        self._lock = Lock()

    def count(self, **counts: int) -> None:
        with self._lock:
            self.requests += RequestCounts(**counts)

    def record(self, question: Question[Any], body: bytes | None) -> None:
        if self._tape is not None:
            self._tape.note(question.text, body)


class Exchange:
    """Asks one upstream for one run, within the run's attempts, repeats and patience."""

    def __init__(
        self, door: Door, timing: Timing, tally: Tally, *, is_urgent: bool, conduct: Conduct
    ) -> None:
        self._door = door
        self._timing = timing
        self._tally = tally
        self._is_urgent = is_urgent
        self._conduct = conduct

    def ask(self, question: Question[T], stored: Answer | None) -> tuple[Fetched, Obtained[T]]:
        """Ask until there is a usable answer, within the attempts and the throttle limit.

        A confirmed one, which `stored` is, is left undecoded.
        Raises ProviderUnavailable, ProviderResting, RateLimited, CredentialsRejected, NotFound
        and UnexpectedResponse.
        """
        failure_count = 0
        pauses_s: list[float] = []
        while True:
            try:
                answer = self._send(question, stored)
                self._tally.record(question, answer.body)
                decoded = None if answer.is_confirmed else _decode_or_fail(answer.body, question)
                return answer, Obtained(answer.body, decoded)
            except _Throttling as throttling:
                wait_s = self._pause(throttling.verdict, question.operation, pauses_s)
                if not self._may_repeat():
                    raise RateLimited(
                        f"{question.operation}: the provider asks for fewer requests; {self._all_repeated()}",
                        retry_after_s=wait_s,
                    ) from None
            except _Failure as failure:
                failure_count += 1
                if failure_count >= question.attempts:
                    raise failure.error from failure.__cause__
                if not self._may_repeat():
                    # It might have passed: whatever it was, the message may be tried again.
                    is_proxy = isinstance(failure.error, ProxyUnavailable)
                    transient = ProxyUnavailable if is_proxy else ProviderUnavailable
                    raise transient(f"{failure.error}; {self._all_repeated()}") from failure.__cause__
                self._timing.sleep(self._backoff_s(failure, failure_count, question.operation))
            self._tally.count(retried=1)

    def _send(self, question: Question[Any], stored: Answer | None) -> Fetched:
        """One request; the stored body comes back, confirmed, when it still holds."""
        operation, breaker = question.operation, self._door.breaker
        if (wait_s := breaker.wait_s()) > 0:
            raise self._resting(operation, wait_s)
        if self._tally.requests.sent >= self._door.settings.max_requests:
            raise UnexpectedResponse(
                f"{operation}: {self._tally.requests.sent} requests were sent already, which is all that "
                "http.max_requests allows a run; the provider's listings make no end"
            )
        with self._door.turnstile.pass_through(operation, is_urgent=self._is_urgent) as passage:
            asked_at = self._timing.now()
            self._tally.count(sent=1)
            try:
                response = receive(
                    self._door.http,
                    question.url,
                    self._headers(stored),
                    operation,
                    self._door.settings,
                    passage.leave,
                )
            except httpx.ProxyError as error:
                # The proxy's fault, not the host's: another proxy may do.
                raise _Failure(ProxyUnavailable(f"{operation}: {error}")) from error
            except UnexpectedResponse:
                breaker.succeeded()
                raise
            except httpx.RequestError as error:
                breaker.failed()
                raise _Failure(
                    ProviderUnavailable(f"{operation}: no usable answer ({_what_failed(error)})")
                ) from error
        verdict = self._judge(response, question)
        if isinstance(verdict, NotModified) and stored is not None and stored.body is not None:
            self._tally.count(not_modified=1)
            return Fetched(body=stored.body, fetched_at=asked_at, is_confirmed=True)
        body = verdict.body if isinstance(verdict, Received) else b""
        return Fetched(
            body=body,
            fetched_at=asked_at,
            validators=(response.headers.get("ETag"), response.headers.get("Last-Modified")),
        )

    def _may_repeat(self) -> bool:
        """Whether one more request of this run may be a repeat; a helper leaves that to the run."""
        if self._conduct.is_helping:
            return False
        share = self._door.settings.retry_max_share
        return self._tally.requests.retried < max(REPEATS_ALLOWED, share * self._tally.requests.sent)

    def _all_repeated(self) -> str:
        counts = self._tally.requests
        return f"{counts.retried} of {counts.sent} requests were repeats already"

    def _resting(self, operation: str, wait_s: float) -> ProviderResting | ProviderUnavailable:
        """An open breaker: a verdict at once for whoever waits, a later attempt for a night's run."""
        text = (
            f"{operation}: {self._door.upstream.host} kept failing and is left alone for {wait_s:.0f} s more"
        )
        if not self._conduct.is_patient:
            return ProviderUnavailable(text)
        # Not all of a night should come back at the same moment.
        return ProviderResting(text, retry_after_s=wait_s * (1 + self._timing.random_share() / 2))

    def _judge(self, response: httpx.Response, question: Question[Any]) -> Received | NotModified:
        operation, breaker = question.operation, self._door.breaker
        try:
            verdict = judge(response, operation, self._door.upstream, now=self._timing.now())
        except SyncError:
            breaker.succeeded()
            raise
        if isinstance(verdict, Faulty):
            breaker.failed()
            raise _Failure(
                ProviderUnavailable(f"{operation}: the provider failed ({verdict.status})"),
                wait_s=verdict.wait_s,
            )
        breaker.succeeded()
        if isinstance(verdict, Throttled):
            if verdict.is_block and question.is_hint:
                # Were all of our requests blocked, what is insisted on would tell.
                raise UnexpectedResponse(f"{operation}: a page for people instead of data ({verdict.status})")
            self._tally.count(throttled=1)
            raise _Throttling(verdict)
        return verdict

    def _pause(self, verdict: Throttled, operation: str, pauses_s: list[float]) -> float:
        """Pause everybody who uses this key, for so long; the turnstile makes us wait with them.

        Raises RateLimited when that is more than one request may wait.
        """
        upstream = self._door.upstream
        asked_s = verdict.wait_s
        if verdict.is_block:
            wait_s = max(asked_s or 0.0, upstream.block_wait_s)
        elif asked_s is not None:
            wait_s = asked_s
        else:
            wait_s = upstream.throttle_wait_s * 2 ** len(pauses_s) * (1 + self._timing.random_share() / 2)
        wait_s = min(max(wait_s, upstream.min_throttle_wait_s), MAX_PAUSE_S)
        self._door.ledger.pause(wait_s)
        pauses_s.append(wait_s)
        if verdict.is_block or sum(pauses_s) > self._door.settings.max_throttle_wait_s:
            what = "blocks our requests" if verdict.is_block else "asks for fewer requests"
            raise RateLimited(
                f"{operation}: the provider {what} ({verdict.status}), trying again in {wait_s:.0f} s",
                retry_after_s=wait_s,
            )
        return wait_s

    def _backoff_s(self, failure: _Failure, failure_count: int, operation: str) -> float:
        """Full jitter, or what the provider asked for; raises when that is too long."""
        settings = self._door.settings
        if failure.wait_s is None:
            longest_s = min(settings.retry_cap_s, settings.retry_base_s * 2.0 ** (failure_count - 1))
            return longest_s * self._timing.random_share()
        if failure.wait_s > settings.max_throttle_wait_s:
            raise RateLimited(
                f"{operation}: the provider is down for {failure.wait_s:.0f} s by its own word",
                retry_after_s=min(failure.wait_s, MAX_PAUSE_S),
            ) from failure.error
        return failure.wait_s

    def _headers(self, stored: Answer | None) -> dict[str, str]:
        headers = {"Accept": "application/json", **dict(self._door.upstream.headers)}
        etag, last_modified = stored.validators if stored is not None else (None, None)
        # A header that is not ASCII can be received, but not sent.
        if etag is not None and etag.isascii():
            headers["If-None-Match"] = etag
        if last_modified is not None and last_modified.isascii():
            headers["If-Modified-Since"] = last_modified
        return headers


class _Failure(Exception):
    """A try that failed; `error` is what to raise when there is no further one."""

    def __init__(self, error: SyncError, *, wait_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class _Throttling(Exception):
    """A try that met a 429 or a burst block."""

    def __init__(self, verdict: Throttled) -> None:
        super().__init__(verdict.status)
        self.verdict = verdict


def _decode_or_fail(body: bytes, question: Question[T]) -> T:
    try:
        return decode(body, question)
    except UnexpectedResponse as error:
        raise _Failure(error) from error.__cause__


def decode(body: bytes, question: Question[T]) -> T:
    """Raises UnexpectedResponse."""
    try:
        return msgspec.json.decode(body, type=question.shape)
    except NOT_JSON as error:
        raise UnexpectedResponse(f"{question.operation}: the answer breaks its contract ({error})") from error


def _what_failed(error: httpx.RequestError) -> str:
    """In a word or two; never the address, which may hold a token."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
