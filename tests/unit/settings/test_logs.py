from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from settings import logs
from settings.loader import load

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def set_up(**environ: str) -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(load({"CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": SECRET, **environ}).settings, stream=stream)
    return stream


def test_json_logs_hold_event_fields_and_what_is_bound() -> None:
    stream = set_up(CLUBSYNC_LOGGING__FORMAT="json")
    with logs.bound(run_id="r1", account_id=3):
        logging.getLogger("sync").info("run_finished", extra={"outcome": "succeeded"})
    logging.getLogger("sync").info("idle")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["event"] == "run_finished"
    assert (first["run_id"], first["account_id"], first["outcome"]) == ("r1", 3, "succeeded")
    assert first["level"] == "info"
    assert "run_id" not in second


def test_text_logs_are_one_line_an_event() -> None:
    stream = set_up()
    logging.getLogger("sync").warning("provider_slow", extra={"wait_s": 2.5})
    assert stream.getvalue().rstrip().endswith("WARNING provider_slow wait_s=2.5")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_reaches_the_log_not_even_in_a_trace(form: str) -> None:
    stream = set_up(CLUBSYNC_LOGGING__FORMAT=form)
    try:
        int(f"refused {SECRET} at https://user:pw-of-another@host/")
    except ValueError:
        logging.getLogger("sync").exception("failed", extra={"url": f"redis://u:{SECRET}@h"})
    assert SECRET not in stream.getvalue()
    assert "pw-of-another" not in stream.getvalue()
    assert "@host/" in stream.getvalue()


def test_the_level_can_change_while_running() -> None:
    stream = set_up(CLUBSYNC_LOGGING__LEVEL="warning")
    logging.getLogger("sync").info("quiet")
    assert stream.getvalue() == ""
    stream = set_up(CLUBSYNC_LOGGING__LEVEL="debug")
    logging.getLogger("sync").debug("loud")
    assert "loud" in stream.getvalue()
