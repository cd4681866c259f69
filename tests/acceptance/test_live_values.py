"""Each kind of setting that changes while syncs run is felt by what runs, and no sync is lost by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.asking import asking, nothing_is_lost
from tests.acceptance.conftest import (
    Installation,
    Simulator,
    clean_environ,
    import_accounts,
    running_simulator,
)
from tests.conftest import Eventually
from tests.proxy_server import ProxyServer

FELT_WITHIN_S = 40.0
NOT_ITS_STAGES = ("teams", "games", "validation", "cleanup", "extras", "tracking")
# Nobody else asks for it.
CLUB = 9
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def system(tmp_path: Path, simulator: Simulator) -> Iterator[Installation]:
    home = tmp_path / "home"
    environ = clean_environ(home, simulator, CLUBSYNC_CONFIG=str(home.with_suffix(".toml")))
    del environ["CLUBSYNC_NOTIFICATIONS__SLACK__WEBHOOK_URL"]  # it would outrank the file
    installation = Installation(home, environ)
    write_file(installation, f"notifications.slack.webhook_url = '{simulator.address}/slack/webhook/one'")
    import_accounts(installation, simulator.accounts()[:10])
    installation.start()
    yield installation
    if installation.up is not None:
        installation.stop()


@pytest.fixture
def elsewhere() -> Iterator[Simulator]:
    """The same world at another address."""
    with running_simulator() as simulator:
        yield simulator


def change(system: Installation, *assignments: str) -> int:
    """The version's number; every process takes it over, none of them by a restart."""
    changed = system.run("config", "set", *assignments, "--json").json()
    assert len(changed["processes"]) == 3
    assert not [said for said in changed["processes"] if said["restart_for"] or not said["accepted"]]
    return int(changed["version"])


def write_file(system: Installation, *lines: str) -> None:
    """Secrets are changed in a file; each process takes it over by itself."""
    Path(system.environ["CLUBSYNC_CONFIG"]).write_text("\n".join(lines))


def served(simulator: Simulator) -> int:
    return int(simulator.ask("GET", "stats")["requests"])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_each_kind_of_setting_is_felt_while_syncs_run_and_none_is_lost(
    system: Installation, simulator: Simulator, elsewhere: Simulator, eventually: Eventually
) -> None:
    with asking(system, accounts=8) as load:
        the_log_tells_more(system, eventually)
        a_new_preset_has_its_stages(system)
        a_new_entry_fires(system, eventually)
        notices_go_to_another_channel(system, simulator, eventually)
        the_provider_is_asked_less_often(system, simulator, eventually)
        another_proxy_and_then_another_address_is_used(system, elsewhere, eventually)
    nothing_is_lost(system, load, eventually)
    a_failed_sync_is_tried_as_often_as_the_rules_now_say(system)


def the_log_tells_more(system: Installation, eventually: Eventually) -> None:
    log = system.logs[-1]
    assert " debug " not in log.read_text().lower()
    change(system, "logging.level=debug")
    eventually(lambda: " debug " in log.read_text().lower(), deadline_s=FELT_WITHIN_S)
    change(system, "logging.level=info")


def a_new_preset_has_its_stages(system: Installation) -> None:
    change(system, f"presets.names={json.dumps(dict.fromkeys(NOT_ITS_STAGES, False))}")
    run = system.run("sync", "club", str(CLUB), "--preset", "names", "--wait", "--json").json()
    assert list(run["stages"]) == ["competitions"]


def a_new_entry_fires(system: Installation, eventually: Eventually) -> None:
    change(system, 'scheduler.entries.often={"every_s": 2, "preset": "names"}')
    eventually(
        lambda: [one for one in system.run("batch", "list", "--json").json() if one["entry_id"] == "often"],
        deadline_s=FELT_WITHIN_S,
    )
    system.run("config", "set", "--unset", "scheduler.entries.often")


def notices_go_to_another_channel(system: Installation, simulator: Simulator, eventually: Eventually) -> None:
    write_file(system, f"notifications.slack.webhook_url = '{simulator.address}/slack/webhook/other'")
    eventually(
        lambda: any("other" in str(posted) for posted in simulator.ask("GET", "chat")),
        deadline_s=FELT_WITHIN_S,
    )


def the_provider_is_asked_less_often(
    system: Installation, simulator: Simulator, eventually: Eventually
) -> None:
    change(system, "providers.playhq.requests_per_s=15", "providers.playhq.concurrency=2")

    def is_asked_slowly() -> bool:
        simulator.ask("DELETE", "stats")
        eventually(lambda: served(simulator) > 30, deadline_s=FELT_WITHIN_S)
        # One or two arrive late where the cores are busy, and so beside those of the next second.
        return bool(simulator.ask("GET", "stats")["max_in_1s"] <= 15 + 3)

    # Those at work slow down too, once one more has begun.
    eventually(is_asked_slowly, deadline_s=FELT_WITHIN_S)
    change(system, "providers.playhq.requests_per_s=500", "providers.playhq.concurrency=16")


def another_proxy_and_then_another_address_is_used(
    system: Installation, elsewhere: Simulator, eventually: Eventually
) -> None:
    with ProxyServer().running() as proxy:
        write_file(system, f"http.proxies = ['http://{proxy.address}']")
        eventually(lambda: len(proxy.forwarded) > 10, deadline_s=FELT_WITHIN_S)
        write_file(system, "http.proxies = []")
        change(system, f"providers.playhq.base_url={elsewhere.address}")
        eventually(lambda: served(elsewhere) > 10, deadline_s=FELT_WITHIN_S)


def a_failed_sync_is_tried_as_often_as_the_rules_now_say(system: Installation) -> None:
    change(system, f"providers.playhq.base_url={NOWHERE}", "sync.attempts=2", "http.attempts=1")
    assert system.run("sync", "club", str(CLUB), "--wait").code == 1
    (letter,) = system.run("dead", "list", "--json").json()
    assert "gave up after 2 attempts" in str(letter)
