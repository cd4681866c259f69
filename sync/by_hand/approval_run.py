"""A plan that waits for a person is approved, and then written as a run of its own; or it is rejected.

Two kinds wait: what the guards held back of a run, and the whole plan of a dry run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from typing import Protocol

from sync.by_hand.approval import (
    Decision,
    DecisionVerdict,
    digest_of,
    digest_of_listing,
    image_of,
    join_digests,
    what_still_holds,
)
from sync.by_hand.run import Act, ByHandRun, Choice
from sync.by_hand.writing import read_as_stored
from sync.changes import Action, Change
from sync.counting import counted, counted_stay
from sync.errors import InvalidRequest, NotFound, Overtaken
from sync.model import Game
from sync.ports import Sizes
from sync.report import Run, Stage

PRESET = "approval"
_SHOWN = 5


class Plans(Protocol):
    def planned_of_run(self, run_id: str) -> Mapping[Stage, Sequence[Change]]:
        """What the run planned and did not write, as it planned it."""
        ...

    def applied_of_run(self, run_id: str) -> Iterable[Change]:
        """What the run wrote, oldest first."""
        ...


class Decisions(Protocol):
    def find(self, run_id: str) -> Decision | None: ...

    def decide(self, decision: Decision) -> Decision:
        """Keep the decision unless there is one already; answers the one that holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an approval would write now, or what was decided already."""

    run: Run
    plan_hash: str
    choice: Choice
    decision: Decision | None = None

    @property
    def is_outdated(self) -> bool:
        """Whether a dry run's plan is refused, because records have changed since."""
        return self.run.dry_run and bool(self.choice.kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRun:
    by_hand: ByHandRun
    plans: Plans
    decisions: Decisions
    sizes: Sizes
    # On how many days a game has to be missing before it may be removed at all.
    confirmations: int

    def plan(self, run_id: str, *, plan_hash: str | None = None) -> Proposal:
        """What an approval of the run's plan would write now, writing nothing.

        Raises NotFound, InvalidRequest for a run that still works or that nothing waits of,
        and Overtaken for one whose plan has another hash than `plan_hash`.
        """
        run, own_hash = self._find(run_id, plan_hash)
        decision = self.decisions.find(run_id)
        choice = Choice(changes={}) if decision else self._choose(run, own_hash, written=frozenset())
        return Proposal(run=run, plan_hash=own_hash, choice=choice, decision=decision)

    def approve(self, run_id: str, *, plan_hash: str, decided_by: str) -> Act:
        """Write the plan with this hash, as far as it still holds.

        A dry run's is written whole or not at all. Approved before, nothing is written and
        the act says so; one that was interrupted goes on. Raises what `plan` raises,
        Overtaken for a plan that was rejected, has changed or has nothing left, and
        AccountBusy while another run writes to the organisation.
        """
        of, plan_hash = self._find(run_id, plan_hash)

        with self.by_hand.hold(of) as lease:
            run, decision = self.by_hand.new_run(of, PRESET), self.decisions.find(run_id)
            if decision is not None:
                run = self._decided_run(decision, run)
                if run.state.is_final:
                    return Act(run=run, choice=Choice(changes={}), is_repeat=True)
            written = frozenset(map(image_of, self.plans.applied_of_run(run.id)))
            choice = self._choose(of, plan_hash, written=written)
            if decision is None:
                _refuse_what_does_not_hold(of, choice)
                # Somebody may have rejected it a moment ago.
                run = self._decided_run(
                    self._decide(of, DecisionVerdict.APPROVED, decided_by, act_id=run.id), run
                )
            self._take_for_usual(of)
            return Act(run=self.by_hand.write(run, choice, lease), choice=choice)

    def reject(self, run_id: str, *, plan_hash: str, decided_by: str) -> Decision:
        """Decide that the plan is not written; a decision that was made before stays, and is answered.

        Raises what `plan` raises.
        """
        of, _ = self._find(run_id, plan_hash)
        return self._decide(of, DecisionVerdict.REJECTED, decided_by)

    def _find(self, run_id: str, plan_hash: str | None) -> tuple[Run, str]:
        run = self.by_hand.find_ended(run_id)
        if run.plan_hash is None:
            what = "would write nothing" if run.dry_run else "holds nothing back"
            raise InvalidRequest(f"run {run_id} {what}")
        if plan_hash not in (None, run.plan_hash):
            raise Overtaken(f"run {run_id} has plan {run.plan_hash}, not {plan_hash}")
        return run, run.plan_hash

    def _decide(
        self, of: Run, verdict: DecisionVerdict, decided_by: str, *, act_id: str | None = None
    ) -> Decision:
        decision = Decision(
            run_id=of.id,
            plan_hash=of.plan_hash or "",
            verdict=verdict,
            decided_by=decided_by,
            at=self.by_hand.clock.now(),
            act_id=act_id,
        )
        return self.decisions.decide(decision)

    def _decided_run(self, decision: Decision, run: Run) -> Run:
        """The run that the decision names, begun or not. Raises InvalidRequest for a rejection."""
        if decision.verdict is DecisionVerdict.REJECTED or decision.act_id is None:
            raise Overtaken(
                f"the plan of run {decision.run_id} was rejected by {decision.decided_by} "
                f"at {decision.at:%Y-%m-%d %H:%M} UTC: sync again for a new one"
            )
        try:
            return self.by_hand.runs.find(decision.act_id)
        except NotFound:
            return replace(run, id=decision.act_id)

    def _choose(self, run: Run, plan_hash: str, *, written: frozenset[bytes]) -> Choice:
        """What of the plan still holds, without what an interrupted approval has written already."""
        planned = self.plans.planned_of_run(run.id)
        every = list(chain.from_iterable(planned.values()))
        listings = [] if run.dry_run else [hold for hold in run.holds if hold.listing is not None]
        if join_digests([*map(digest_of, every), *map(digest_of_listing, listings)]) != plan_hash:
            raise Overtaken(f"run {run.id} ended early, without keeping what it planned: sync again")
        waiting = {
            stage: [change for change in changes if image_of(change) not in written]
            for stage, changes in planned.items()
        }
        stored, _ = read_as_stored(self.by_hand.cms, chain.from_iterable(waiting.values()))
        # A dry run counts its own day without recording it.
        confirmations = self.confirmations - run.dry_run
        absences = self._count_absences(every)
        changes, kept = what_still_holds(waiting, stored, absences, confirmations=confirmations)
        summary = f"approves plan {plan_hash} of run {run.id}"
        if kept:
            summary = f"{summary}; {counted_stay(len(kept), 'record')}"
        return Choice(changes=changes, kept=kept, summary=summary)

    def _take_for_usual(self, run: Run) -> None:
        """Listings of the sizes that were approved are not doubted any more."""
        approved = {hold.listing: [hold.size] for hold in run.holds if hold.listing and hold.size is not None}
        if approved and not run.dry_run:
            key = f"{run.provider}:{run.organisation_id}"
            self.sizes.save(key, {**self.sizes.read(key), **approved})

    def _count_absences(self, planned: Iterable[Change]) -> Mapping[str, int]:
        """On how many days each game that is to be removed has been missing, as recorded."""
        counts: dict[str, int] = {}
        by_grade: dict[str, list[str]] = {}
        for change in planned:
            if change.action is Action.REMOVED and isinstance(change.before, Game):
                by_grade.setdefault(change.before.grade_id, []).append(change.record_id)
        for grade_id, game_ids in by_grade.items():
            # The count includes the day it is asked for: one that is never recorded.
            counted = self.by_hand.cms.count_absences(
                grade_id, missing=game_ids, day=date.max, is_doubtful=True
            )
            counts.update({game_id: count - 1 for game_id, count in counted.items()})
        return counts


def _refuse_what_does_not_hold(run: Run, choice: Choice) -> None:
    if run.dry_run and choice.kept:
        shown = "; ".join(f"{kept.kind} {kept.record_id}: {kept.reason}" for kept in choice.kept[:_SHOWN])
        more = f"; and {len(choice.kept) - _SHOWN} more" if len(choice.kept) > _SHOWN else ""
        have = "has" if len(choice.kept) == 1 else "have"
        raise Overtaken(
            f"{counted(len(choice.kept), 'record')} {have} changed since run {run.id} planned to write "
            f"({shown}{more}): nothing was written; make the dry run again"
        )
    if not choice.all_changes and not any(hold.listing for hold in run.holds):
        raise Overtaken(f"nothing is left of what run {run.id} held back")
