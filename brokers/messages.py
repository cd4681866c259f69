"""One frozen type per message: its actor, its queue, its fields.

A message is language-neutral JSON, `{"actor": "sync_club", "account_id": 42}`, with an
optional "priority". It carries ids and options, never records. `parse` is the door:
what is invalid is refused with every reason at once and never reaches a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec

from brokers.queues import Priority, Queue
from sync.errors import InvalidRequest
from sync.report import Mode, Run

AccountId = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Preset = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,39}$")]


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all messages."""

    actor_name: ClassVar[str]
    queue_name: ClassVar[Queue]
    priority: ClassVar[Priority] = Priority.NORMAL

    @property
    def unique_key(self) -> str | None:
        """Messages with the same key are one job while it waits or runs."""
        return None

    @property
    def fair_key(self) -> str | None:
        """Keys take turns on a queue, so that a thousand messages of one hold up no other."""
        return None


class SyncMessage(Message, frozen=True, kw_only=True):
    """What all syncs share. Presets are checked against the settings by the publisher.

    `run_id` names the run record; `fresh_after` lets the accounts of a batch share the
    provider's answers fetched since then (default: `requested_at`). A dry run is never one
    job with a real run: the one writes, the other must not. With `restart` an unfinished run
    of the same begins anew instead of going on where it stopped.
    """

    mode: ClassVar[Mode]

    preset: Preset = "full"
    dry_run: bool = False
    # Not sent unless asked for: workers of the release before do not know it.
    restart: bool | msgspec.UnsetType = msgspec.UNSET
    run_id: Name | None = None
    batch_id: Name | None = None
    requested_at: datetime | None = None
    fresh_after: datetime | None = None

    @property
    def fair_key(self) -> str | None:
        return f"batch:{self.batch_id}" if self.batch_id else None


class AccountSync(SyncMessage, frozen=True, kw_only=True):
    account_id: AccountId

    @property
    def unique_key(self) -> str | None:
        return f"account:{self.account_id}{':dry-run' if self.dry_run else ''}"


class OrganisationSync(SyncMessage, frozen=True, kw_only=True):
    organisation_id: Name
    provider: Name | None = None

    @property
    def unique_key(self) -> str | None:
        key = f"organisation:{self.provider or 'default'}:{self.organisation_id.lower()}"
        return f"{key}:dry-run" if self.dry_run else key


class SyncClub(AccountSync, frozen=True, kw_only=True):
    actor_name = "sync_club"
    mode = Mode.CLUB
    queue_name = Queue.SYNCS


class SyncAssociation(AccountSync, frozen=True, kw_only=True):
    actor_name = "sync_association"
    mode = Mode.ASSOCIATION
    queue_name = Queue.SYNCS


class SyncClubDirect(OrganisationSync, frozen=True, kw_only=True):
    actor_name = "sync_club_direct"
    mode = Mode.CLUB_DIRECT
    queue_name = Queue.DIRECT


class SyncAssociationDirect(OrganisationSync, frozen=True, kw_only=True):
    actor_name = "sync_association_direct"
    mode = Mode.ASSOCIATION_DIRECT
    queue_name = Queue.DIRECT


class UpdateAccount(AccountSync, frozen=True, kw_only=True):
    actor_name = "update_account"
    mode = Mode.UPDATE
    queue_name = Queue.UPDATES
    priority = Priority.HIGH


class OnboardAccount(AccountSync, frozen=True, kw_only=True):
    actor_name = "onboard_account"
    mode = Mode.ONBOARDING
    queue_name = Queue.ONBOARDING
    priority = Priority.HIGH


class SyncGrade(Message, frozen=True, kw_only=True):
    """One grade of an association's run, shared out to whichever worker is free.

    Internal: the run sends it, with the key and token of its lease, and does the grade
    itself when nobody else has begun it. It is no run, so it carries no `run_id`.
    """

    actor_name = "sync_grade"
    queue_name = Queue.GRADES

    of_run_id: Name
    grade_id: Name
    season_id: Name
    fence_key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    fence_token: Annotated[int, msgspec.Meta(ge=1)]
    fresh_after: datetime

    @property
    def unique_key(self) -> str | None:
        return f"grade:{self.of_run_id}:{self.grade_id}:{self.fence_token}"

    @property
    def fair_key(self) -> str | None:
        return self.fence_key


class SendNotification(Message, frozen=True, kw_only=True):
    """Tell one channel about one event, mostly of one run, and whatever waits for it before.

    `about` names what else it is about: a state of an incident, a batch.
    """

    actor_name = "send_notification"
    queue_name = Queue.NOTIFICATIONS

    event: Name
    channel: Name
    run_id: Name | None = None
    about: Name | None = None

    @property
    def unique_key(self) -> str | None:
        return f"notification:{self.event}:{self.channel}:{self.run_id or self.about}"


class CheckHealth(Message, frozen=True, kw_only=True):
    """A round trip through queue and worker; stores when it ran."""

    actor_name = "check_health"
    queue_name = Queue.HEALTH
    priority = Priority.HIGH

    requested_at: datetime | None = None


MESSAGES: Mapping[str, type[Message]] = {
    message.actor_name: message
    for message in (
        SyncClub,
        SyncAssociation,
        SyncClubDirect,
        SyncAssociationDirect,
        UpdateAccount,
        OnboardAccount,
        SyncGrade,
        SendNotification,
        CheckHealth,
    )
}


_SYNC_OF_MODE: Mapping[Mode, type[SyncMessage]] = {
    kind.mode: kind for kind in MESSAGES.values() if issubclass(kind, SyncMessage)
}


def message_of(run: Run) -> tuple[str, str]:
    """The queue of a run's message, and the key under which it is one job."""
    fields: dict[str, Any] = {"account_id": run.account_id}
    if run.account_id is None:
        fields = {"organisation_id": run.organisation_id, "provider": run.provider}
    kind = _SYNC_OF_MODE[run.mode]
    return kind.queue_name.value, str(kind(dry_run=run.dry_run, **fields).unique_key)


class Request(msgspec.Struct, frozen=True):
    """A message with the priority it was asked for."""

    message: Message
    priority: Priority


def parse(envelope: Mapping[str, Any]) -> Request:
    """Read `{"actor": ..., "priority": ..., **fields}`.

    Raises InvalidRequest whose text lists every reason, one a line.
    """
    actor = envelope.get("actor")
    kind = MESSAGES.get(actor) if isinstance(actor, str) else None
    if kind is None:
        known = ", ".join(MESSAGES)
        raise InvalidRequest(f"actor: {actor!r} is not known; one of {known}")
    fields = {name: value for name, value in envelope.items() if name not in ("actor", "priority")}
    reasons = _field_reasons(kind, fields)
    priority = kind.priority
    if (asked := envelope.get("priority")) is not None:
        try:
            priority = Priority(asked)
        except ValueError:
            reasons.append(f"priority: {asked!r} is not one of {', '.join(Priority)}")
    if reasons:
        raise InvalidRequest("\n".join(reasons))
    return Request(msgspec.convert(fields, kind), priority)


def _field_reasons(kind: type[Message], fields: Mapping[str, Any]) -> list[str]:
    # msgspec stops at the first mistake, so each field is converted by itself.
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    reasons = [
        f"{name}: unknown field; {kind.actor_name} takes {', '.join(known)}"
        for name in fields
        if name not in known
    ]
    for name, field in known.items():
        if name not in fields:
            if field.required:
                reasons.append(f"{name}: required")
            continue
        try:
            msgspec.convert(fields[name], field.type)
        except msgspec.ValidationError as error:
            reasons.append(f"{name}: {error}")
    return reasons
