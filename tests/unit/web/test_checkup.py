"""A check that is answered through something that fails tells nothing."""

from __future__ import annotations

import asyncio

from web.health import Check, Checkup, Finding, Status


def found(redis: Status) -> dict[str, object]:
    checks = (
        Check(name="redis", ask=lambda: Finding(status=redis), is_required=True),
        Check(
            name="workers", ask=lambda: Finding(status=Status.WARN, hint="No worker runs."), through="redis"
        ),
    )
    checkup = Checkup(checks)
    workers = asyncio.run(checkup.report())["workers"]
    checkup.close()
    return {name: workers[name] for name in ("status", "output")}


def test_nobody_is_said_to_be_gone_while_nobody_can_be_heard() -> None:
    assert found(Status.FAIL) == {"status": "fail", "output": "Not known while redis fails."}


def test_what_is_heard_counts() -> None:
    assert found(Status.PASS) == {"status": "warn", "output": "No worker runs."}
