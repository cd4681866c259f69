"""The health checks, some of them a stranger's, which may do anything."""

from __future__ import annotations

import asyncio
import sys

import pytest

from web.health import Check, Checkup, Finding


@pytest.mark.parametrize(
    ("fault", "said"), [(KeyError("room"), "'room'"), (SystemExit(), "SystemExit"), (OSError(), "OSError")]
)
def test_a_check_that_breaks_is_a_finding_and_the_others_count(fault: BaseException, said: str) -> None:
    def break_off() -> Finding:
        raise fault

    checkup = Checkup([Check(name="theirs", ask=break_off), Check(name="ours", ask=Finding)])
    try:
        report = asyncio.run(checkup.report())
    finally:
        checkup.close()
    assert (report["theirs"]["status"], report["theirs"]["output"]) == ("fail", said)
    assert report["ours"]["status"] == "pass"


def test_a_check_that_ends_its_process_does_not_end_ours() -> None:
    def leave() -> Finding:
        sys.exit("this is no library")

    checkup = Checkup([Check(name="theirs", ask=leave)])
    try:
        assert asyncio.run(checkup.report())["theirs"]["output"] == "this is no library"
    finally:
        checkup.close()
