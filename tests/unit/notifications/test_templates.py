from __future__ import annotations

import pytest

from notifications.notice import notice_of
from notifications.templates import template_values, worded
from settings.loader import InvalidSettings, load
from settings.schema import TemplateSettings
from settings.values import NOTICE_FIELDS
from sync.causes import Cause
from sync.report import RunState
from tests.unit.notifications.builders import finished

FAILED = notice_of(
    finished(state=RunState.FAILED, provider="playhq", message="$5 < ${HOME}", cause=Cause.PROVIDER_DOWN),
    name="Northside CC",
)


def test_the_first_template_for_event_and_channel_gives_the_words() -> None:
    templates = {
        "b-all": TemplateSettings(events=("sync_*",), text="never"),
        "a-chat": TemplateSettings(
            events=("sync_failed",),
            channels=("slack",),
            text="$name ($account_id): $message [$cause, $created new, $duration_s s]",
        ),
    }
    told = worded(FAILED, "slack", templates)
    assert told.text == "Northside CC (3): $5 < ${HOME} [provider_down, 2 new, 9.0 s]"
    assert told.subject == FAILED.subject
    assert worded(FAILED, "mail", templates).text == "never"
    assert worded(FAILED, "mail", {}) == FAILED


def test_every_field_has_a_value_even_where_it_does_not_apply() -> None:
    values = template_values(notice_of(finished()))
    assert list(values) == list(NOTICE_FIELDS)
    assert values["incident"] == ""
    assert values["read"] == "12"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("costs $", "should have \\$\\$"), ("hello $nme", "should not use \\$nme"), ("${a.b}", "should have")],
)
def test_a_wrong_template_is_refused_at_load(text: str, reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        load({"CLUBSYNC_NOTIFICATIONS__TEMPLATES__MINE__TEXT": text})


def test_a_route_names_events_and_channels_that_exist() -> None:
    prefix = "CLUBSYNC_NOTIFICATIONS__ROUTES__RUNS"
    with pytest.raises(InvalidSettings) as caught:
        load(
            {
                f"{prefix}__EVENTS": "sync_*, synk_*",
                f"{prefix}__CHANNELS": "slak",
                f"{prefix}__QUIET__STARTS": "22:00",
            }
        )
    text = str(caught.value)
    assert "not 'synk_*'" in text
    assert "not 'slak'" in text
    assert "quiet.ends" in text
