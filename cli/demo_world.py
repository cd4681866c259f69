"""The simulator's own addresses, as the demo uses them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.simulation import SIMULATOR_KEY
from stores.sql.accounts import NewAccount
from sync.model import OrganisationKind

TENANT = "ca"
TAG = "demo"
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """The simulated provider at `address`, from the outside."""

    address: str

    def sample_accounts(self) -> Sequence[NewAccount]:
        """Associations and their clubs: the first association first, then its clubs, and so on."""
        entries = self._get(f"/_simulator/accounts?tenant={TENANT}")
        associations = [entry for entry in entries if entry["type"] == "association"]
        clubs = [entry for entry in entries if entry["type"] == "club"]
        ordered = []
        for association in associations:
            ordered.append(association)
            ordered += [club for club in clubs if club["associations"][0] == association["id"]]
        return [_account(entry) for entry in ordered]

    def make_changes(self, association_id: str) -> Sequence[Mapping[str, Any]]:
        """A result comes in, a game moves, a team is regraded; answers what differs, field by field."""
        wanted = [{"kind": kind, "organisation": association_id} for kind in ("result", "move", "regrade")]
        answers: list[Mapping[str, Any]] = self._ask("POST", "/_simulator/changes", wanted)
        return answers

    def served(self) -> int:
        """How many requests the provider has answered; what went to the chat has no key."""
        by_key: Mapping[str, int] = self._get("/_simulator/stats")["by_key"]
        return by_key[SIMULATOR_KEY]

    def chat(self) -> Sequence[Mapping[str, Any]]:
        """What was posted to the chat."""
        messages: list[Mapping[str, Any]] = self._get("/_simulator/chat")
        return messages

    def _get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(  # noqa: S310 (our own http address)
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)


def _account(entry: Mapping[str, Any]) -> NewAccount:
    return NewAccount(
        kind=OrganisationKind(entry["type"]),
        name=entry["name"],
        provider=entry["provider"],
        organisation_id=entry["organisation"],
        # A club's associations are left out on purpose: they are learned from its seasons.
        tags=(TAG,),
    )
