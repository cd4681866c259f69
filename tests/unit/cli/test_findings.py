"""A fault is told once, what comes of it below it, in the words of the dashboard."""

from __future__ import annotations

from dataclasses import replace

from cli.findings import NOTHING, Finding, fault, good, judged, worst
from notifications.verdict.evidence import Level
from notifications.verdict.facts import Trouble

REFUSED = Trouble(
    key="provider:playhq",
    count=3,
    is_put_off=False,
    message="401",
    run_id="r1",
    step="Mend the key.",
    is_hopeless=True,
)


def test_a_failed_probe_and_the_syncs_that_failed_by_it_are_one_item() -> None:
    probe = fault("provider:playhq", Level.ACT, "refuses our key (401)", "mend the section providers.playhq")
    (told,) = judged(probe, replace(NOTHING, troubles=[REFUSED]))
    assert (told.check, told.value, told.hint) == (
        "provider playhq",
        "refuses our key (401)",
        "mend the section providers.playhq",
    )
    assert [(one.value, one.hint) for one in told.also] == [
        ("3 syncs failed in the last hour: 401.", "Mend the key.")
    ]


def test_providers_that_a_failing_proxy_hides_stand_below_it() -> None:
    seen = fault("provider:playhq", Level.ACT, "no answer") + fault("proxy", Level.ACT, "cannot be reached")
    (told,) = judged(seen, NOTHING)
    assert (told.check, [one.check for one in told.also]) == ("proxy", ["provider playhq"])


def test_what_is_good_stands_first_and_the_worst_counts() -> None:
    findings = judged(good("sql", "answers") + fault("disk", Level.LOOK, "0.1 GB free"), NOTHING)
    assert [one.check for one in findings] == ["sql", "disk"]
    assert worst(findings) is Level.LOOK
    assert worst([]) is Level.GOOD


def test_programs_read_the_level_and_whether_it_is_good() -> None:
    document = Finding("disk", Level.LOOK, "0.1 GB free", "make room").document()
    assert (document["is_good"], document["level"], document["also"]) == (False, "look", [])
