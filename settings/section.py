"""What a section of the settings is, and the kinds of values in it; `settings.values` checks them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from settings import values


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_bool(cls, value: object, info: ValidationInfo) -> object:
        # Python counts True as 1; nobody who writes `greenlets = true` means one.
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float, float | None):
            raise ValueError("should be a number")
        return value


HttpUrl = Annotated[str, AfterValidator(values.http_url)]
SecretHttpUrl = Annotated[SecretStr, AfterValidator(values.secret_http_url)]
ProxyUrl = Annotated[SecretStr, AfterValidator(values.proxy_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(values.redis_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(values.database_url)]
Zone = Annotated[str, AfterValidator(values.zone)]
Cron = Annotated[str, AfterValidator(values.cron)]
Names = Annotated[tuple[str, ...], BeforeValidator(values.comma_separated)]
DayNames = Annotated[
    tuple[Annotated[str, AfterValidator(values.days)], ...], BeforeValidator(values.comma_separated)
]
DayNamesOrLists = Annotated[
    tuple[Annotated[str, AfterValidator(values.days_or_list)], ...], BeforeValidator(values.comma_separated)
]
ClockTimes = Annotated[
    tuple[Annotated[str, AfterValidator(values.clock_time)], ...], BeforeValidator(values.comma_separated)
]
LocalMoments = Annotated[
    tuple[Annotated[str, AfterValidator(values.local_moment)], ...], BeforeValidator(values.comma_separated)
]
ClockTime = Annotated[str, AfterValidator(values.clock_time)]
NoticeTemplate = Annotated[str, AfterValidator(values.notice_template)]
# Names become parts of dotted keys, message fields and Redis keys.
EntryName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,39}$")]
AccountTypes = Annotated[tuple[Literal["club", "association"], ...], BeforeValidator(values.comma_separated)]
QueueName = Literal["onboarding", "updates", "syncs", "direct", "grades", "notifications", "health"]
PositiveSeconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
