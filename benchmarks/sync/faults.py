"""Whatever the provider does wrong for a while: in the end the data are its own, and nothing was lost.

One process plays everything: the simulator in a thread, the engine on its real ports, a helper
that does some of the grades, and the retries of the message system, without their waiting.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import redis

from benchmarks.sync.plant import differing_lists
from benchmarks.sync.report import Row
from brokers import embedded
from cms.embedded.plugin import open_cms
from cms.registry import CmsContext
from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from settings.schema import CmsSettings, Settings
from simulator.app import Simulator
from simulator.running import running
from simulator.world.plans import AssociationPlan, GradePlan, SeasonPlan
from simulator.world.world import World
from stores.redis.answers import RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.checkpoints import Checkpoints
from stores.redis.gathers import RedisGathers
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.quotas import RedisLedgers
from stores.redis.seals import RedisSeals
from stores.sql import migrate
from stores.sql.engine import open_engine
from stores.sql.stores import SqlStores, open_stores
from sync.changes import Action
from sync.concurrency import InThreads
from sync.context import FanOut, Rules
from sync.errors import DeferredError, PermanentError, Stopping, TransientError
from sync.grades.ports import GradeTask
from sync.model import OrganisationKind
from sync.report import Mode, Outcome, Run
from sync.request import SyncRequest
from sync.run import SyncRun

TODAY = date(2031, 11, 24)
KEY = "simulator"
CONFIRMATIONS = 2
FAULTY_DAYS = 3
# As the message system: so many transient failures, and deferrals within their age.
ATTEMPTS = 3
DEFERRALS = 60
# The answers that are wrong and cannot be told from right ones.
LIES = ("empty",)
CHANGES = (
    *("result", "correction", "move", "ground", "cancel", "add_game", "remove_game", "restore_game"),
    *("hide_grade", "show_grade", "rename_grade", "rename_team", "regrade"),
)
PLAN = AssociationPlan(
    clubs=5,
    has_clubless_team=True,
    seasons=(
        SeasonPlan(
            competition="Seniors",
            starts_in_weeks=-4,
            ungraded_teams=1,
            grades=(
                GradePlan(name="A", teams=6, rounds=8),
                GradePlan(name="B", teams=5, rounds=8),
                GradePlan(name="C", teams=4, rounds=6),
            ),
        ),
        SeasonPlan(
            competition="Juniors",
            starts_in_weeks=-4,
            grades=(GradePlan(name="U12", teams=4, rounds=8, is_junior=True),),
        ),
    ),
)


class Broken(AssertionError):
    """A promise that a seed found broken."""


def measure(seeds: int) -> list[Row]:
    """Play so many schedules; tells how many broke a promise, and the first of each."""
    broken: list[str] = []
    attempts = 0
    with tempfile.TemporaryDirectory(prefix="clubsync-faults-") as folder:
        server = embedded.start(Path(folder))
        with redis.Redis.from_url(server.url) as client:
            for seed in range(seeds):
                try:
                    attempts += play(seed, client, Path(folder))
                except Broken as promise:
                    broken.append(f"seed {seed}: {promise}")
        server.stop()
    note = "; ".join(broken[:3]) or f"{attempts} attempts at runs"
    return [Row(f"{seeds} random schedules of faults: promises broken", "", len(broken), 0, note)]


def play(seed: int, client: redis.Redis, folder: Path) -> int:
    """Days of changes and faults, then days without: answers how many attempts it took.

    Raises Broken: data that are not the provider's in the end, a game removed that is
    published, a record created twice, or a run whose outcome is not true.
    """
    with _drill(seed, client, folder) as drill:
        for _ in range(FAULTY_DAYS):
            drill.spend_a_faulty_day()
        drill.end_faults()
        for _ in range(CONFIRMATIONS):
            drill.sync()
            drill.pass_a_day()
        drill.sync()
        drill.judge_the_end()
        return drill.attempts


class Killed(BaseException):
    """The process is gone."""


@dataclass
class _Clock:
    at: datetime = field(default_factory=lambda: datetime.combine(TODAY, time(2), UTC))

    def now(self) -> datetime:
        return self.at


@dataclass
class _Fate:
    """Drains and kills a worker now and then."""

    random: Random
    share: float = 0.0

    def raise_if_stopping(self) -> None:
        if self.random.random() < self.share:
            if self.random.random() < 0.5:
                raise Stopping("the worker drains", retry_after_s=0)
            raise Killed


@dataclass
class Drill:
    """One association, its provider and everything that may happen to them."""

    random: Random
    seed: int
    http: httpx.Client
    client: redis.Redis
    namespace: str
    stores: SqlStores
    clock: _Clock
    fate: _Fate
    organisation_id: str
    sync_run: SyncRun
    attempts: int = 0
    runs: list[Run] = field(default_factory=list)

    def spend_a_faulty_day(self) -> None:
        """Something changes, some requests go wrong, a sync is tried until it has its verdict."""
        for _ in range(self.random.randint(0, 3)):
            kind = self.random.choice(CHANGES)
            if kind == "hide_grade":
                # More than one at a time would rightly wait for a person.
                self.http.post(
                    "/_simulator/changes", json={"kind": "show_grade", "organisation": self.organisation_id}
                )
            self.http.post("/_simulator/changes", json={"kind": kind, "organisation": self.organisation_id})
        self._ask("DELETE", "faults")
        schedule = {
            "kind": "random",
            "seed": self.random.randrange(2**31),
            "probability": self.random.choice([0.05, 0.15, 0.4]),
            "requests": self.random.choice([20, 60]),
            "latency_s": 0.01,
            "retry_after_s": 1.0,
        }
        self._ask("POST", "faults", schedule)
        self.fate.share = self.random.choice([0.0, 0.0, 0.05])
        self.sync()
        self.pass_a_day()

    def end_faults(self) -> None:
        self._ask("DELETE", "faults")
        self.fate.share = 0.0

    def pass_a_day(self) -> None:
        self.clock.at += timedelta(days=1)
        self._ask("POST", "clock", {"days": 1})

    def sync(self) -> Run:
        """One run to its verdict, as the message system tries it, and that verdict judged."""
        self.clock.at += timedelta(seconds=1)
        self._ask("DELETE", "stats")
        request = SyncRequest(
            run_id=uuid.uuid4().hex,
            mode=Mode.ASSOCIATION_DIRECT,
            requested_at=self.clock.now(),
            organisation_id=self.organisation_id,
            fresh_after=datetime.now(UTC),
        )
        self._perform(request)
        run = self.stores.runs.find(request.run_id)
        self.runs.append(run)
        self._judge(run)
        return run

    def share_out(self, tasks: Sequence[GradeTask]) -> None:
        """Another worker does some of the grades before the run does the others."""
        for task in tasks:
            if self.random.random() < 0.5:
                try:
                    self.sync_run.perform_grade(task)
                except Killed:
                    return

    def judge_the_end(self) -> None:
        """Everything is stored as it is published, and nothing twice."""
        last = self.runs[-1]
        # What people at the provider hid looks like a mistake of theirs, and waits for ours.
        if last.outcome is not Outcome.SUCCEEDED and not _is_held(last):
            raise Broken(f"without faults a run is {last.outcome}: {last.message}")
        if differing := self._differing():
            raise Broken(f"{', '.join(differing)} differ in the end")
        created = Counter(
            (change.kind, change.record_id)
            for run in self.runs
            for change in self.stores.changes.applied_of_run(run.id)
            if change.action is Action.CREATED
        )
        if twice := [record for record, count in created.items() if count > 1]:
            raise Broken(f"created more than once: {twice[:3]}")

    def _perform(self, request: SyncRequest) -> None:
        failures = deferrals = 0
        while True:
            self.attempts += 1
            try:
                self.sync_run.perform(request)
            except PermanentError:
                return
            except TransientError as error:
                failures += 1
                if failures >= ATTEMPTS:
                    self.sync_run.closing.finish_as_failed(request.run_id, error)
                    return
            except DeferredError as error:
                deferrals += 1
                if deferrals >= DEFERRALS:
                    self.sync_run.closing.finish_as_failed(request.run_id, error)
                    return
            except Killed:
                self._forget_the_dead()
            else:
                return
            self._let_time_pass()

    def _judge(self, run: Run) -> None:
        self._judge_removals(run)
        faults = self._ask("GET", "stats")["by_fault"]
        if run.outcome is Outcome.SUCCEEDED:
            lied = any(faults.get(lie) for lie in LIES)
            if not lied and (differing := self._differing(has_removed=False)):
                raise Broken(f"a run succeeded although {', '.join(differing)} differ")
        elif not faults and not self.fate.share and not _is_held(run):
            raise Broken(f"a run is {run.outcome} although nothing went wrong: {run.message}")

    def _judge_removals(self, run: Run) -> None:
        removed = {
            change.record_id
            for change in self.stores.changes.applied_of_run(run.id)
            if change.action is Action.REMOVED
        }
        published = {game["id"] for game in self._truth()["games"]}
        if false := removed & published:
            raise Broken(f"{len(false)} games were removed that are published")

    def _differing(self, *, has_removed: bool = True) -> Sequence[str]:
        """The lists that are not as published; a game that is gone waits some days to be removed."""
        stored = self.stores.exports.read(OrganisationKind.ASSOCIATION, self.organisation_id)
        wanted = dict(self._truth())
        # A name that the provider has told once stays known.
        wanted["teams"] = [
            {name: value for name, value in team.items() if name != "name" or value is not None}
            for team in wanted["teams"]
        ]
        del wanted["seasons"]
        shown = {grade["id"] for grade in wanted["grades"]}
        # What is hidden today stays stored; only its absence says nothing.
        kept = {
            **stored,
            "grades": [grade for grade in stored["grades"] if grade["id"] in shown],
            "games": [game for game in stored["games"] if game["grade_id"] in shown],
            "ladders": [ladder for ladder in stored["ladders"] if ladder["grade_id"] in shown],
        }
        if not has_removed:
            published = {game["id"] for game in wanted["games"]}
            kept["games"] = [game for game in kept["games"] if game["id"] in published]
        return differing_lists(kept, wanted)

    def _truth(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._ask("GET", f"truth/association/{self.organisation_id}")
        return told

    def _let_time_pass(self) -> None:
        """Pauses end and claims lapse, which in earnest takes seconds to minutes."""
        for pattern in ("quota:*", "breaker:*", "gather:*"):
            for key in self.client.scan_iter(f"{{{self.namespace}}}:{pattern}"):
                self.client.delete(key)

    def _forget_the_dead(self) -> None:
        """What a killed process held ends by itself."""
        for pattern in ("lease:*", "answers:*:turn"):
            for key in self.client.scan_iter(f"{{{self.namespace}}}:{pattern}"):
                self.client.delete(key)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.http.request(method, f"/_simulator/{path}", json=body)
        answer.raise_for_status()
        return answer.json()


def _is_held(run: Run) -> bool:
    return bool(run.holds)


@contextmanager
def _drill(seed: int, client: redis.Redis, folder: Path) -> Iterator[Drill]:
    random = Random(seed)
    namespace = f"faults-{seed}-{uuid.uuid4().hex[:6]}"
    simulator = Simulator(World([PLAN], seed=seed, today=TODAY))
    with running(simulator) as address, httpx.Client(base_url=address, timeout=30) as http:
        database = shutil.copy(_migrated(folder), folder / f"{namespace}.sqlite3")
        engine = open_engine(f"sqlite:///{database}", busy_timeout_s=10)
        clock, fate = _Clock(), _Fate(random)
        stores = open_stores(engine, clock)
        outbound = Outbound(
            ledgers=RedisLedgers(client, namespace),
            answers=RedisAnswers(client, namespace),
            breakers=RedisBreakers(client, namespace, open_for_s=0.05),
        )
        drill: Drill
        drill = Drill(
            random=random,
            seed=seed,
            http=http,
            client=client,
            namespace=namespace,
            stores=stores,
            clock=clock,
            fate=fate,
            organisation_id=http.get("/_simulator/accounts").json()[0]["organisation"],
            sync_run=SyncRun(
                sources=InstalledSources(load_plugins(), outbound, _settings(address)),
                cms=open_cms(CmsContext(settings=CmsSettings(), stores=stores, clock=clock)),
                leases=RedisLeases(client, namespace, lease_s=30),
                runs=stores.runs,
                checkpoints=Checkpoints(client, namespace),
                sizes=stores.sizes,
                clock=clock,
                stop=fate,
                progress=Progress(client, namespace),
                map_concurrently=InThreads(3),
                asked_ahead=3,
                announce=lambda _run: None,
                let_next=lambda _run: None,
                rules=Rules(removal_confirmations=CONFIRMATIONS, code="this code"),
                seals=RedisSeals(client, namespace),
                fan_out=FanOut(
                    gathers=RedisGathers(client, namespace, claim_s=30),
                    share_out=lambda shared: drill.share_out(shared),  # noqa: PLW0108 - it comes later
                    min_grades=2,
                    poll_s=0.05,
                ),
            ),
        )
        try:
            yield drill
        finally:
            outbound.close()
            engine.dispose()
            for key in client.scan_iter(f"{{{namespace}}}:*"):
                client.unlink(key)


def _migrated(folder: Path) -> Path:
    """An empty database to copy: to migrate one costs a tenth of a schedule."""
    path = folder / "migrated.sqlite3"
    if not path.exists():
        engine = open_engine(f"sqlite:///{path}", busy_timeout_s=10)
        migrate.upgrade(engine)
        engine.dispose()
    return path


def _settings(address: str) -> Settings:
    return Settings.model_validate(
        {
            "providers": {
                "playhq": {
                    "base_url": address,
                    "api_key": KEY,
                    "requests_per_s": 2000,
                    "concurrency": 8,
                }
            },
            "http": {"retry_base_s": 0.001, "retry_cap_s": 0.005, "max_throttle_wait_s": 0.01},
        }
    )
