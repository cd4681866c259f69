"""Every setting: frozen, validated, a unit in every name. Defaults and their reasons: defaults.toml."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class RedisSettings(Section):
    """`url` None means the embedded server in `home`."""

    url: SecretStr | None = None
    namespace: str = "clubsync"
    max_connections: int = Field(default=32, ge=2)


class DatabaseSettings(Section):
    """`url` None means a SQLite file in `home`."""

    url: SecretStr | None = None
    busy_timeout_s: float = Field(default=10.0, gt=0)


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)


class WorkerSettings(Section):
    processes: int = Field(default=1, ge=1)
    greenlets: int = Field(default=32, ge=1)
    grace_s: float = Field(default=20.0, gt=0)


class HttpSettings(Section):
    """The way out; `proxies` are URLs, with credentials if need be."""

    proxies: tuple[SecretStr, ...] = ()
    connect_timeout_s: float = Field(default=5.0, gt=0)
    read_timeout_s: float = Field(default=20.0, gt=0)
    write_timeout_s: float = Field(default=20.0, gt=0)
    pool_timeout_s: float = Field(default=30.0, gt=0)
    attempts: int = Field(default=4, ge=1, le=10)
    retry_base_s: float = Field(default=0.25, gt=0)
    retry_cap_s: float = Field(default=5.0, gt=0)
    max_throttle_wait_s: float = Field(default=20.0, ge=0)


class PlayHQSettings(Section):
    """`base_url` None means the simulator."""

    base_url: str | None = None
    api_key: SecretStr | None = None
    tenant: str = "ca"
    requests_per_s: float = Field(default=5.0, gt=0)
    concurrency: int = Field(default=4, ge=1)
    default_zone: str = "Australia/Sydney"
    extra_season_ids: tuple[str, ...] = ()


class PlayCricketSettings(Section):
    base_url: str = "https://www.play-cricket.com/api/v3"
    api_token: SecretStr | None = None
    requests_per_s: float = Field(default=1.0, gt=0)
    concurrency: int = Field(default=2, ge=1)


class ProvidersSettings(Section):
    default: str = "playhq"
    playhq: PlayHQSettings = PlayHQSettings()
    playcricket: PlayCricketSettings = PlayCricketSettings()


class StrapiSettings(Section):
    base_url: str = "http://127.0.0.1:1337/api/"
    token: SecretStr | None = None
    version: Literal["auto", "v4", "v5"] = "auto"


class CmsSettings(Section):
    kind: str = "embedded"
    strapi: StrapiSettings = StrapiSettings()


class SyncSettings(Section):
    """Windows and guards of a run."""

    look_back_days: int = Field(default=14, ge=0)
    lease_s: float = Field(default=30.0, gt=0)
    grade_concurrency: int = Field(default=4, ge=1)
    removal_confirmations: int = Field(default=3, ge=1)
    removal_max_count: int = Field(default=50, ge=0)
    removal_max_share: float = Field(default=0.1, ge=0, le=1)
    max_deferral_s: float = Field(default=3600.0, gt=0)
    attempts: int = Field(default=3, ge=1)


class SlackSettings(Section):
    webhook_url: SecretStr | None = None
    token: SecretStr | None = None
    channel: str = "#data-account"
    error_channel: str = "#data-account-error"
    base_url: str = "https://slack.com/api"


class MailSettings(Section):
    host: str | None = None
    port: int = Field(default=25, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    use_starttls: bool = False
    sender: str = "clubsync@localhost"
    recipients: tuple[str, ...] = ()


class NotificationsSettings(Section):
    slack: SlackSettings = SlackSettings()
    mail: MailSettings = MailSettings()


class ScheduleEntry(Section):
    """When a batch or a message is sent; exactly one of `cron` and `every_s`."""

    cron: str | None = None
    every_s: float | None = Field(default=None, gt=0)
    zone: str = "Australia/Sydney"
    action: Literal["batch", "check_health"] = "batch"
    preset: str = "full"
    spread_s: float = Field(default=0.0, ge=0)
    is_paused: bool = False


class SchedulerSettings(Section):
    lease_s: float = Field(default=4.0, gt=0)
    entries: dict[str, ScheduleEntry] = {}


class LoggingSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class RunPreset(Section):
    """Which stages a sync runs."""

    competitions: bool = True
    teams: bool = True
    games: bool = True
    validation: bool = True
    cleanup: bool = True
    tracking: bool = True


class Settings(Section):
    environment: Environment = Environment.DEVELOPMENT
    home: Path = Path("var")
    redis: RedisSettings = RedisSettings()
    database: DatabaseSettings = DatabaseSettings()
    web: WebSettings = WebSettings()
    worker: WorkerSettings = WorkerSettings()
    http: HttpSettings = HttpSettings()
    providers: ProvidersSettings = ProvidersSettings()
    cms: CmsSettings = CmsSettings()
    sync: SyncSettings = SyncSettings()
    presets: dict[str, RunPreset] = {}
    notifications: NotificationsSettings = NotificationsSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    logging: LoggingSettings = LoggingSettings()
