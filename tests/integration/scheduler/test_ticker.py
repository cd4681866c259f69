from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis

from scheduler.leader import Leader, NotLeading
from scheduler.schedule import Entry, Tick
from scheduler.ticker import MAX_FAILURES, NotYet, Sent, Ticker, TooLate
from settings.scheduling import ScheduleEntry
from stores.redis.leadership import Leadership
from stores.redis.schedule import Claim, Pause, RunNow, Schedule, TickOutcome, TickResult
from sync.errors import InvalidRequest, StoreUnavailable
from tests.unit.scheduler.fakes import FakeClock

EVERY_S = 60.0


class Recorder:
    """Keeps the ticks it was asked to send; fails once for each error it was given."""

    def __init__(self) -> None:
        self.sent: list[datetime] = []
        self.pauses: list[str] = []
        self.errors: list[Exception] = []
        self.taken_back: list[tuple[str, str]] = []
        self.is_sending = False

    def __call__(self, entry: Entry, tick: Tick, *, raise_if_not_leading: Callable[[], None]) -> Sent:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(tick.at)
        return Sent(batch_id=f"b{len(self.sent)}")

    def take_back(self, batch_id: str, reason: str) -> bool:
        self.taken_back.append((batch_id, reason))
        return not self.is_sending

    def hear_of_pause(self, entry_id: str, reason: str) -> None:
        self.pauses.append(reason)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC))


@pytest.fixture
def schedule(redis_client: redis.Redis, namespace: str) -> Schedule:
    return Schedule(redis_client, namespace)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def start(
    redis_client: redis.Redis, namespace: str, schedule: Schedule, clock: FakeClock
) -> Callable[[str, Recorder], tuple[Leader, Ticker]]:
    """A scheduler of its own name that tries to lead once; real leases outlast the test."""

    def begin(owner: str, recorder: Recorder) -> tuple[Leader, Ticker]:
        leadership = Leadership(redis_client, namespace)
        leader = Leader(leadership, owner, lease_s=30.0, monotonic=lambda: 0.0)
        leader.step()
        return leader, Ticker(schedule, leader, recorder, clock, recorder.hear_of_pause)

    return begin


Start = Callable[[str, Recorder], tuple[Leader, Ticker]]


def entry(**settings: object) -> Entry:
    return Entry("checks", ScheduleEntry.model_validate({"every_s": EVERY_S, **settings}))


def minutes(recorder: Recorder) -> list[int]:
    return [at.minute for at in recorder.sent]


def test_a_new_entry_begins_with_its_next_tick(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    ticker.sweep(entry())
    assert minutes(recorder) == [1]  # sent ahead, as it is due within two leases
    for _ in range(3):
        clock.advance(EVERY_S)
        ticker.sweep(entry())
        ticker.sweep(entry())
    assert minutes(recorder) == [1, 2, 3, 4]
    assert schedule.states()["checks"].next_at == datetime(2026, 11, 23, 12, 5, tzinfo=UTC)


def test_only_the_leader_sends(start: Start, recorder: Recorder) -> None:
    start("a", recorder)
    _, other = start("b", recorder)
    other.sweep(entry())
    assert recorder.sent == []


def test_the_next_leader_goes_on_after_the_last_claimed_tick(
    start: Start, recorder: Recorder, clock: FakeClock
) -> None:
    first, ticker = start("a", recorder)
    ticker.sweep(entry())
    first.give_up()
    _, ticker = start("b", recorder)
    ticker.sweep(entry())
    clock.advance(EVERY_S)
    ticker.sweep(entry())
    assert minutes(recorder) == [1, 2]


def test_a_tick_that_was_claimed_and_not_sent_is_sent_by_the_next_leader(
    start: Start, recorder: Recorder
) -> None:
    first, ticker = start("a", recorder)
    recorder.errors = [NotLeading("lost it in the middle")]
    ticker.sweep(entry())
    assert recorder.sent == []
    first.give_up()
    _, ticker = start("b", recorder)
    ticker.sweep(entry())
    assert minutes(recorder) == [1]


def test_a_deposed_leader_cannot_claim_even_if_it_still_trusts_itself(
    start: Start, recorder: Recorder, redis_client: redis.Redis, namespace: str, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    redis_client.delete(f"{{{namespace}}}:schedule:leader")
    start("b", recorder)
    schedule.begin("checks", entry().definition, datetime(2026, 11, 23, 12, tzinfo=UTC), owner="b")
    ticker.sweep(entry())
    assert recorder.sent == []
    late = TickResult(tick_at=datetime(2026, 11, 23, 12, 1, tzinfo=UTC), settled_at=datetime.now(UTC))
    assert schedule.settle("checks", late, owner="a") == -1


class StandsStill(Schedule):
    """The process stops once a tick is claimed, and wakes up long after its lease."""

    def __init__(self, client: redis.Redis, namespace: str, wall: FakeClock) -> None:
        super().__init__(client, namespace)
        self._wall = wall

    def claim(self, entry_id: str, definition: str, at: datetime, *, owner: str) -> Claim:
        claim = super().claim(entry_id, definition, at, owner=owner)
        self._wall.advance(600)
        return claim


def test_a_leader_that_stood_still_after_a_claim_sends_nothing_when_it_wakes(
    redis_client: redis.Redis, namespace: str, recorder: Recorder, clock: FakeClock
) -> None:
    leadership = Leadership(redis_client, namespace)
    leader = Leader(leadership, "a", lease_s=30.0, monotonic=clock.monotonic)
    leader.step()
    schedule = StandsStill(redis_client, namespace, clock)
    Ticker(schedule, leader, recorder, clock, recorder.hear_of_pause).sweep(entry())
    assert recorder.sent == []
    assert schedule.states()["checks"].pending_at is not None


def test_an_outage_is_waited_out(start: Start, recorder: Recorder) -> None:
    _, ticker = start("a", recorder)
    recorder.errors = [StoreUnavailable("SQL did not answer")] * 5
    for _ in range(6):
        ticker.sweep(entry())
    assert minutes(recorder) == [1]


def test_an_entry_that_fails_again_and_again_pauses_itself_and_says_why(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    recorder.errors = [InvalidRequest("preset: 'fast' is not known")] * MAX_FAILURES
    for _ in range(MAX_FAILURES + 3):
        ticker.sweep(entry())
        clock.advance(EVERY_S)
    assert recorder.sent == []
    state = schedule.states()["checks"]
    assert state.pause is not None
    assert state.pause.by == "scheduler"
    assert "preset: 'fast' is not known" in state.pause.reason
    assert recorder.pauses == [state.pause.reason]
    assert schedule.troubled() == {"checks": f"paused itself: {state.pause.reason}"}
    assert schedule.resume("checks")
    clock.advance(EVERY_S)
    ticker.sweep(entry())
    assert minutes(recorder) == [7, 8]
    assert schedule.states()["checks"].failures == 0


def test_ticks_of_a_pause_are_passed_over_for_good(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    ticker.sweep(entry())
    schedule.pause("checks", Pause(by="ann", at=clock.now(), reason="repairs"))
    for _ in range(3):
        clock.advance(EVERY_S)
        ticker.sweep(entry())
    assert schedule.resume("checks")
    assert not schedule.resume("checks")
    clock.advance(EVERY_S)
    ticker.sweep(entry())
    assert minutes(recorder) == [1, 5]


def test_after_a_long_sleep_a_late_tick_is_missed_and_recorded(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    nightly = entry(every_s=None, cron="0 1 * * *", catch_up_s=600)
    _, ticker = start("a", recorder)
    ticker.sweep(nightly)
    clock.at = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # 02:00 in Sydney
    ticker.sweep(nightly)
    assert recorder.sent == []
    last = schedule.states()["checks"].last
    assert last is not None
    assert last.message == "missed: later than 600 s"
    clock.advance(23 * 3600)
    ticker.sweep(nightly)
    assert [at.hour for at in recorder.sent] == [14]


def test_a_changed_trigger_begins_anew(start: Start, recorder: Recorder, clock: FakeClock) -> None:
    _, ticker = start("a", recorder)
    ticker.sweep(entry(every_s=3600.0))
    clock.advance(1800)
    ticker.sweep(entry(every_s=EVERY_S))
    clock.advance(EVERY_S)
    ticker.sweep(entry(every_s=EVERY_S))
    assert minutes(recorder) == [31, 32]


def test_what_was_left_half_done_before_the_trigger_changed_is_done_under_its_name(
    start: Start, recorder: Recorder, clock: FakeClock
) -> None:
    first, ticker = start("a", recorder)
    recorder.errors = [NotLeading("lost it in the middle")]
    ticker.sweep(entry())
    first.give_up()
    _, ticker = start("b", recorder)
    retimed = entry(every_s=45.0)
    for _ in range(2):
        ticker.sweep(retimed)
        clock.advance(45)
    assert [at.strftime("%M:%S") for at in recorder.sent] == ["01:00", "00:45", "01:30", "02:15"]


def test_an_entry_that_was_removed_and_comes_back_makes_up_for_nothing(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    ticker.sweep(entry())
    ticker.forget_removed({"another"})
    clock.advance(10 * EVERY_S)
    ticker.sweep(entry())
    clock.advance(EVERY_S)
    ticker.sweep(entry())
    assert minutes(recorder) == [1, 11, 12]
    ticker.forget_removed({"checks"})
    assert schedule.states()["checks"].definition == entry().definition


def test_a_tick_of_which_nothing_was_done_in_time_is_missed(
    start: Start, recorder: Recorder, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    recorder.errors = [TooLate("later than 60 s")]
    ticker.sweep(entry())
    last = schedule.states()["checks"].last
    assert last is not None
    assert (last.outcome, last.message) == (TickOutcome.MISSED, "missed: later than 60 s")
    assert schedule.states()["checks"].pending_at is None


def test_a_clock_that_was_a_year_ahead_does_not_silence_the_entry(
    start: Start, recorder: Recorder, clock: FakeClock
) -> None:
    first, ticker = start("a", recorder)
    clock.advance(365 * 86400)
    ticker.sweep(entry())
    clock.advance(-365 * 86400)
    first.give_up()
    _, ticker = start("b", recorder)
    ticker.sweep(entry())
    assert len(recorder.sent) == 2
    assert recorder.sent[1] - clock.now() == timedelta(seconds=30)


def test_a_tick_can_be_claimed_once(start: Start, recorder: Recorder, schedule: Schedule) -> None:
    start("a", recorder)
    at = datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert schedule.claim("x", "d", at, owner="a") is Claim.TAKEN
    schedule.settle("x", TickResult(tick_at=at, settled_at=at), owner="a")
    assert schedule.claim("x", "d", at, owner="a") is Claim.OLD
    assert schedule.claim("x", "d", at - timedelta(seconds=1), owner="a") is Claim.OLD
    assert schedule.claim("x", "d", at + timedelta(seconds=1), owner="b") is Claim.LOST


def test_a_claim_whose_answer_was_lost_is_sent_all_the_same(
    start: Start, recorder: Recorder, schedule: Schedule, clock: FakeClock
) -> None:
    _, ticker = start("a", recorder)
    ticker.sweep(entry(every_s=3600.0))
    lost = datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert schedule.claim("checks", entry(every_s=3600.0).definition, lost, owner="a") is Claim.TAKEN
    clock.at = lost
    ticker.sweep(entry(every_s=3600.0))
    assert recorder.sent == [lost]
    assert schedule.states()["checks"].pending_at is None


def test_a_tick_whose_time_has_not_come_stays_pending_and_loses_none(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    recorder.errors = [NotYet("the last batch still runs")] * 2
    for _ in range(2):
        ticker.sweep(entry())
    assert recorder.sent == []
    assert schedule.states()["checks"].failures == 0
    ticker.sweep(entry())
    assert minutes(recorder) == [1]


def test_a_tick_that_waited_longer_than_the_catch_up_window_is_missed(
    start: Start, recorder: Recorder, clock: FakeClock, schedule: Schedule
) -> None:
    _, ticker = start("a", recorder)
    hourly = entry(every_s=3600.0, catch_up_s=60)
    clock.advance(3600 - 30 - 5)
    recorder.errors = [NotYet("the last batch still runs")] * 2
    ticker.sweep(hourly)
    clock.advance(70)
    ticker.sweep(hourly)
    last = schedule.states()["checks"].last
    assert last is not None
    assert (last.outcome, last.message) == (TickOutcome.MISSED, "missed: the last batch still runs")


def test_a_clock_that_jumps_ahead_and_back_fires_no_tick_twice(
    start: Start, recorder: Recorder, clock: FakeClock
) -> None:
    first, ticker = start("a", recorder)
    every = entry(coalesce=False)
    ticker.sweep(every)
    clock.advance(7200)
    ticker.sweep(every)
    first.give_up()
    clock.advance(-7200)
    _, ticker = start("b", recorder)
    for _ in range(130):
        ticker.sweep(every)
        clock.advance(EVERY_S)
    assert len(recorder.sent) == len(set(recorder.sent))
    gaps = {later - earlier for earlier, later in itertools.pairwise(sorted(recorder.sent))}
    assert gaps == {timedelta(seconds=EVERY_S)}


def test_an_action_that_was_asked_for_runs_beside_the_ticks(
    start: Start, recorder: Recorder, schedule: Schedule, clock: FakeClock
) -> None:
    _, ticker = start("a", recorder)
    schedule.ask(RunNow(id="0" * 32, entry_id="checks", requested_by="ann", requested_at=clock.now()))
    (request,) = schedule.asked()
    ticker.run_now(entry(), request)
    schedule.answer(request.id)
    assert schedule.asked() == []
    assert recorder.sent == [clock.now()]


class TestSentAhead:
    """The tick of 12:01, sent at 12:00:30."""

    @pytest.fixture
    def ticker(self, start: Start, recorder: Recorder) -> Ticker:
        _, ticker = start("a", recorder)
        ticker.sweep(entry())
        assert minutes(recorder) == [1]
        return ticker

    @pytest.mark.parametrize(
        ("table", "reason"),
        [
            ({}, "the settings have no entry checks any more, or pause it"),
            ({"checks": entry(every_s=3600)}, "checks has other times now"),
        ],
    )
    def test_what_is_no_tick_any_more_is_taken_back_just_before_it_is_due(
        self,
        ticker: Ticker,
        recorder: Recorder,
        clock: FakeClock,
        schedule: Schedule,
        *,
        table: dict[str, Entry],
        reason: str,
    ) -> None:
        clock.advance(28.4)
        ticker.take_back(table)
        assert recorder.taken_back == []
        clock.advance(0.2)
        ticker.take_back(table)
        ticker.take_back(table)
        assert recorder.taken_back == [("b1", reason)]
        last = schedule.states()["checks"].last
        assert last is not None
        assert (last.outcome, last.message) == (TickOutcome.SKIPPED, f"taken back: {reason}")

    def test_a_pause_counts_if_it_lasts(
        self, ticker: Ticker, recorder: Recorder, clock: FakeClock, schedule: Schedule
    ) -> None:
        schedule.pause("checks", Pause(by="ann", at=clock.now()))
        clock.advance(28)
        ticker.take_back({"checks": entry()})
        schedule.resume("checks")
        clock.advance(1)
        ticker.take_back({"checks": entry()})
        assert recorder.taken_back == []
        schedule.pause("checks", Pause(by="ann", at=clock.now()))
        ticker.take_back({"checks": entry()})
        assert recorder.taken_back == [("b1", "ann paused checks")]

    def test_what_stays_a_tick_stays_sent(self, ticker: Ticker, recorder: Recorder, clock: FakeClock) -> None:
        clock.advance(29)
        ticker.take_back({"checks": entry(preset="quick", every_s=30)})
        clock.advance(2)
        ticker.take_back({})
        assert recorder.taken_back == []

    def test_what_is_still_being_sent_is_tried_again(
        self, ticker: Ticker, recorder: Recorder, clock: FakeClock
    ) -> None:
        recorder.is_sending = True
        clock.advance(29)
        ticker.take_back({})
        recorder.is_sending = False
        ticker.take_back({})
        ticker.take_back({})
        assert [batch_id for batch_id, _ in recorder.taken_back] == ["b1", "b1"]
