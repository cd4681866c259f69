"""A recorded run gone through again, offline: the same questions, the same answers, nothing written."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from providers.recording import ReplayedOutbound, find_recordings
from providers.registry import InstalledSources, load_plugins
from settings.run_rules import rules_of, stages_of
from settings.schema import Settings
from sync.by_hand.replay import Past, Replay, Replayed
from sync.errors import NotFound
from sync.ports import Cms
from sync.report import Run

# Nothing is sent there: it stands where a provider's settings need something.
_NOWHERE = "http://replayed.invalid"


def replay(recorded: Run, *, settings: Settings, cms: Cms, past: Past) -> Replayed:
    """The run as it ends this time, compared with then. Raises NotFound without a recording."""
    settings = _without_network(settings)
    outbound = ReplayedOutbound(require_recordings(settings.home, recorded.id))
    return Replay(
        sources=InstalledSources(load_plugins(), outbound, settings),
        cms=cms,
        past=past,
        rules=rules_of(settings, version=recorded.config_version or 0),
        presets={name: stages_of(preset) for name, preset in settings.presets.items()},
    ).perform(recorded)


def require_recordings(home: Path, run_id: str) -> list[Path]:
    """The files with what the run was answered. Raises NotFound when there is none."""
    paths = find_recordings(home, run_id)
    if not paths:
        raise NotFound(
            f"there is no recording of run {run_id} in {home}: "
            "runs are recorded, by the workers of that machine, while http.records_runs is on"
        )
    return paths


def _without_network(settings: Settings) -> Settings:
    """The settings with an address and a key for each provider that has none here."""
    providers = settings.providers
    playhq = providers.playhq.model_copy(update={"base_url": providers.playhq.base_url or _NOWHERE})
    token = providers.playcricket.api_token or SecretStr("replayed")
    playcricket = providers.playcricket.model_copy(update={"api_token": token})
    return settings.model_copy(
        update={
            "http": settings.http.model_copy(update={"records_runs": False}),
            "providers": providers.model_copy(update={"playhq": playhq, "playcricket": playcricket}),
        }
    )
