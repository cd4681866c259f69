"""What a run takes from the settings."""

from __future__ import annotations

from settings.schema import RunPreset, Settings
from sync.context import Rules
from sync.guard import Limits
from sync.report import Stage


def stages_of(preset: RunPreset) -> frozenset[Stage]:
    """The stages that a preset of the settings switches on."""
    switches = {
        Stage.COMPETITIONS: preset.competitions,
        Stage.TEAMS: preset.teams,
        Stage.GAMES: preset.games,
        Stage.FIXTURE_VALIDATION: preset.validation,
        Stage.FIXTURE_CLEANUP: preset.cleanup,
        Stage.EXTRAS: preset.extras,
        Stage.TRACKING: preset.tracking,
    }
    return frozenset(stage for stage, is_on in switches.items() if is_on)


def rules_of(settings: Settings, *, version: int, alike: frozenset[int] = frozenset()) -> Rules:
    """The rules of runs that begin under this version; `alike` versions say the same to them."""
    sync = settings.sync
    return Rules(
        zone=settings.providers.playhq.default_zone,
        look_back_days=sync.look_back_days,
        removal_confirmations=sync.removal_confirmations,
        limits=Limits(
            removal_max_count=sync.removal_max_count,
            removal_max_share=sync.removal_max_share,
            shrink_max_share=sync.shrink_max_share,
            quarantine_max_share=sync.quarantine_max_share,
        ),
        # "ASSOCIATION/SEASON" or "SEASON".
        extra_season_ids=frozenset(
            entry.lower().rpartition("/")[2] for entry in settings.providers.playhq.extra_season_ids
        ),
        default_provider=settings.providers.default,
        config_version=version,
        like_versions=alike,
    )
