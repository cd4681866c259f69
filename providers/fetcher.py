"""The one way out to a provider: stored answers, quota, breaker, retries, errors.

fetch ─▶ stored and fresh? ─▶ our turn to ask? ─▶ breaker ─▶ quota ─▶ HTTP ─▶ verdict
             │ yes                │ no: look again              ▲                │
             ▼                    ▼                             └─ retriable ────┘
          answer               answer of whoever asked
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Generic, TypeGuard, TypeVar

import httpx
import msgspec

from providers.asking import Awaited
from providers.door import Door, Timing
from providers.ports import ORDINARY, Answer, Conduct, Params, Tape, Validators, digest_of, question_of
from providers.receiving import receive
from providers.stored_answers import StoredAnswers
from providers.verdicts import NOT_JSON, Faulty, NotModified, Received, Throttled, judge
from sync.errors import (
    NotFound,
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


class Fetcher:
    """One run's way to one upstream; greenlets of the run may share it."""

    def __init__(  # noqa: PLR0913 - what one run goes by
        self,
        door: Door,
        *,
        fresh_after: datetime,
        is_urgent: bool,
        timing: Timing,
        tape: Tape | None = None,
        conduct: Conduct = ORDINARY,
    ) -> None:
        self._door = door
        self._stored = StoredAnswers(door, timing)
        self._tape = tape
        self._conduct = conduct
        self._fresh_after = fresh_after
        self._is_urgent = is_urgent
        self._timing = timing
        self._requests = RequestCounts()
        self._requests_lock = Lock()

    @property
    def requests(self) -> RequestCounts:
        """What this run has cost so far."""
        return self._requests

    @property
    def at_once(self) -> int:
        """How many requests at once are of use: as many as the upstream takes in a second."""
        return self._door.upstream.at_once

    def fetch(  # noqa: PLR0913 - one call says everything about a request
        self,
        path: str,
        shape: type[T],
        *,
        operation: str,
        params: Params = (),
        attempts: int | None = None,
        lasts_s: float = 0.0,
    ) -> T:
        """GET a path below the upstream's address and decode it into `shape`.

        `operation` names what is fetched and of which record; every error starts with it.
        An answer that is not JSON or not of this shape is asked for again, then refused.
        That a record does not exist is an answer too, and stored like one. `lasts_s` is for
        what costs the provider much: an answer is used for so long, whenever it was stored.
        So is a stored answer within `http.stale_if_error_s` while the provider fails.

        Raises ProviderUnavailable, RateLimited, CredentialsRejected, NotFound and
        UnexpectedResponse.
        """
        question = self._question(path, shape, operation, params=params, attempts=attempts, lasts_s=lasts_s)
        obtained = self._obtain(question)
        return _decode_stored(obtained.body, question) if obtained.decoded is None else obtained.decoded

    def recall(self, path: str, shape: type[T], *, params: Params = ()) -> T | None:
        """What an earlier run was answered, unasked: a hint at what to ask, never a record.

        None when nothing is stored, or when this run would use it as it is.
        """
        upstream = self._door.upstream
        stored = self._door.answers.read(upstream.answer_key(upstream.address(path, params)))
        if stored is None or stored.body is None or stored.fetched_at >= self._fresh_after:
            return None
        try:
            return msgspec.json.decode(stored.body, type=shape)
        except NOT_JSON:
            # Of an earlier release.
            return None

    def fetch_digest(self, path: str, shape: type[Any], *, operation: str) -> str:
        """Ask as `fetch` does, and answer a digest of what came: the same for the same bytes.

        What the provider confirms (304) is not decoded again. So a caller who remembers
        digests learns cheaply that nothing is new; otherwise `fetch` has the answer at hand.
        """
        question = self._question(path, shape, operation)
        return digest_of(self._obtain(question).body)

    def recall_digests(self, paths: Sequence[str]) -> Sequence[str | None]:
        """What `fetch_digest` would answer for each path, where this run may use a stored answer unasked.

        Empty for what the provider does not know, None where it must be asked. All in one look.
        """
        if self._tape is not None:
            # What is recorded is recorded whole.
            return [None] * len(paths)
        upstream = self._door.upstream
        keys = [upstream.answer_key(upstream.address(path)) for path in paths]
        digests = self._door.answers.digests(keys, fresh_after=self._fresh_after)
        self._count(cache_hits=sum(digest is not None for digest in digests))
        return digests

    def _question(  # noqa: PLR0913 - the parameters of `fetch`
        self,
        path: str,
        shape: type[T],
        operation: str,
        *,
        params: Params = (),
        attempts: int | None = None,
        lasts_s: float = 0.0,
    ) -> _Question[T]:
        return _Question(
            text=question_of(path, params),
            url=self._door.upstream.address(path, params),
            shape=shape,
            operation=operation,
            attempts=attempts or self._door.settings.attempts,
            fresh_after=self._fresh_after_unless(lasts_s),
            asker=uuid.uuid4().hex,
        )

    def _obtain(self, question: _Question[T]) -> _Obtained[T]:
        """The answer, stored before or fetched now; stored for others if it is new."""
        key = self._door.upstream.answer_key(question.url)
        found = self._stored.find(key, fresh_after=question.fresh_after, asker=question.asker)
        if found.answer is not None and found.is_fresh:
            return self._use_stored(found.answer, question)
        with self._door.asking.of(key) as awaited:
            return self._ask_for_all(key, question, found.answer, awaited)

    def _ask_for_all(
        self, key: str, question: _Question[T], stored: Answer | None, awaited: Awaited
    ) -> _Obtained[T]:
        """Ask, and store what comes for whoever waits for it, here or in another process."""
        answers, asker, asked_at = self._door.answers, question.asker, self._timing.now()
        try:
            answer, obtained = self._ask(question, stored)
        except NotFound:
            self._record(question, None)
            answers.save(key, None, validators=(None, None), fetched_at=asked_at, asker=asker)
            raise
        except (ProviderUnavailable, ProviderResting, RateLimited):
            answers.abandon(key, asker=asker)
            if self._may_serve_stale(stored):
                return self._use_stored(stored, question)
            raise
        except BaseException:
            answers.abandon(key, asker=asker)
            raise
        if answer.is_confirmed:
            answers.confirm(key, fetched_at=answer.fetched_at, asker=asker)
        else:
            answers.save(
                key, answer.body, validators=answer.validators, fetched_at=answer.fetched_at, asker=asker
            )
        awaited.answer = answer
        return obtained

    def _fresh_after_unless(self, lasts_s: float) -> datetime:
        if not lasts_s:
            return self._fresh_after
        return min(self._fresh_after, self._timing.now() - timedelta(seconds=lasts_s))

    def _use_stored(self, answer: Answer, question: _Question[T]) -> _Obtained[T]:
        self._count(cache_hits=1)
        self._record(question, answer.body)
        if answer.body is None:
            raise NotFound(f"{question.operation}: the provider did not know it a short while ago")
        return _Obtained(answer.body)

    def _may_serve_stale(self, answer: Answer | None) -> TypeGuard[Answer]:
        limit = timedelta(seconds=self._door.settings.stale_if_error_s)
        return answer is not None and self._timing.now() - answer.fetched_at <= limit

    def _ask(self, question: _Question[T], stored: Answer | None) -> tuple[_Fetched, _Obtained[T]]:
        """Ask until there is a usable answer, within the attempts and the throttle limit.

        A confirmed one is left undecoded.
        """
        failure_count = 0
        pauses_s: list[float] = []
        while True:
            try:
                answer = self._send(question, stored)
                self._record(question, answer.body)
                return answer, _Obtained(
                    answer.body, None if answer.is_confirmed else _decode(answer, question)
                )
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
            self._count(retried=1)

    def _send(self, question: _Question[Any], stored: Answer | None) -> _Fetched:
        """One request; the stored body comes back, confirmed, when it still holds."""
        operation, breaker = question.operation, self._door.breaker
        if (wait_s := breaker.wait_s()) > 0:
            raise self._resting(operation, wait_s)
        if self._requests.sent >= self._door.settings.max_requests:
            raise UnexpectedResponse(
                f"{operation}: {self._requests.sent} requests were sent already, which is all that "
                "http.max_requests allows a run; the provider's listings make no end"
            )
        with self._door.turnstile.pass_through(operation, is_urgent=self._is_urgent) as passage:
            asked_at = self._timing.now()
            self._count(sent=1)
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
        verdict = self._judge(response, operation)
        if isinstance(verdict, NotModified) and stored is not None and stored.body is not None:
            self._count(not_modified=1)
            return _Fetched(body=stored.body, fetched_at=asked_at, is_confirmed=True)
        body = verdict.body if isinstance(verdict, Received) else b""
        return _Fetched(
            body=body,
            fetched_at=asked_at,
            validators=(response.headers.get("ETag"), response.headers.get("Last-Modified")),
        )

    def _may_repeat(self) -> bool:
        """Whether one more request of this run may be a repeat; a helper leaves that to the run."""
        if self._conduct.is_helping:
            return False
        share = self._door.settings.retry_max_share
        return self._requests.retried < max(REPEATS_ALLOWED, share * self._requests.sent)

    def _all_repeated(self) -> str:
        counts = self._requests
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

    def _judge(self, response: httpx.Response, operation: str) -> Received | NotModified:
        breaker = self._door.breaker
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
            self._count(throttled=1)
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

    def _record(self, question: _Question[Any], body: bytes | None) -> None:
        if self._tape is not None:
            self._tape.note(question.text, body)

    def _count(self, **counts: int) -> None:
        with self._requests_lock:
            self._requests += RequestCounts(**counts)


@dataclass(frozen=True, slots=True)
class _Question(Generic[T]):
    text: str
    url: str
    shape: type[T]
    operation: str
    attempts: int
    fresh_after: datetime
    asker: str


@dataclass(frozen=True, slots=True)
class _Obtained(Generic[T]):
    """An answer's bytes; `decoded` only when they were decoded on the way."""

    body: bytes
    decoded: T | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """An answer that arrived; `is_confirmed` when it is the stored one (304)."""

    body: bytes
    fetched_at: datetime
    validators: Validators = (None, None)
    is_confirmed: bool = False


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


def _decode(answer: _Fetched, question: _Question[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=question.shape)
    except NOT_JSON as error:
        raise _Failure(_broken(question, error)) from error


def _decode_stored(body: bytes, question: _Question[T]) -> T:
    """Raises UnexpectedResponse for an answer that an earlier release was content with."""
    try:
        return msgspec.json.decode(body, type=question.shape)
    except NOT_JSON as error:
        raise _broken(question, error) from error


def _broken(question: _Question[Any], error: Exception) -> UnexpectedResponse:
    return UnexpectedResponse(f"{question.operation}: the answer breaks its contract ({error})")


def _what_failed(error: httpx.RequestError) -> str:
    """In a word or two; never the address, which may hold a token."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
