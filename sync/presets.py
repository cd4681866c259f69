"""Which stages a preset runs."""

from __future__ import annotations

from collections.abc import Mapping

from sync.errors import InvalidRequest
from sync.report import Stage

_COLLECTING = frozenset({Stage.COMPETITIONS, Stage.TEAMS, Stage.GAMES, Stage.EXTRAS, Stage.TRACKING})
_CHECKING = frozenset({Stage.FIXTURE_VALIDATION, Stage.FIXTURE_CLEANUP, Stage.EXTRAS, Stage.TRACKING})

PRESETS: Mapping[str, frozenset[Stage]] = {
    "full": _COLLECTING | _CHECKING,
    "quick": _COLLECTING,
    "data-only": _COLLECTING,
    "validation-only": _CHECKING,
    "minimal": _COLLECTING - {Stage.GAMES},
}


def stages_of(
    preset: str, presets: Mapping[str, frozenset[Stage]] = PRESETS, *, has_extras: bool = False
) -> tuple[Stage, ...]:
    """The stages of the preset in running order, `extras` only if there are any.

    Raises InvalidRequest for an unknown preset.
    """
    if preset not in presets:
        raise InvalidRequest(f"preset {preset!r} is not known; one of {', '.join(presets)}")
    wanted = presets[preset] if has_extras else presets[preset] - {Stage.EXTRAS}
    return tuple(stage for stage in Stage if stage in wanted)
