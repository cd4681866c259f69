"""Whether a process is traced: only where a setting says so and the extra is there."""

from __future__ import annotations

from dramatiq.broker import Broker

from sync.errors import ConfigurationError


def trace(broker: Broker, role: str, *, is_on: bool) -> None:
    """Trace what the broker sends and carries out. Raises ConfigurationError without the extra."""
    if not is_on:
        return
    try:
        from brokers.middleware.traces import open_traces  # noqa: PLC0415 - the extra may be missing
    except ImportError as error:
        raise ConfigurationError(
            f"tracing.is_on: needs OpenTelemetry ({error}): pip install 'clubsync[otel]', or set it to false"
        ) from error
    broker.add_middleware(open_traces(role))
