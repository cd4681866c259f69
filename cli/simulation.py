"""The simulator as this machine's provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.processes import simulator_argv
from cli.sockets import free_port, is_listening
from cli.supervisor import Supervisor

if TYPE_CHECKING:
    from settings.schema import Settings

START_TIMEOUT_S = 20.0
SIMULATOR_KEY = "simulator"


def needs_simulator(settings: Settings) -> bool:
    """Whether no real provider is configured."""
    playhq = settings.providers.playhq
    return playhq.base_url is None and playhq.api_key is None


def start_simulator(supervisor: Supervisor, *arguments: str) -> dict[str, str]:
    """Start the simulator on a free port; answers the settings that point at it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    supervisor.start("simulator", simulator_argv("--port", str(port), *arguments))
    supervisor.wait_until(lambda: is_listening(port), what="the simulator", timeout_s=START_TIMEOUT_S)
    return {
        "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": address,
        "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": SIMULATOR_KEY,
    }
