"""Somebody who asks for syncs all the time, and whether each of them ended well."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from tests.acceptance.conftest import Installation
from tests.conftest import Eventually

SETTLED_WITHIN_S = 90.0


class Load:
    """Asks for one account after the other until it is stopped."""

    def __init__(self, system: Installation, accounts: int) -> None:
        self._system = system
        self._accounts = accounts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.run_ids: set[str] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.1):
            number = number % self._accounts + 1
            body = json.dumps({"mode": "update", "id": number}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{self._system.port}/api/v1/syncs",
                method="POST",
                data=body,
                headers={"Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self.run_ids.add(json.load(answer)["run_id"])
            except (OSError, HTTPException):
                continue  # the web process was killed, before its answer or amid it; the next one answers


@contextmanager
def asking(system: Installation, *, accounts: int) -> Iterator[Load]:
    load = Load(system, accounts)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def outcomes(system: Installation, run_ids: set[str]) -> dict[str, str | None]:
    runs = system.run("runs", "list", "--limit", "1000", "--json").json()
    return {run["id"]: run["outcome"] for run in runs if run["id"] in run_ids}


def nothing_is_lost(system: Installation, load: Load, eventually: Eventually) -> None:
    """Every run that was asked for ends well, and the books balance."""

    def finished() -> bool:
        found = outcomes(system, load.run_ids)
        return found.keys() == load.run_ids and all(found.values())

    eventually(finished, deadline_s=SETTLED_WITHIN_S)
    assert set(outcomes(system, load.run_ids).values()) == {"succeeded"}
    assert system.run("dead", "list", "--json").json() == []
