"""Runs follow the settings in force: their rules and their presets."""

from __future__ import annotations

from settings.loader import load
from settings.run_rules import rules_of, stages_of
from settings.schema import RunPreset
from sync.presets import PRESETS
from sync.report import Stage


def test_the_built_in_presets_are_those_of_the_engine() -> None:
    settings = load({}).settings
    assert {name: stages_of(preset) for name, preset in settings.presets.items()} == PRESETS


def test_a_preset_switches_stages_off_one_by_one() -> None:
    assert stages_of(RunPreset()) == frozenset(Stage)
    assert stages_of(RunPreset(games=False, cleanup=False)) == frozenset(Stage) - {
        Stage.GAMES,
        Stage.FIXTURE_CLEANUP,
    }


def test_rules_name_the_version_and_the_season_of_an_extra_id() -> None:
    settings = load({"CLUBSYNC_PROVIDERS__PLAYHQ__EXTRA_SEASON_IDS": "ASSOC/S1, s2"}).settings
    rules = rules_of(settings, version=7)
    assert rules.config_version == 7
    assert rules.extra_season_ids == {"s1", "s2"}
