"""One running worker, and every way to spoil its settings file: it goes on, and says what is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from dramatiq import Message

from brokers.chain import open_sender
from brokers.messages import CheckHealth
from brokers.operations import Operations
from settings.reload import Acknowledgement
from stores.redis.registry import Registry
from stores.redis.versions import RedisVersions
from stores.sql.engine import open_engine
from stores.sql.migrate import upgrade
from sync.clock import SystemClock
from tests.acceptance.conftest import clean_environ
from tests.conftest import Eventually
from tests.unit.settings.bad_files import BAD_FILES, GOOD, BadFile, mend

NAMESPACE = "badreloads"
STARTED_WITHIN_S = 60.0
TOLD_WITHIN_S = 30.0


@dataclass(slots=True)
class Worker:
    """A running process, its file, and a sender that keeps it busy."""

    process: subprocess.Popen[bytes]
    file: Path
    versions: RedisVersions
    registry: Registry
    operations: Operations
    send: Callable[[], object]
    mends: int = 0

    def said(self) -> Acknowledgement | None:
        found = self.versions.acknowledgements(datetime.now(UTC), living=self.registry.living())
        return found[0] if found else None

    def mend(self) -> None:
        """A good file again, different from the last good one."""
        self.mends += 1
        mend(self.file, f"{GOOD}\n[http]\nattempts = {self.mends % 9 + 1}\n")

    @property
    def attempts(self) -> int:
        return self.mends % 9 + 1


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Worker]:
    home = tmp_path_factory.mktemp("home")
    file = home / "clubsync.toml"
    file.write_text(GOOD)
    database = f"sqlite:///{home}/clubsync.sqlite3"
    engine = open_engine(database, busy_timeout_s=5)
    upgrade(engine)
    engine.dispose()
    environ = clean_environ(
        home,
        REDIS_URL=redis_url,
        DATABASE_URL=database,
        CLUBSYNC_CONFIG=str(file),
        CLUBSYNC_REDIS__NAMESPACE=NAMESPACE,
    )
    client = redis.Redis.from_url(redis_url)
    sender = open_sender(redis_url, namespace=NAMESPACE)

    def send() -> None:
        body = CheckHealth()
        sender.enqueue(
            Message(
                queue_name=body.queue_name.value, actor_name=body.actor_name, args=(), kwargs={}, options={}
            )
        )

    command = [str(Path(sys.executable).with_name("clubsync")), "worker"]
    with subprocess.Popen(command, env=environ, start_new_session=True) as process:
        registry = Registry(client, NAMESPACE, SystemClock())
        yield Worker(process, file, RedisVersions(client, NAMESPACE), registry, Operations(sender), send)
        process.terminate()
    assert process.returncode == 0
    sender.close()
    client.close()


@pytest.mark.slow
def test_sighup_makes_a_worker_look_again_and_does_not_end_it(worker: Worker, eventually: Eventually) -> None:
    worker.send()
    eventually(lambda: worker.operations.ledger("health").done, deadline_s=STARTED_WITHIN_S)
    before = worker.said()
    assert before is not None
    worker.process.send_signal(signal.SIGHUP)

    def has_looked() -> bool:
        said = worker.said()
        return bool(said and said.at > before.at and said.process == before.process)

    eventually(has_looked, deadline_s=TOLD_WITHIN_S)
    assert worker.process.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_running_worker_keeps_the_last_good_settings_and_loses_nothing(
    worker: Worker, bad: BadFile, eventually: Eventually
) -> None:
    worker.mend()
    eventually(
        lambda: (
            (said := worker.said())
            and said.is_accepted
            and worker.versions.find(said.version).values["http.attempts"] == worker.attempts
        ),
        deadline_s=STARTED_WITHIN_S,
    )
    in_force = worker.versions.in_force_number()

    bad.spoil(worker.file)
    worker.send()
    reason = eventually(
        lambda: (said := worker.said()) and not said.is_accepted and said.reason, deadline_s=TOLD_WITHIN_S
    )
    for told in (str(worker.file), *bad.told):
        assert told in str(reason)
    assert worker.versions.in_force_number() == in_force
    assert worker.process.poll() is None

    def ledger_is_settled() -> bool:
        ledger = worker.operations.ledger("health")
        return ledger.is_balanced and ledger.done == ledger.enqueued

    eventually(ledger_is_settled, deadline_s=TOLD_WITHIN_S)
