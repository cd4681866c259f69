from __future__ import annotations

from typing import Any

import msgspec
import pytest

from brokers.messages import MESSAGES, SyncMessage, UpdateAccount, parse
from brokers.queues import Priority, Queue
from sync.errors import InvalidRequest
from sync.report import Mode


def reasons(envelope: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        parse(envelope)
    return str(refused.value).splitlines()


def test_request_has_the_fields_the_defaults_and_the_priority_it_was_asked_for() -> None:
    request = parse({"actor": "update_account", "account_id": 42, "priority": "urgent"})
    assert request.message == UpdateAccount(account_id=42, preset="full", dry_run=False)
    assert request.priority is Priority.URGENT


def test_priority_left_out_is_that_of_the_message() -> None:
    assert parse({"actor": "onboard_account", "account_id": 1}).priority is Priority.HIGH
    assert parse({"actor": "sync_club", "account_id": 1}).priority is Priority.NORMAL


def test_every_mistake_is_listed_at_once() -> None:
    assert (
        len(
            reasons(
                {
                    "actor": "sync_club",
                    "account_id": "three",
                    "preset": "Full!",
                    "colour": "red",
                    "priority": "asap",
                }
            )
        )
        == 4
    )
    assert reasons({"actor": "sync_club"}) == ["account_id: required"]


@pytest.mark.parametrize("account_id", [0, -1, True, 1.5, "1", None])
def test_account_id_is_a_whole_number_from_one_on(account_id: object) -> None:
    assert reasons({"actor": "sync_club", "account_id": account_id})[0].startswith("account_id: ")


@pytest.mark.parametrize("actor", [None, 7, "", "sync_everything"])
def test_unknown_actor_is_refused_with_the_known_ones(actor: object) -> None:
    [reason] = reasons({"actor": actor})
    assert all(known in reason for known in MESSAGES)


def test_modes_of_one_account_are_one_job_but_a_dry_run_is_another() -> None:
    keys = {
        parse({"actor": actor, "account_id": 3}).message.unique_key
        for actor in ("sync_club", "sync_association", "update_account", "onboard_account")
    }
    assert keys == {"account:3"}
    assert parse({"actor": "sync_club", "account_id": 3, "dry_run": True}).message.unique_key not in keys


def test_organisation_is_one_job_however_its_id_is_written() -> None:
    keys = {
        parse({"actor": "sync_club_direct", "organisation_id": organisation_id}).message.unique_key
        for organisation_id in ("ABC-1", "abc-1")
    }
    assert len(keys) == 1


def test_each_mode_has_one_message_and_each_message_a_queue() -> None:
    modes = [message.mode for message in MESSAGES.values() if issubclass(message, SyncMessage)]
    assert sorted(modes) == sorted(Mode)
    assert {message.queue_name for message in MESSAGES.values()} == set(Queue)


@pytest.mark.parametrize("actor", ["sync_club", "update_account"])
def test_message_survives_json(actor: str) -> None:
    message = parse({"actor": actor, "account_id": 3, "requested_at": "2026-03-07T12:30:00Z"}).message
    again = parse({"actor": actor, **msgspec.json.decode(msgspec.json.encode(message))}).message
    assert again == message
