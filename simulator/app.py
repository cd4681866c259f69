"""The simulator as one handler: faults first, then the face that owns the address."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial

from simulator.callbacks import Callbacks, is_callback
from simulator.chat import API as CHAT_API
from simulator.chat import WEBHOOK, Chat
from simulator.cms import Cms, version_of
from simulator.control import PREFIX, Control
from simulator.faults import Fault, Faults
from simulator.mishaps import befall
from simulator.play_cricket import face as play_cricket
from simulator.playhq.etags import ConditionalPlayHQ
from simulator.playhq.face import PlayHQ, endpoint_of
from simulator.quota import Quota
from simulator.server import Answer, Request
from simulator.stats import Entry, Stats, masked, without_token
from simulator.world.world import World


class Simulator:
    """Everything of the simulator but its socket: `handle` answers, `done` counts."""

    def __init__(
        self,
        world: World,
        *,
        api_keys: Collection[str] = (),
        sends_etags: bool = True,
        faults: Faults | None = None,
    ) -> None:
        self.world = world
        self.stats = Stats()
        self.chat = Chat()
        self.callbacks = Callbacks()
        self.faults = faults or Faults()
        self.quota = Quota()
        self._playhq = ConditionalPlayHQ(PlayHQ(world, api_keys), sends_etags=sends_etags)
        self._play_cricket = play_cricket.PlayCricket(world)
        self._cms = Cms(world)
        self._control = Control(
            world=world,
            cms=self._cms,
            play_cricket=self._play_cricket,
            stats=self.stats,
            chat=self.chat,
            callbacks=self.callbacks,
            faults=self.faults,
            quota=self.quota,
        )

    def handle(self, request: Request) -> Answer:
        if request.path.startswith(PREFIX):
            return self._control.answer(request)
        at_s = time.time()
        self.stats.arrived(_key(request), at_s)
        answer = self._limited(request, at_s)
        return replace(answer, delay_s=answer.delay_s + self.faults.base_delay_s())

    def done(self, request: Request, answer: Answer, took_s: float) -> None:
        """Count an answered request; the simulator's own addresses are not counted."""
        if request.path.startswith(PREFIX):
            return
        self.stats.served(
            Entry(
                at_s=time.time() - took_s,
                method=request.method,
                target=without_token(request.target),
                endpoint=_endpoint(request.path),
                status=answer.status,
                key=_key(request),
                fault=answer.fault,
                served_bytes=len(answer.body),
                took_s=round(took_s, 6),
            )
        )

    def _limited(self, request: Request, at_s: float) -> Answer:
        """The quota of a provider key comes before the faults, as a gateway stands before a service."""
        if endpoint_of(request.path) or request.path.startswith(play_cricket.PREFIX):
            refusal = self.quota.refuse(_key(request), at_s)
            if refusal:
                return replace(refusal, fault="quota")
        return self._faulty(request)

    def _faulty(self, request: Request) -> Answer:
        rules = self.faults.meet(request.method, request.path, request.target)
        if any(rule.kind != Fault.LATENCY for rule in rules):
            # A fault spoils a whole answer; "not modified" has nothing to spoil.
            headers = {name: value for name, value in request.headers.items() if name != "if-none-match"}
            request = replace(request, headers=headers)
        serve = partial(self._face, request)
        # Latency goes round the others, which may never come to serve.
        for rule in sorted(rules, key=lambda rule: rule.kind == Fault.LATENCY):
            serve = partial(befall, rule, request, serve)
        return serve()

    def _face(self, request: Request) -> Answer:
        path = request.path
        if path.startswith((WEBHOOK, CHAT_API)):
            return self.chat.answer(request, time.time())
        if is_callback(path):
            return self.callbacks.answer(request, time.time())
        if path.startswith(play_cricket.PREFIX):
            return self._play_cricket.answer(request)
        version = version_of(path)
        if version:
            return self._cms.answer(version, request)
        return self._playhq.answer(request)


def _key(request: Request) -> str:
    """The provider's key, masked; Play-Cricket's comes in the query."""
    return masked(request.headers.get("x-api-key") or request.query.get("api_token"))


def _endpoint(path: str) -> str:
    if path.startswith("/slack/"):
        return "chat"
    if path.startswith(play_cricket.PREFIX):
        return f"play-cricket {path.rpartition('/')[2].removesuffix('.json')}"
    version = version_of(path)
    if version and not is_callback(path):
        return f"strapi v{version}"
    return "callback" if is_callback(path) else endpoint_of(path) or "other"
