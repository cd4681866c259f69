"""Every setting: frozen, validated, a unit in every name. Defaults and their reasons: defaults.toml."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
)

from settings import values
from settings.scheduling import CadenceSettings, SchedulerSettings
from settings.section import (
    AccountTypes,
    ClockTime,
    DatabaseUrl,
    EntryName,
    HttpUrl,
    Names,
    NoticeTemplate,
    PositiveSeconds,
    ProxyUrl,
    QueueName,
    RedisUrl,
    SecretHttpUrl,
    Section,
    Share,
    Zone,
)
from sync.incident import Severity


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class Deployment(StrEnum):
    """A deployment preset: how large the processes are."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    SMALL_DYNO = "small-dyno"


class RedisSettings(Section):
    """`url` None means the embedded server in `home`."""

    url: RedisUrl | None = None
    namespace: EntryName = "clubsync"
    max_connections: int = Field(default=32, ge=2)


class DatabaseSettings(Section):
    """`url` None means a SQLite file in `home`."""

    url: DatabaseUrl | None = None
    busy_timeout_s: float = Field(default=10.0, gt=0)


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    requests_per_s: float = Field(default=1000.0, gt=0)


class WorkerSettings(Section):
    processes: int = Field(default=1, ge=1)
    greenlets: int = Field(default=32, ge=1, le=1000)
    reserved_for_urgent: int = Field(default=2, ge=0)
    grace_s: float = Field(default=20.0, gt=0)


class HttpSettings(Section):
    """The way out; `proxies` are URLs, with credentials if need be."""

    proxies: Annotated[tuple[ProxyUrl, ...], BeforeValidator(values.comma_separated)] = ()
    connect_timeout_s: float = Field(default=5.0, gt=0)
    read_timeout_s: float = Field(default=20.0, gt=0)
    body_timeout_s: float = Field(default=60.0, gt=0)
    max_body_bytes: int = Field(default=32_000_000, ge=1)
    write_timeout_s: float = Field(default=20.0, gt=0)
    pool_timeout_s: float = Field(default=30.0, gt=0)
    attempts: int = Field(default=4, ge=1, le=10)
    retry_base_s: float = Field(default=0.25, gt=0)
    retry_cap_s: float = Field(default=5.0, gt=0)
    max_throttle_wait_s: float = Field(default=20.0, ge=0)
    max_requests: int = Field(default=5000, ge=1)
    retry_max_share: float = Field(default=0.1, ge=0, le=1)
    stale_if_error_s: float = Field(default=0.0, ge=0)
    records_runs: bool = False


class PlayHQSettings(Section):
    """`base_url` None means the simulator."""

    base_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    tenant: str = "ca"
    requests_per_s: float = Field(default=5.0, gt=0)
    concurrency: int = Field(default=4, ge=1)
    default_zone: Zone = "Australia/Sydney"
    extra_season_ids: Names = ()


class PlayCricketSettings(Section):
    base_url: HttpUrl = "https://www.play-cricket.com/api/v3"
    api_token: SecretStr | None = None
    requests_per_s: float = Field(default=1.0, gt=0)
    concurrency: int = Field(default=2, ge=1)


class ProvidersSettings(Section):
    default: str = "playhq"
    playhq: PlayHQSettings = PlayHQSettings()
    playcricket: PlayCricketSettings = PlayCricketSettings()


class StrapiSettings(Section):
    base_url: HttpUrl = "http://127.0.0.1:1337/api/"
    token: SecretStr | None = None
    version: Literal["auto", "v4", "v5"] = "auto"
    create_grades: bool = True
    data_collections: bool = False
    admin_account_id: int | None = Field(default=None, ge=1)
    write_concurrency: int = Field(default=4, ge=1, le=10)
    status_labels: dict[str, str] = {
        "UPCOMING": "Upcoming",
        "PENDING": "Upcoming",
        "FINAL": "Final",
        "ABANDONED": "Abandoned",
        "CANCELLED": "Cancelled",
    }
    season_labels: dict[str, str] = {"UPCOMING": "Upcoming", "ACTIVE": "Active", "COMPLETED": "Completed"}
    type_labels: dict[str, str] = {"oneDay": "One Day", "twoDay": "Two Day+", "t20": "T20"}


class CmsSettings(Section):
    kind: str = "embedded"
    outbox_max_records: int = Field(default=200_000, ge=1)
    strapi: StrapiSettings = StrapiSettings()


class SyncSettings(Section):
    """Windows and guards of a run."""

    look_back_days: int = Field(default=14, ge=0, le=3660)
    lease_s: float = Field(default=30.0, gt=0, le=3600)
    grade_concurrency: int = Field(default=4, ge=1, le=100)
    removal_confirmations: int = Field(default=3, ge=1)
    removal_max_count: int = Field(default=50, ge=0)
    removal_max_share: float = Field(default=0.1, ge=0, le=1)
    shrink_max_share: float = Field(default=0.5, gt=0, le=1)
    quarantine_max_share: float = Field(default=0.2, ge=0, le=1)
    max_deferral_s: float = Field(default=3600.0, gt=0)
    attempts: int = Field(default=3, ge=1)
    result_fresh_s: float = Field(default=0.0, ge=0)


class SlackSettings(Section):
    webhook_url: SecretHttpUrl | None = None
    token: SecretStr | None = None
    channel: str = "#data-account"
    error_channel: str = "#data-account-error"
    base_url: HttpUrl = "https://slack.com/api"


class MailSettings(Section):
    host: str | None = None
    port: int = Field(default=25, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    use_starttls: bool = False
    sender: str = "clubsync@localhost"
    recipients: Names = ()


class WebhookSettings(Section):
    """A JSON POST to any service, signed with `secret` (HMAC-SHA256)."""

    url: SecretHttpUrl | None = None
    secret: SecretStr | None = None


class AppriseSettings(Section):
    """Any service that Apprise knows; needs the extra `clubsync[apprise]`."""

    urls: Annotated[tuple[SecretStr, ...], BeforeValidator(values.comma_separated)] = ()


class QuietHours(Section):
    """Wall-clock hours in which a route tells only what is at least as bad as `breaks_through`.

    The rest is told as one summary when they end; no hours: never quiet.
    """

    starts: ClockTime | None = None
    ends: ClockTime | None = None
    zone: Zone = "Australia/Sydney"
    breaks_through: Severity = Severity.ERROR


class RouteSettings(Section):
    """Which channels hear of what; a notice goes to the channels of every route that matches, once each.

    `events` may hold `*`; empty `events` or `tags` match all. While `told` is `grouped`, the good
    runs of a large batch are left to its digest, and one failure of many alike to their incident.
    """

    events: Names = ()
    severity: Severity = Severity.INFO
    tags: Names = ()
    channels: Names = ()
    told: Literal["grouped", "each"] = "grouped"
    quiet: QuietHours = QuietHours()


class TemplateSettings(Section):
    """Other words for some events, in one channel or all; `$name` stands for a field of the notice."""

    events: Names = ()
    channels: Names = ()
    subject: NoticeTemplate | None = None
    text: NoticeTemplate | None = None


class NotificationsSettings(Section):
    timeout_s: float = Field(default=10.0, gt=0)
    digest_from: int = Field(default=100, ge=1)
    most_per_minute: int = Field(default=120, ge=1)
    summary_from: int = Field(default=6, ge=2)
    keep_s: float = Field(default=172800.0, gt=0)
    slack: SlackSettings = SlackSettings()
    mail: MailSettings = MailSettings()
    webhook: WebhookSettings = WebhookSettings()
    apprise: AppriseSettings = AppriseSettings()
    routes: dict[EntryName, RouteSettings] = {}
    templates: dict[EntryName, TemplateSettings] = {}


class AlertsSettings(Section):
    """When somebody should know; each look compares what is with these."""

    every_s: float = Field(default=60.0, ge=1)
    opens_after: int = Field(default=2, ge=1)
    closes_after: int = Field(default=3, ge=1)
    repeat_s: float = Field(default=1800.0, gt=0)
    window_s: float = Field(default=900.0, ge=60, le=3600)
    grouped_from: int = Field(default=3, ge=2)
    paused_s: float = Field(default=600.0, gt=0)
    oldest_s: dict[QueueName, PositiveSeconds] = {
        "onboarding": 120.0,
        "updates": 120.0,
        "direct": 600.0,
        "syncs": 21600.0,
        "grades": 3600.0,
        "notifications": 600.0,
        "health": 300.0,
    }
    backlog: dict[QueueName, int] = {"onboarding": 5, "updates": 10, "direct": 15, "syncs": 10}
    backlog_error_factor: float = Field(default=2.0, ge=1)
    slow_share: Share = 0.5
    failure_share: Share = 0.2
    failure_error_share: Share = 0.5
    failure_least: int = Field(default=10, ge=1)
    stuck_s: float = Field(default=1800.0, gt=0)
    stuck_factor: float = Field(default=3.0, ge=1)
    dead_letters: int = Field(default=10, ge=1)

    def patience_s(self, queue: str) -> float | None:
        """How long a message of this queue may wait; None where nobody said."""
        return next((limit_s for name, limit_s in self.oldest_s.items() if name == queue), None)

    def usual_backlog(self, queue: str) -> int | None:
        """How many messages above low priority may wait there; None where nobody said."""
        return next((count for name, count in self.backlog.items() if name == queue), None)


class FreshnessTarget(Section):
    """How long ago the accounts of a class may have been synced last; the strictest that matches counts.

    Empty `types` or `tags` match all accounts.
    """

    target_s: float = Field(default=129600.0, gt=0)
    types: AccountTypes = ()
    tags: Names = ()


class RetentionSettings(Section):
    """How many days what has happened is kept."""

    runs_days: float = Field(default=180.0, ge=1, le=36_500)
    changes_days: float = Field(default=90.0, ge=1, le=36_500)
    notices_days: float = Field(default=90.0, ge=1, le=36_500)
    incidents_days: float = Field(default=180.0, ge=1, le=36_500)
    audit_days: float = Field(default=730.0, ge=30, le=36_500)
    dead_letters_days: float = Field(default=30.0, ge=1, le=36_500)
    recordings_days: float = Field(default=14.0, ge=1, le=36_500)


class LoggingSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class TracingSettings(Section):
    """OpenTelemetry; where to is said by its own variables, OTEL_EXPORTER_OTLP_ENDPOINT and others."""

    is_on: bool = False


class CanarySettings(Section):
    """When a version on trial is taken back; see `settings.canary`."""

    significance: float = Field(default=0.05, gt=0, lt=1)
    early_significance: float = Field(default=0.001, gt=0, lt=1)
    least_rise: float = Field(default=0.05, ge=0, le=1)


class RunPreset(Section):
    """Which stages a sync runs."""

    competitions: bool = True
    teams: bool = True
    games: bool = True
    validation: bool = True
    cleanup: bool = True
    extras: bool = True
    tracking: bool = True


class Settings(Section):
    environment: Environment = Environment.DEVELOPMENT
    deployment: Deployment = Deployment.DEVELOPMENT
    home: Path = Path("var")
    redis: RedisSettings = RedisSettings()
    database: DatabaseSettings = DatabaseSettings()
    web: WebSettings = WebSettings()
    worker: WorkerSettings = WorkerSettings()
    http: HttpSettings = HttpSettings()
    providers: ProvidersSettings = ProvidersSettings()
    cms: CmsSettings = CmsSettings()
    sync: SyncSettings = SyncSettings()
    presets: dict[EntryName, RunPreset] = {}
    notifications: NotificationsSettings = NotificationsSettings()
    alerts: AlertsSettings = AlertsSettings()
    freshness: dict[EntryName, FreshnessTarget] = {}
    cadence: CadenceSettings = CadenceSettings()
    retention: RetentionSettings = RetentionSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()
    canary: CanarySettings = CanarySettings()

    @property
    def database_url(self) -> str:
        """The configured database, or the SQLite file in `home`."""
        if self.database.url is not None:
            return self.database.url.get_secret_value()
        return f"sqlite:///{self.home.absolute() / 'clubsync.sqlite3'}"
