"""What a caller asks for when it orders a sync, and the message that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationInfo, field_validator

from brokers.messages import MESSAGES, Request, SyncMessage
from brokers.queues import Priority
from sync.model import OrganisationKind
from sync.report import Mode
from web.api.bodies import Body

# Fits the integer columns of every database.
LARGEST_ACCOUNT_ID = 2**31 - 1

MESSAGE_OF: Mapping[Mode, type[SyncMessage]] = {
    kind.mode: kind for kind in MESSAGES.values() if issubclass(kind, SyncMessage)
}
DIRECT: Mapping[Mode, Mode] = {Mode.CLUB: Mode.CLUB_DIRECT, Mode.ASSOCIATION: Mode.ASSOCIATION_DIRECT}
# The kind of account that a mode is for; the others take both.
KINDS: Mapping[Mode, OrganisationKind] = {
    Mode.CLUB: OrganisationKind.CLUB,
    Mode.ASSOCIATION: OrganisationKind.ASSOCIATION,
}

SYNC_EXAMPLES = {
    "a club's account": {"mode": "club", "id": 42},
    "an association, quickly and first": {
        "mode": "association",
        "id": 7,
        "preset": "quick",
        "priority": "urgent",
    },
    "an organisation without an account": {
        "mode": "club",
        "direct": True,
        "id": "8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10",
    },
    "only show what would change": {"mode": "club", "id": 42, "dry_run": True},
    "begin anew what was interrupted": {"mode": "association", "id": 7, "restart": True},
}


class SyncOrder(Body):
    """A sync to be run. `id` is an account's number, or with `direct` an organisation's id."""

    mode: Mode = Field(
        description="club and association can be direct; update and onboarding take both kinds"
    )
    direct: StrictBool = False
    id: StrictInt | Annotated[StrictStr, Field(max_length=100)] = Field(examples=[42])
    preset: StrictStr = Field(default="full", max_length=40)
    priority: Priority | None = Field(default=None, description="the mode's own when left out")
    dry_run: StrictBool = Field(default=False, description="write nothing, keep the differences")
    restart: StrictBool = Field(
        default=False,
        description="begin anew; left out, an unfinished sync of the same goes on where it stopped",
    )
    provider: StrictStr | None = Field(
        default=None, max_length=40, description="of a direct sync; the configured default when left out"
    )

    @field_validator("direct")
    @classmethod
    def _direct_fits(cls, direct: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 pydantic calls it
        mode = info.data.get("mode")
        if direct and mode is not None and mode not in DIRECT and not mode.is_direct:
            raise ValueError(f"{mode.value} needs an account; direct is for club and association")
        return direct

    @field_validator("id")
    @classmethod
    def _id_fits(cls, value: int | str, info: ValidationInfo) -> int | str:
        mode = info.data.get("mode")
        if mode is None or "direct" not in info.data:
            return value
        if info.data["direct"] or mode.is_direct:
            if not isinstance(value, str) or not value.replace("-", "").isalnum() or not value.isascii():
                raise ValueError("a direct sync takes the provider's id of an organisation, as text")
            return value.lower()
        if not isinstance(value, int) or not 1 <= value <= LARGEST_ACCOUNT_ID:
            raise ValueError("an account's id is a whole number from 1; an organisation's id needs `direct`")
        return value

    @field_validator("preset")
    @classmethod
    def _preset_exists(cls, preset: str, info: ValidationInfo) -> str:
        return known_preset(preset, info)

    @field_validator("provider")
    @classmethod
    def _provider_fits(cls, provider: str | None, info: ValidationInfo) -> str | None:
        return known_provider(provider, info)

    @property
    def whole_mode(self) -> Mode:
        """The mode with `direct` taken into account."""
        return DIRECT.get(self.mode, self.mode) if self.direct else self.mode


def known_preset(preset: str, info: ValidationInfo) -> str:
    """Raises ValueError unless the preset is one of the validation's context."""
    known = (info.context or {}).get("presets", ())
    if preset not in known:
        raise ValueError(f"{preset!r} is not a preset; one of {', '.join(sorted(known))}")
    return preset


def known_provider(provider: str | None, info: ValidationInfo) -> str | None:
    """Raises ValueError unless the provider is none or one of the validation's context."""
    known = (info.context or {}).get("providers", ())
    if provider is not None and provider not in known:
        raise ValueError(f"{provider!r} is not a provider; one of {', '.join(sorted(known))}")
    return provider


def kind_mistake(account_id: int, kind: OrganisationKind, mode: Mode) -> str | None:
    """Why an account of this kind cannot be synced in this mode, or None."""
    wanted = KINDS.get(mode, kind)
    return None if wanted is kind else f"account {account_id} is {_a(kind)}, not {_a(wanted)}"


def request_for(order: SyncOrder) -> Request:
    """The message that carries the order."""
    mode = order.whole_mode
    fields: dict[str, Any] = {"preset": order.preset, "dry_run": order.dry_run}
    if order.restart:
        fields["restart"] = True
    if mode.is_direct:
        fields |= {"organisation_id": order.id, "provider": order.provider}
    else:
        fields["account_id"] = order.id
    kind = MESSAGE_OF[mode]
    return Request(kind(**fields), order.priority or kind.priority)


def _a(kind: OrganisationKind) -> str:
    return f"{'an' if kind is OrganisationKind.ASSOCIATION else 'a'} {kind.value}"
