"""The simulator's own addresses, under /_simulator/: what a demo or a test turns and reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

from simulator import accounts, truth
from simulator.answers import error_answer, json_answer
from simulator.callbacks import Callbacks
from simulator.changes import Changes
from simulator.chat import Chat
from simulator.cms import Cms
from simulator.faults import Faults
from simulator.play_cricket.face import PlayCricket
from simulator.quota import Quota
from simulator.server import Answer, Request
from simulator.stats import Stats
from simulator.world.world import World

PREFIX = "/_simulator/"


class Control:
    def __init__(  # noqa: PLR0913  (it turns and reads everything)
        self,
        *,
        world: World,
        stats: Stats,
        chat: Chat,
        callbacks: Callbacks,
        faults: Faults,
        quota: Quota,
        play_cricket: PlayCricket,
        cms: Cms,
    ) -> None:
        self._cms = cms
        self._play_cricket = play_cricket
        self._world = world
        self._changes = Changes(world)
        self._faults = faults
        self._quota = quota
        self._stats = stats
        self._chat = chat
        self._callbacks = callbacks
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "accounts"): self._list_accounts,
            ("GET", "stats"): self._show_stats,
            ("DELETE", "stats"): self._reset_stats,
            ("GET", "log"): self._show_log,
            ("GET", "chat"): self._show_chat,
            ("DELETE", "chat"): self._clear_chat,
            ("GET", "callbacks"): self._show_callbacks,
            ("DELETE", "callbacks"): self._clear_callbacks,
            ("GET", "clock"): self._show_clock,
            ("POST", "clock"): self._advance_clock,
            ("GET", "truth"): self._tell_truth,
            ("POST", "changes"): self._change,
            ("GET", "faults"): self._show_faults,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._remove_faults,
            ("GET", "quota"): self._show_quota,
            ("POST", "quota"): self._set_quota,
            ("DELETE", "quota"): self._lift_quota,
            ("GET", "strapi"): self._show_cms,
            ("POST", "strapi"): self._reset_cms,
        }

    def answer(self, request: Request) -> Answer:
        """A wrong option gives 400 and says which; an unknown address 404 and says what there is."""
        what = request.path.removeprefix(PREFIX).strip("/")
        route = self._routes.get((request.method, what.partition("/")[0]))
        if route is None:
            known = ", ".join(f"{method} {PREFIX}{name}" for method, name in self._routes)
            return error_answer(404, f"no {request.method} {request.path}; there is {known}")
        try:
            return route(request)
        except (ValueError, KeyError, TypeError) as error:
            return error_answer(400, f"{request.method} {request.path}: {error}")

    def _list_accounts(self, request: Request) -> Answer:
        if request.query.get("provider") == "playcricket":
            return json_answer(self._play_cricket.accounts())
        limit = request.query.get("associations")
        return json_answer(
            accounts.list_accounts(
                self._world, tenant=request.query.get("tenant"), limit=int(limit) if limit else None
            )
        )

    def _show_stats(self, _request: Request) -> Answer:
        return json_answer(self._stats.summary())

    def _reset_stats(self, request: Request) -> Answer:
        self._stats.reset()
        return self._show_stats(request)

    def _show_log(self, request: Request) -> Answer:
        limit = int(request.query.get("limit", "1000"))
        return json_answer(self._stats.log(limit, float(request.query.get("since_s", "0"))))

    def _show_chat(self, request: Request) -> Answer:
        if "text/html" in request.headers.get("accept", ""):
            return self._chat.page()
        return json_answer(self._chat.messages)

    def _clear_chat(self, request: Request) -> Answer:
        self._chat.messages.clear()
        return self._show_chat(request)

    def _show_callbacks(self, _request: Request) -> Answer:
        return json_answer(self._callbacks.calls)

    def _clear_callbacks(self, request: Request) -> Answer:
        self._callbacks.calls.clear()
        return self._show_callbacks(request)

    def _show_clock(self, _request: Request) -> Answer:
        return json_answer({"today": self._world.today.isoformat()})

    def _advance_clock(self, request: Request) -> Answer:
        """By `days` (1), or to the day named by `today`."""
        options = _options(request)
        if "today" in options:
            days = (date.fromisoformat(options["today"]) - self._world.today).days
        else:
            days = int(options.get("days", 1))
        self._world.advance(days)
        return self._show_clock(request)

    def _tell_truth(self, request: Request) -> Answer:
        _, kind, organisation_id = request.path.removeprefix(PREFIX).split("/")
        return json_answer(
            truth.tell(
                self._world,
                kind,
                organisation_id,
                look_back_days=int(request.query.get("look_back_days", truth.LOOK_BACK_DAYS)),
                has_hints=request.query.get("registrations") != "false",
            )
        )

    def _change(self, request: Request) -> Answer:
        """One change, or for a list one answer each, in order."""
        options = _options(request)
        wanted = options if isinstance(options, list) else [options]
        applied = [
            self._changes.apply(
                str(each["kind"]), record_id=each.get("id"), organisation_id=each.get("organisation")
            )
            for each in wanted
        ]
        return json_answer(applied if isinstance(options, list) else applied[0])

    def _show_faults(self, _request: Request) -> Answer:
        return json_answer(self._faults.shapes())

    def _add_faults(self, request: Request) -> Answer:
        options = _options(request)
        for each in options if isinstance(options, list) else [options]:
            self._faults.add(each)
        return self._show_faults(request)

    def _remove_faults(self, request: Request) -> Answer:
        _, _, rule_id = request.path.removeprefix(PREFIX).strip("/").partition("/")
        self._faults.remove(int(rule_id) if rule_id else None)
        return self._show_faults(request)

    def _show_quota(self, _request: Request) -> Answer:
        return json_answer(self._quota.shape())

    def _set_quota(self, request: Request) -> Answer:
        self._quota.configure(**_options(request))
        return self._show_quota(request)

    def _lift_quota(self, request: Request) -> Answer:
        self._quota.configure()
        return self._show_quota(request)

    def _show_cms(self, _request: Request) -> Answer:
        return json_answer(self._cms.shape())

    def _reset_cms(self, request: Request) -> Answer:
        self._cms.configure(**_options(request))
        return self._show_cms(request)


def _options(request: Request) -> Any:
    """The posted JSON; raises ValueError for anything else."""
    return json.loads(request.body or b"{}")
