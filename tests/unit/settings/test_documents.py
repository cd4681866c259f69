from __future__ import annotations

from pathlib import Path

from settings import documents, schema_tree
from settings.loader import load


def test_every_setting_is_in_the_defaults_with_its_place() -> None:
    # Named entries, such as those of the schedule, are written under names of their own.
    written = {known.dotted for setting in documents.documented() if (known := schema_tree.find(setting.key))}
    names = [known.dotted for known in schema_tree.known_keys() if not known.dotted.startswith("presets.")]
    assert set(names) <= written


def test_the_page_is_made_from_the_defaults() -> None:
    page = Path(documents.__file__).parents[1] / "docs" / "settings.md"
    assert page.read_text() == documents.page(), "run: python -m settings.documents"


def test_every_value_is_shown_with_its_origin_and_no_secret() -> None:
    environ = {"CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": "hunter2", "PORT": "81"}
    rows = {row.key: row for row in documents.describe(load(environ))}
    assert rows["providers.playhq.api_key"].value == "********"
    assert rows["providers.playhq.api_key"].origin == "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY"
    assert (rows["web.port"].value, rows["web.port"].origin) == ("81", "PORT")
    assert rows["redis.url"].value == "not set"
    assert rows["scheduler.entries.nightly.cron"].value == "'0 1 * * *'"
