"""The one way out to a provider: stored answers, quota, breaker, retries, errors.

fetch ─▶ stored and fresh? ─▶ our turn to ask? ─▶ breaker ─▶ quota ─▶ HTTP ─▶ verdict
             │ yes                │ no: look again              ▲                │
             ▼                    ▼                             └─ retriable ────┘
          answer               answer of whoever asked

From the breaker on it is `providers/exchange.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeGuard, TypeVar

import msgspec

from providers.asking import Awaited
from providers.door import Door, Timing
from providers.exchange import Exchange, Obtained, Question, Tally, decode
from providers.ports import ORDINARY, Answer, Conduct, Params, Tape, digest_of, question_of
from providers.stored_answers import StoredAnswers
from providers.verdicts import NOT_JSON
from sync.errors import (
    NotFound,
    ProviderResting,
    ProviderUnavailable,
    RateLimited,
)
from sync.report import RequestCounts

T = TypeVar("T")


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
        self._is_recorded = tape is not None
        self._tally = Tally(tape)
        self._exchange = Exchange(door, timing, self._tally, is_urgent=is_urgent, conduct=conduct)
        self._fresh_after = fresh_after
        self._timing = timing

    @property
    def requests(self) -> RequestCounts:
        """What this run has cost so far."""
        return self._tally.requests

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
        is_hint: bool = False,
        lasts_s: float = 0.0,
    ) -> T:
        """GET a path below the upstream's address and decode it into `shape`.

        `operation` names what is fetched and of which record; every error starts with it.
        An answer that is not JSON or not of this shape is asked for again, then refused.
        That a record does not exist is an answer too, and stored like one. `lasts_s` is for
        what costs the provider much: an answer is used for so long, whenever it was stored.
        So is a stored answer within `http.stale_if_error_s` while the provider fails. A hint is asked
        for once, and a page for people in its place is no block of all that we ask.

        Raises ProviderUnavailable, RateLimited, CredentialsRejected, NotFound and
        UnexpectedResponse.
        """
        question = self._question(path, shape, operation, params=params, is_hint=is_hint, lasts_s=lasts_s)
        obtained = self._obtain(question)
        # What is stored, an earlier release may have been content with.
        return decode(obtained.body, question) if obtained.decoded is None else obtained.decoded

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
        if self._is_recorded:
            # What is recorded is recorded whole.
            return [None] * len(paths)
        upstream = self._door.upstream
        keys = [upstream.answer_key(upstream.address(path)) for path in paths]
        digests = self._door.answers.digests(keys, fresh_after=self._fresh_after)
        self._tally.count(cache_hits=sum(digest is not None for digest in digests))
        return digests

    def _question(  # noqa: PLR0913 - the parameters of `fetch`
        self,
        path: str,
        shape: type[T],
        operation: str,
        *,
        params: Params = (),
        is_hint: bool = False,
        lasts_s: float = 0.0,
    ) -> Question[T]:
        return Question(
            text=question_of(path, params),
            url=self._door.upstream.address(path, params),
            shape=shape,
            operation=operation,
            attempts=1 if is_hint else self._door.settings.attempts,
            is_hint=is_hint,
            fresh_after=self._fresh_after_unless(lasts_s),
            asker=uuid.uuid4().hex,
        )

    def _obtain(self, question: Question[T]) -> Obtained[T]:
        """The answer, stored before or fetched now; stored for others if it is new."""
        key = self._door.upstream.answer_key(question.url)
        found = self._stored.find(key, fresh_after=question.fresh_after, asker=question.asker)
        if found.answer is not None and found.is_fresh:
            return self._use_stored(found.answer, question)
        with self._door.asking.of(key) as awaited:
            return self._ask_for_all(key, question, found.answer, awaited)

    def _ask_for_all(
        self, key: str, question: Question[T], stored: Answer | None, awaited: Awaited
    ) -> Obtained[T]:
        """Ask, and store what comes for whoever waits for it, here or in another process."""
        answers, asker, asked_at = self._door.answers, question.asker, self._timing.now()
        try:
            answer, obtained = self._exchange.ask(question, stored)
        except NotFound:
            self._tally.record(question, None)
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

    def _use_stored(self, answer: Answer, question: Question[T]) -> Obtained[T]:
        self._tally.count(cache_hits=1)
        self._tally.record(question, answer.body)
        if answer.body is None:
            raise NotFound(f"{question.operation}: the provider did not know it a short while ago")
        return Obtained(answer.body)

    def _may_serve_stale(self, answer: Answer | None) -> TypeGuard[Answer]:
        limit = timedelta(seconds=self._door.settings.stale_if_error_s)
        return answer is not None and self._timing.now() - answer.fetched_at <= limit
