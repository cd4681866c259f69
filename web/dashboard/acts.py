"""What people do through the dashboard: each act asks, is audited, and says what it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from brokers.dead_index import MOST_INDEXED
from brokers.mass_retry import STEPS
from brokers.queues import Priority, Queue
from settings.canary import Outcome, described
from stores.redis.schedule import Pause, RunNow
from stores.sql.tokens import Role
from sync.by_hand.run import Act as RunAct
from sync.counting import counted, counted_are
from sync.errors import InvalidRequest, NotFound
from web.access import Caller, Reader, role_needed
from web.api.batches import BatchOrder, ask_for_batch, ask_to_cancel
from web.api.canary import end_trial
from web.api.config import restore
from web.api.dead import DeadMatch, find_dead, match_of, retry_letter
from web.api.deciding import approve_plan, reject_plan, replay_recorded, retry_refused, undo_run
from web.api.mass_retries import subject_of
from web.api.orders import SyncOrder, kind_mistake, request_for
from web.api.schedules import require_entry
from web.api.workers import order_worker
from web.dashboard.forms import Form
from web.dashboard.pages import go, render
from web.services import Has, Services

router = APIRouter(include_in_schema=False)

SOURCE = "dashboard"
KEPT_SHOWN = 3
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What an act came to: a sentence, where to go on, and its audit line."""

    said: str
    href: str
    subject: str | None
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Act:
    """`question` is asked first; `noted_as` is None where what it does writes the audit line itself."""

    role: Role
    noted_as: str | None
    question: str
    do: Callable[[Services, Caller, Fields], Done]


def _sync(services: Services, caller: Caller, fields: Fields) -> Done:
    account_id = int(fields["account_id"])
    values: dict[str, object] = {"mode": fields["mode"], "id": account_id, "preset": fields["preset"]}
    values |= {"priority": fields.get("priority") or None, "dry_run": fields.get("dry_run") == "on"}
    values["restart"] = fields.get("restart") == "on"
    context = {"presets": services.settings().presets, "providers": services.providers}
    order = SyncOrder.model_validate(values, strict=False, context=context)
    kind = services.find_account(account_id).organisation.kind
    if mistake := kind_mistake(account_id, kind, order.mode):
        raise InvalidRequest(mistake)
    receipt = services.publisher.send(request_for(order), requested_by=f"{SOURCE}:{caller.name}")
    said = "A sync of this account waits or runs already; this is it." if receipt.is_coalesced else "Queued."
    return Done(said, f"/runs/{receipt.run_id}", f"account:{account_id}", {})


def _batch(services: Services, caller: Caller, fields: Fields) -> Done:
    values = {"preset": fields["preset"], "spread_s": float(fields.get("spread_min") or 0) * 60}
    values |= {"types": [fields["type"]] if fields.get("type") else []}
    values |= {f"{name}s": [fields[name]] if fields.get(name) else [] for name in ("tag", "plan")}
    values |= {"older_than_s": float(fields["older_h"]) * 3600} if fields.get("older_h") else {}
    context = {"presets": services.settings().presets}
    order = BatchOrder.model_validate(values, strict=False, context=context)
    batch = ask_for_batch(services, order, requested_by=f"{SOURCE}:{caller.name}")
    return Done(
        "The scheduler takes it within a second.", f"/batches/{batch.id}", f"batch:{batch.id}", values
    )


def _cancel_batch(services: Services, caller: Caller, fields: Fields) -> Done:
    batch_id = fields["id"]
    ask_to_cancel(services, batch_id, by=f"{SOURCE}:{caller.name}")
    said = "What waits is withdrawn within a second; what runs goes on."
    return Done(said, f"/batches/{batch_id}", f"batch:{batch_id}", {})


def _on_queue(verb: str) -> Callable[[Services, Caller, Fields], Done]:
    def do(services: Services, caller: Caller, fields: Fields) -> Done:
        name = fields["name"]
        if name not in list(Queue) and name not in services.operations.queue_names():
            raise NotFound(f"there is no queue {name!r}")
        detail: dict[str, object] = {}
        if verb == "purge":
            done = services.removal.purge(name, by=f"{SOURCE}:{caller.name}")
            detail |= done.counts
            said = f"{counted(done.messages, 'message')} of {name} deleted{done.and_runs}."
        elif verb == "pause":
            services.operations.pause(name)
            said = f"{name} is paused; what runs goes on."
        else:
            services.operations.resume(name)
            said = f"{name} runs."
        return Done(said, "/queues", f"queue:{name}", detail)

    return do


def _retry_dead(services: Services, _caller: Caller, fields: Fields) -> Done:
    letter = find_dead(services, fields["id"])
    count = retry_letter(services, letter)
    said = "It waits again." if count else "It stays: a newer message does its work, or it cannot be decoded."
    return Done(said, "/dead", f"message:{letter.message_id}", {"count": count})


def _delete_dead(services: Services, caller: Caller, fields: Fields) -> Done:
    letter = find_dead(services, fields["id"])
    done = services.removal.delete([letter], by=f"{SOURCE}:{caller.name}")
    said = f"It is deleted{done.and_runs}."
    return Done(said, "/dead", f"message:{letter.message_id}", {"queue": letter.queue})


def _edit_dead(services: Services, _caller: Caller, fields: Fields) -> Done:
    letter = find_dead(services, fields["id"])
    try:
        arguments = json.loads(fields["arguments"])
    except ValueError as error:
        raise InvalidRequest(f"The payload is not JSON: {error}.") from error
    if not isinstance(arguments, dict):
        raise InvalidRequest("The payload is a JSON object: names with their values.")
    priority = Priority(fields["priority"]) if fields.get("priority") else None
    count = retry_letter(services, letter, arguments=arguments, priority=priority)
    said = "It waits again, as written." if count else "It stays: a newer message does its work."
    detail: dict[str, object] = {"count": count, "arguments": arguments}
    return Done(said, "/dead", f"message:{letter.message_id}", detail)


def _mass_retry(services: Services, caller: Caller, fields: Fields) -> Done:
    wanted = DeadMatch.model_validate(fields, strict=False)
    retry = services.mass_retries.ask(match_of(wanted), asked_by=caller.name, source=SOURCE)
    first = min(STEPS[0], retry.total)
    more = "; more follow when they are done" if first < retry.total else ""
    said = f"{first:,} of {retry.total:,} {'is' if first == 1 else 'are'} sent again{more}."
    return Done(said, "/dead", subject_of(retry.id), {"total": retry.total, **fields})


def _stop_mass_retry(services: Services, caller: Caller, fields: Fields) -> Done:
    retry = services.mass_retries.stop(fields["id"], by=caller.name)
    said = f"It is over already: {retry.message}." if retry.is_over else "It sends nothing more."
    return Done(said, "/dead", subject_of(retry.id), {})


def _delete_group(services: Services, caller: Caller, fields: Fields) -> Done:
    wanted = DeadMatch.model_validate(fields, strict=False)
    entries = services.dead.entries(match_of(wanted), limit=MOST_INDEXED)
    by_queue: dict[str, list[str]] = {}
    for entry in entries:
        by_queue.setdefault(entry.queue, []).append(entry.message_id)
    done = services.removal.delete_by_id(by_queue, by=f"{SOURCE}:{caller.name}")
    said = f"{counted_are(done.messages, 'dead letter')} deleted{done.and_runs}."
    return Done(said, "/dead", None, {**done.counts, **fields})


def _on_worker(order: str) -> Callable[[Services, Caller, Fields], Done]:
    def do(services: Services, _caller: Caller, fields: Fields) -> Done:
        process = fields["process"]
        if not order_worker(services, process, order):
            raise NotFound(f"there is no worker {process!r}")
        return Done(f"{process} does so within a heartbeat.", "/workers", f"worker:{process}", {})

    return do


def _on_schedule(verb: str) -> Callable[[Services, Caller, Fields], Done]:
    def do(services: Services, caller: Caller, fields: Fields) -> Done:
        entry_id, by, now = fields["id"], f"{SOURCE}:{caller.name}", services.clock.now()
        require_entry(services, entry_id)
        if verb == "run":
            services.schedule.ask(
                RunNow(id=uuid4().hex, entry_id=entry_id, requested_by=by, requested_at=now)
            )
            said = f"{entry_id} runs within about a second."
        elif verb == "pause":
            services.schedule.pause(entry_id, Pause(by=by, at=now))
            said = f"{entry_id} is paused."
        else:
            services.schedule.resume(entry_id)
            said = f"{entry_id} is resumed."
        return Done(said, "/schedules", f"schedule:{entry_id}", {})

    return do


def _restore(services: Services, caller: Caller, fields: Fields) -> Done:
    version = restore(services, int(fields["version"]), author=caller.name, expected=None)
    said = f"Version {version.number} is in force; it restores {fields['version']}."
    return Done(said, "/config", f"config:{version.number}", {"reason": version.reason})


def _on_canary(outcome: Outcome) -> Callable[[Services, Caller, Fields], Done]:
    def do(services: Services, caller: Caller, _fields: Fields) -> Done:
        trial, ending = end_trial(services, outcome, by=caller.name)
        said = f"Version {trial.number} is {outcome.value}."
        return Done(said, "/config", f"config:{trial.number}", described(trial, ending))

    return do


def _approve_run(services: Services, caller: Caller, fields: Fields) -> Done:
    run_id = fields["run_id"]
    act = approve_plan(services, caller, SOURCE, run_id, fields["plan_hash"])
    if act.run is None or act.is_repeat:
        return Done("It was approved before: nothing was written now.", f"/runs/{run_id}", None, {})
    said = f"{counted_are(len(act.choice.all_changes), 'change')} written{_told(act)}"
    return Done(said, f"/runs/{act.run.id}", None, {})


def _reject_run(services: Services, caller: Caller, fields: Fields) -> Done:
    run_id = fields["run_id"]
    decision = reject_plan(services, caller, SOURCE, run_id, fields["plan_hash"])
    said = f"The plan is {decision['verdict']} by {decision['decided_by']}."
    return Done(said, f"/runs/{run_id}", None, {})


def _undo_run(services: Services, caller: Caller, fields: Fields) -> Done:
    run_id = fields["run_id"]
    act = undo_run(services, caller, SOURCE, run_id)
    if act.run is None:
        return Done(f"Nothing is left to take back{_told(act)}", f"/runs/{run_id}", None, {})
    said = f"{counted_are(len(act.choice.all_changes), 'change')} taken back{_told(act)}"
    return Done(said, f"/runs/{act.run.id}", None, {})


def _retry_run(services: Services, caller: Caller, fields: Fields) -> Done:
    run_id = fields["run_id"]
    return Done(retry_refused(services, caller, SOURCE, run_id).detail, f"/runs/{run_id}", None, {})


def _told(act: RunAct) -> str:
    """What stays as it is, with the first reasons."""
    kept = act.choice.kept
    if not kept:
        return "."
    shown = "; ".join(f"{one.kind} {one.record_id}: {one.reason}" for one in kept[:KEPT_SHOWN])
    return (
        f"; {counted(len(kept), 'record')} left as found ({shown}{'; …' if len(kept) > KEPT_SHOWN else ''})."
    )


def _replay_run(services: Services, caller: Caller, fields: Fields) -> Done:
    run_id = fields["run_id"]
    replayed = replay_recorded(services, caller, SOURCE, run_id)
    if replayed["is_same"]:
        said = "Replayed: the plan came out the same."
    else:
        then, now = len(replayed["only_recorded"]), len(replayed["only_replayed"])
        said = (
            f"Replayed: the plan came out differently; {counted(then, 'change')} only then, {now:,} only now."
        )
    return Done(said, f"/runs/{run_id}", None, {})


ACTS: Mapping[str, Act] = {
    "approve_run": Act(Role.OPERATE, None, "Write exactly this plan?", _approve_run),
    "reject_run": Act(Role.OPERATE, None, "Reject this plan for good?", _reject_run),
    "undo_run": Act(
        Role.OPERATE,
        None,
        "Take back what this run changed? Records that were edited since stay as they are.",
        _undo_run,
    ),
    "retry_run": Act(Role.OPERATE, None, "Bring to the CMS again what it refused of this run?", _retry_run),
    "replay_run": Act(
        Role.OPERATE, None, "Go through this run again offline? Nothing is written.", _replay_run
    ),
    "sync": Act(Role.SEND, None, "Sync this account now?", _sync),
    "batch": Act(Role.SEND, "batch_asked", "Sync all accounts that match?", _batch),
    "cancel_batch": Act(
        Role.OPERATE, "batch_cancelled", "Take back what waits of this batch?", _cancel_batch
    ),
    "pause_queue": Act(
        Role.OPERATE,
        "queue_paused",
        "Pause this queue? Nothing of it starts until it is resumed.",
        _on_queue("pause"),
    ),
    "resume_queue": Act(Role.OPERATE, "queue_resumed", "Resume this queue?", _on_queue("resume")),
    "purge_queue": Act(
        Role.ADMIN,
        "queue_purged",
        "Delete everything that waits in this queue, for good?",
        _on_queue("purge"),
    ),
    "retry_dead": Act(Role.OPERATE, "dead_retried", "Send this message again?", _retry_dead),
    "delete_dead": Act(Role.OPERATE, "dead_deleted", "Delete this message for good?", _delete_dead),
    "edit_dead": Act(Role.OPERATE, "dead_retried", "Send this message again as it is written?", _edit_dead),
    "mass_retry": Act(
        Role.OPERATE,
        "mass_retry_begun",
        "Send all messages of this group again: three first, then more and more, while none dies again?",
        _mass_retry,
    ),
    "stop_mass_retry": Act(
        Role.OPERATE, "mass_retry_stopped", "Send no more of these letters again?", _stop_mass_retry
    ),
    "delete_group": Act(
        Role.OPERATE, "dead_deleted", "Delete all messages of this group for good?", _delete_group
    ),
    "quiet_worker": Act(
        Role.OPERATE, "worker_quieted", "Let this worker take nothing new?", _on_worker("quiet")
    ),
    "wake_worker": Act(
        Role.OPERATE, "worker_woken", "Let this worker take messages again?", _on_worker("wake")
    ),
    "stop_worker": Act(
        Role.OPERATE, "worker_stopped", "Let this worker finish and exit?", _on_worker("stop")
    ),
    "run_schedule": Act(Role.OPERATE, "schedule_run", "Run this schedule now?", _on_schedule("run")),
    "pause_schedule": Act(Role.OPERATE, "schedule_paused", "Pause this schedule?", _on_schedule("pause")),
    "resume_schedule": Act(Role.OPERATE, "schedule_resumed", "Resume this schedule?", _on_schedule("resume")),
    "restore_config": Act(
        Role.ADMIN, "config_changed", "Restore this version of the settings, for all processes?", _restore
    ),
    "promote_canary": Act(
        Role.ADMIN,
        "config_canary_ended",
        "Put the version on trial in force for all processes now?",
        _on_canary(Outcome.PROMOTED),
    ),
    "withdraw_canary": Act(
        Role.ADMIN,
        "config_canary_ended",
        "Take the version on trial back now?",
        _on_canary(Outcome.WITHDRAWN),
    ),
}


@router.post("/acts/{name}")
def act(request: Request, caller: Reader, services: Has, form: Form, name: str) -> Response:
    """Carry out an act that was confirmed; ask first otherwise."""
    if name not in ACTS:
        raise NotFound(f"there is no act {name!r}")
    chosen = ACTS[name]
    if caller.role.level < chosen.role.level:
        raise role_needed(chosen.role, caller)
    if form.pop("confirmed", "") != "yes":
        return render(request, caller, "confirm.html", question=chosen.question, act_name=name, fields=form)
    try:
        done = chosen.do(services, caller, form)
    except KeyError as error:
        raise InvalidRequest(f"{error.args[0]}: required") from error
    except ValidationError as error:
        raise InvalidRequest("\n".join(str(item["msg"]) for item in error.errors())) from error
    except ValueError as error:
        raise InvalidRequest(str(error)) from error
    if chosen.noted_as:
        detail = {**done.detail, "address": caller.address}
        services.stores.audit.record(
            actor=caller.name, source=SOURCE, action=chosen.noted_as, subject=done.subject, detail=detail
        )
    return go(done.href, said=done.said)
