"""A run's questions and answers in a file, so that the run can be gone through again offline.

A recording holds no secret and no person: addresses come without what the upstream adds to
each, headers are left out, and values that name people are blanked.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import msgspec

from providers import ports
from providers.ports import Fetches, Opens, Params, question_of
from providers.upstream import Upstream
from settings.schema import HttpSettings
from sync.errors import NotFound, ProviderUnavailable, UnexpectedResponse
from sync.report import RequestCounts

T = TypeVar("T")

_PEOPLE = re.compile(r"umpire|captain|scorer|player|referee|official", re.IGNORECASE)


def recording_path(home: Path, run_id: str) -> Path:
    """Where this process keeps what a run is answered."""
    return home / "recordings" / f"{run_id}-{os.getpid()}.jsonl.gz"


def find_recordings(home: Path, run_id: str) -> list[Path]:
    """The recordings of a run, one a process that worked on it, oldest first."""
    found = (home / "recordings").glob(f"{run_id}-*.jsonl.gz")
    return sorted(found, key=lambda path: path.stat().st_mtime)


class _Entry(msgspec.Struct):
    """One answer; `body` None stands for a 404. A later one of the same question holds."""

    provider: str
    question: str
    body: str | None


class Recording:
    """A file that answers are appended to, from any thread of one process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    def tape(self, provider: str) -> Tape:
        return Tape(self, provider)

    def append(self, provider: str, question: str, body: bytes | None) -> None:
        entry = _Entry(provider, question, _without_people(body) if body is not None else None)
        line = gzip.compress(msgspec.json.encode(entry) + b"\n")
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: one write an answer, so that two appenders never mix their lines.
            with self._path.open("ab", buffering=0) as file:
                file.write(line)


@dataclass(frozen=True, slots=True)
class Tape:
    """Satisfies `providers.ports.Tape` for one provider."""

    recording: Recording
    provider: str

    def note(self, question: str, body: bytes | None) -> None:
        self.recording.append(self.provider, question, body)


class RecordedOutbound:
    """Opens the same fetchers, and keeps what they are answered. Satisfies `providers.ports.Opens`."""

    def __init__(self, outbound: Opens, recording: Recording) -> None:
        self._outbound = outbound
        self._recording = recording

    def open(  # noqa: PLR0913 - the shape of `Opens`
        self,
        upstream: Upstream,
        settings: HttpSettings,
        *,
        fresh_after: datetime,
        is_urgent: bool,
        tape: ports.Tape | None = None,  # noqa: ARG002 - its own tape takes the place
        conduct: ports.Conduct = ports.ORDINARY,
    ) -> Fetches:
        return self._outbound.open(
            upstream,
            settings,
            fresh_after=fresh_after,
            is_urgent=is_urgent,
            tape=self._recording.tape(upstream.provider),
            conduct=conduct,
        )


class ReplayedOutbound:
    """Answers from recordings alone; nothing goes out. Satisfies `providers.ports.Opens`."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Read the recordings of a run, one a process that worked on it."""
        self._bodies: dict[str, dict[str, bytes | None]] = {}
        for path in paths:
            with gzip.open(path, "rb") as lines:
                for line in lines:
                    entry = msgspec.json.decode(line, type=_Entry)
                    body = entry.body.encode() if entry.body is not None else None
                    self._bodies.setdefault(entry.provider, {})[entry.question] = body

    def open(  # noqa: PLR0913 - the shape of `Opens`
        self,
        upstream: Upstream,
        settings: HttpSettings,  # noqa: ARG002 - the shape of `Opens`
        *,
        fresh_after: datetime,  # noqa: ARG002
        is_urgent: bool,  # noqa: ARG002
        tape: ports.Tape | None = None,  # noqa: ARG002
        conduct: ports.Conduct = ports.ORDINARY,  # noqa: ARG002
    ) -> ReplayedFetcher:
        return ReplayedFetcher(self._bodies.get(upstream.provider, {}))


class ReplayedFetcher:
    """Satisfies `providers.ports.Fetches` from memory."""

    def __init__(self, bodies: Mapping[str, bytes | None]) -> None:
        self._bodies = bodies
        self._hits = 0

    @property
    def requests(self) -> RequestCounts:
        return RequestCounts(cache_hits=self._hits)

    @property
    def at_once(self) -> int:
        """One: nothing is waited for."""
        return 1

    def fetch(  # noqa: PLR0913 - the shape of `Fetches`
        self,
        path: str,
        shape: type[T],
        *,
        operation: str,
        params: Params = (),
        is_hint: bool = False,  # noqa: ARG002
        lasts_s: float = 0.0,  # noqa: ARG002
    ) -> T:
        """Raises NotFound and UnexpectedResponse as the run met them; the rest as unavailable."""
        body = self._find(question_of(path, params), operation)
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnexpectedResponse(f"{operation}: the answer breaks its contract ({error})") from error

    def recall(self, path: str, shape: type[T], *, params: Params = ()) -> T | None:  # noqa: ARG002
        """Nothing: a recording holds what this one run was answered."""
        return None

    def fetch_digest(self, path: str, shape: type[Any], *, operation: str) -> str:  # noqa: ARG002
        """Of the recorded answer, which names of people were taken out of."""
        return hashlib.blake2b(self._find(path, operation), digest_size=16).hexdigest()

    def recall_digests(self, paths: Sequence[str]) -> Sequence[str | None]:
        """Nothing is at hand before it is asked: a replay asks what the run asked."""
        return [None] * len(paths)

    def _find(self, question: str, operation: str) -> bytes:
        if question not in self._bodies:
            raise ProviderUnavailable(f"{operation}: the recording holds no answer to {question}")
        body = self._bodies[question]
        self._hits += 1
        if body is None:
            raise NotFound(f"{operation}: the provider did not know it when this was recorded")
        return body


def _without_people(body: bytes) -> str:
    """The body with names of people blanked; one that is no JSON stays as it is."""
    try:
        return msgspec.json.encode(_blanked(msgspec.json.decode(body))).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")


def _blanked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "" if _PEOPLE.search(key) else _blanked(inner) for key, inner in value.items()}
    return [_blanked(inner) for inner in value] if isinstance(value, list) else value
