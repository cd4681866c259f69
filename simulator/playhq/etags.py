"""PlayHQ's answers kept in memory with their ETags: made once, sent whole or as "not modified"."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from hashlib import blake2b

from simulator.playhq.face import PlayHQ
from simulator.server import Answer, Request

# The oldest answers beyond this are made again.
_KEPT_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    answer: Answer
    etag: str


class ConditionalPlayHQ:
    """`sends_etags` false leaves conditional requests unheeded."""

    def __init__(self, face: PlayHQ, *, sends_etags: bool) -> None:
        self._face = face
        self._sends_etags = sends_etags
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0

    def answer(self, request: Request) -> Answer:
        """The answer, 304 if the client has it already, or the refusal of a bad request."""
        refusal = self._face.refuse(request)
        if refusal:
            return refusal
        kept = self._keep(request)
        if not self._sends_etags or kept.answer.status != 200:
            return kept.answer
        headers = (("ETag", kept.etag),)
        if request.headers.get("if-none-match") == kept.etag:
            return Answer(304, headers=headers)
        return replace(kept.answer, headers=headers)

    def _keep(self, request: Request) -> _Kept:
        name = f"{request.headers['x-phq-tenant']} {request.target}"
        version = self._face.version(request)
        kept = self._kept.get(name)
        if kept and kept.version == version:
            self._kept.move_to_end(name)
            return kept
        answer = self._face.answer(request)
        fresh = _Kept(version, answer, f'"{blake2b(answer.body, digest_size=8).hexdigest()}"')
        self._kept[name] = fresh
        self._kept_bytes += len(answer.body) - (len(kept.answer.body) if kept else 0)
        while self._kept_bytes > _KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped.answer.body)
        return fresh
