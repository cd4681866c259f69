"""What the way out needs from shared memory, as Protocols; entry points inject the Redis ones."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from providers.upstream import Upstream
from settings.schema import HttpSettings
from sync.report import RequestCounts

T = TypeVar("T")
Params = Sequence[tuple[str, str]]

# ETag and Last-Modified, as the provider sent them.
Validators = tuple[str | None, str | None]


class Admission(Protocol):
    """The ledger's word on one request.

    Admitted: it goes out now; its place is taken until it is released. Refused: ask again
    after `wait_s`; `reason` is "pause", "concurrency" or "rate".
    """

    @property
    def is_admitted(self) -> bool: ...

    @property
    def wait_s(self) -> float: ...

    @property
    def reason(self) -> str: ...


class Ledger(Protocol):
    """The quota of one provider key over all processes: rate, concurrency and pauses."""

    def admit(self, place: str, *, is_urgent: bool) -> Admission:
        """Ask for a turn and a place; a place is a unique name of this request."""
        ...

    def left_late(self, place: str, *, late_s: float) -> None:
        """The request of the place left this process so long after its admission: it counts from then."""
        ...

    def release(self, place: str, *, late_s: float = 0.0) -> None:
        """Give the place back; an unreturned one frees itself after a while.

        `late_s` is what `left_late` was not told yet.
        """
        ...

    def pause(self, for_s: float) -> None:
        """Admit nobody for this long; a longer pause that runs already stays."""
        ...


class Ledgers(Protocol):
    def ledger(self, name: str, *, requests_per_s: float, concurrency: int) -> Ledger:
        """The ledger of a provider key; these limits hold from now on for whoever has it in this process."""
        ...


class Answer(Protocol):
    """A provider's answer as it came, with what is needed to ask whether it still holds.

    `fetched_at` (aware UTC) is the moment the request was sent, so that a change made
    while the provider was answering never counts as seen. A `body` of None stands for a 404.
    """

    @property
    def body(self) -> bytes | None: ...

    @property
    def fetched_at(self) -> datetime: ...

    @property
    def validators(self) -> Validators: ...


class Lookup(Protocol):
    """What is stored for a key, and whether this caller may ask the provider now.

    Neither fresh nor its turn: somebody else is asking; look again a little later.
    """

    @property
    def answer(self) -> Answer | None: ...

    @property
    def is_fresh(self) -> bool: ...

    @property
    def has_turn(self) -> bool: ...


class Answers(Protocol):
    """Stored answers, one asker a key over all processes."""

    def look_up(self, key: str, *, fresh_after: datetime, asker: str) -> Lookup:
        """Read the stored answer; when it is older than `fresh_after`, try to take the turn."""
        ...

    def read(self, key: str) -> Answer | None:
        """The stored answer, however old; nobody's turn is touched."""
        ...

    def asked(self, keys: Collection[str]) -> Collection[str]:
        """Those of the keys that somebody has the turn to ask for."""
        ...

    def digests(self, keys: Sequence[str], *, fresh_after: datetime) -> Sequence[str | None]:
        """What `digest_of` says of each key's stored answer; None for one that is older or unknown."""
        ...

    def save(
        self, key: str, body: bytes | None, *, validators: Validators, fetched_at: datetime, asker: str
    ) -> None:
        """Store an answer (None: there is no such record) and end the turn."""
        ...

    def confirm(self, key: str, *, fetched_at: datetime, asker: str) -> None:
        """The stored answer still held at `fetched_at`; end the turn."""
        ...

    def abandon(self, key: str, *, asker: str) -> None:
        """End the turn without an answer."""
        ...


def digest_of(body: bytes | None) -> str:
    """The same for the same bytes; empty for what the provider does not know."""
    return "" if body is None else hashlib.blake2b(body, digest_size=16).hexdigest()


class Breaker(Protocol):
    """Stops asking a host that keeps failing."""

    def wait_s(self) -> float:
        """0 when a request may go out, else seconds until the next probe."""
        ...

    def succeeded(self) -> None: ...

    def failed(self) -> None: ...


class Breakers(Protocol):
    def breaker(self, host: str) -> Breaker: ...


class Fetches(Protocol):
    """One run's way to one upstream; what an adapter is given."""

    @property
    def requests(self) -> RequestCounts:
        """What this run has cost so far."""
        ...

    @property
    def at_once(self) -> int:
        """How many requests at once are of use."""
        ...

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
        """GET a path below the upstream's address and decode it into `shape`; see `Fetcher`."""
        ...

    def recall(self, path: str, shape: type[T], *, params: Params = ()) -> T | None:
        """An answer of an earlier run, unasked; None when there is none, or this run has a newer one."""
        ...

    def fetch_digest(self, path: str, shape: type[Any], *, operation: str) -> str:
        """A digest of the answer that `fetch` would decode; see `Fetcher`."""
        ...

    def recall_digests(self, paths: Sequence[str]) -> Sequence[str | None]:
        """What `fetch_digest` would answer for each path, where it is at hand; see `Fetcher`."""
        ...


class Tape(Protocol):
    """Keeps what a run is answered."""

    def note(self, question: str, body: bytes | None) -> None:
        """A question (path and parameters, without secrets) and its answer; None is a 404."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a run behaves when the provider fails: see `sync.ports.Sources`."""

    is_patient: bool = False
    is_helping: bool = False


ORDINARY = Conduct()


class Opens(Protocol):
    """Opens the way to an upstream for one run."""

    def open(  # noqa: PLR0913 - one call says how a run behaves
        self,
        upstream: Upstream,
        settings: HttpSettings,
        *,
        fresh_after: datetime,
        is_urgent: bool,
        tape: Tape | None = None,
        conduct: Conduct = ORDINARY,
    ) -> Fetches:
        """Answers stored since `fresh_after` (aware UTC) are used unasked."""
        ...


def question_of(path: str, params: Params) -> str:
    """A path with its parameters, without what the upstream adds to every address."""
    return f"{path}?{urlencode(params)}" if params else path
