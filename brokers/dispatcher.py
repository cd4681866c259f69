"""One fetcher per worker process: the best message over all queues, for each free slot.

dramatiq gives every queue a consumer thread and lets each prefetch by itself, so a priority is
worth something only within what one process holds. Here the Worker's work queue is replaced by
`Slots`: a worker thread that asks for its next message is a free slot, and the dispatcher
fetches exactly as many messages as there are free slots, over all queues in one call, which
also settles what was finished since the last one.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from dramatiq.errors import ActorNotFound, DecodeError
from dramatiq.logging import get_logger

from brokers.connection import REDIS_ERRORS
from brokers.delivery import Delivery, failed, undecodable
from brokers.heartbeat import Heartbeat
from brokers.holdings import NO_ROOM, Capacity, Holdings, Room
from brokers.process import LONGEST_DOZE_S, Lent, Process, Settled
from brokers.slots import CLOSING_PAUSE_S, Slots

if TYPE_CHECKING:
    from dramatiq.worker import Worker

    from brokers.redis import PriorityRedisBroker

# The local wait is ended by a bell; this only bounds how late the watchdog hears of the loop.
LONGEST_REST_S = 1.0
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
# Blocked calls that end with nothing new before the dispatcher looks for itself, in case a wake-up
# was lost; with the heartbeat an idle process costs Redis little more than a command a second.
DOZES_A_FETCH = 3
# More would not fit into one call of Lua's `unpack`.
MOST_SETTLED = 1000
# Jobs shorter than this are over before the next call; see `_room`.
SHORT_JOB_S = 0.003
LARGE_PART = 0.25  # of the slots


class Fetched(NamedTuple):
    """What a call brought of the room there was."""

    room: Room
    lent_count: int
    common_count: int
    due_in_s: float | None

    @property
    def is_common_room_full(self) -> bool:
        return self.common_count == self.room.common < self.room.want


class Dispatcher:
    """Fetches for one Worker, settles for it, and leaves in good order."""

    def __init__(
        self,
        broker: PriorityRedisBroker,
        worker: Worker,
        process: Process,
        *,
        hung_after_s: float,
        capacity: Capacity,
    ) -> None:
        self.logger = get_logger(__name__, type(self))
        self._broker = broker
        self._worker = worker
        self._process = process
        self.heartbeat = Heartbeat(process, hung_after_s=hung_after_s)
        self._queues: dict[str, None] = {}  # an ordered set that several threads may change
        self._holdings = Holdings(capacity)
        self._settled: deque[Settled] = deque()
        # What is on its way to Redis is in neither of them, so calls that look at both wait for it.
        self._talking = Lock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_resting = False
        self._is_dozing = False
        self._dozes_until_pressed = False  # common work waits for a slot of its own
        self._woken_by: bytes | None = None  # the wake key that ended the last doze
        self._is_fetching = True
        self._must_resync = False
        self._losses = 0
        self._told = ""
        self._job_s = 0.0  # what jobs take, the last ones counting most
        self._closed = Event()
        self._closing = Event()
        self.slots = Slots()
        self.slots.on_ask = self._ring
        self._thread = Thread(target=self._run, name="clubsync-dispatcher", daemon=True)

    # -- called by the broker as the Worker boots and stops

    def start(self) -> None:
        self.heartbeat.start()
        self._losses = self.heartbeat.lost_leases
        self._thread.start()

    def stop_fetching(self) -> None:
        """Take nothing new; what runs goes on."""
        self._is_fetching = False
        self._closing.set()
        self.slots.end()

    def close(self) -> None:
        """Settle what was finished, hand back the rest at once, end the leases."""
        self.stop_fetching()
        self._closed.set()
        self._ring()
        self._process.stop_waiting()
        self._thread.join(timeout=LONGEST_REST_S)
        try:
            self._flush()
        except REDIS_ERRORS:
            self.logger.warning("Redis did not take the last acknowledgements; the messages will run again.")
        self.heartbeat.close()
        self._process.leave()

    def resize(self, capacity: Capacity) -> None:
        """Carry out so many messages at once from now on; what runs goes on."""
        if self._closing.is_set():
            return
        for _ in range(capacity.slots - len(self._worker.workers)):
            self._worker._add_worker()  # noqa: SLF001 -- as the Worker itself does when it starts
        self._holdings.capacity = capacity
        self._look_up()

    # -- called by the consumers

    def serve(self, queue_name: str) -> None:
        self._queues[queue_name] = None
        self._look_up()

    def stop_serving(self, queue_name: str) -> None:
        self._queues.pop(queue_name, None)

    def held_count(self, queue_name: str) -> int:
        return sum(delivery.lent.queue == queue_name for delivery in self._holdings)

    def wait_for_close(self, timeout_s: float) -> None:
        if self._closing.is_set():
            time.sleep(CLOSING_PAUSE_S)
        else:
            self._closing.wait(timeout_s)

    def ack(self, delivery: Delivery) -> None:
        self._settle(delivery, delivery.settled("ack"))

    def nack(self, delivery: Delivery) -> None:
        self._settle(delivery, failed(delivery))

    def hand_back(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._settle(delivery, delivery.settled("back"))

    def _settle(self, delivery: Delivery, settled: Settled) -> None:
        if delivery.owed:
            self._broker.pay_owed(delivery)
        self._settled.append(settled)
        self._holdings.drop(delivery)
        self._job_s += (time.monotonic() - delivery.lent_at_s - self._job_s) / 8
        if self._is_dozing:
            # The dispatcher waits for messages on its other connection, so this thread settles.
            self._flush_or_leave_it()
        else:
            self._ring()

    # -- the dispatcher's own thread

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closed.is_set():
            self.heartbeat.loop_is_alive()
            try:
                self._turn()
            except REDIS_ERRORS as error:
                if self._closed.is_set():
                    return
                self.logger.warning("Redis does not answer (%s); next try in %.2f s.", error, pause_s)
            except Exception:  # without this thread the worker would stand still for ever
                self.logger.critical("Unexpected failure; next try in %.2f s.", pause_s, exc_info=True)
            else:
                pause_s = FIRST_PAUSE_S
                continue
            self._must_resync = True
            self._closed.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _turn(self) -> None:
        self._drop_if_lost()
        self._tell_of_trouble()
        if self._must_resync:
            self._resync()
        if not (self._room().want and self._queues) and not self._settled:
            self._rest()
            return
        fetched = self._exchange(self._room)
        want = fetched.room.want
        if want and fetched.lent_count < want and self._queues:
            self._woken_by = None
            if not (fetched.is_common_room_full and self._something_ends_soon()):
                self._doze(fetched.due_in_s, until_pressed=fetched.is_common_room_full)
        elif want and self._woken_by:
            # It was woken for a queue that may wait still: what it took may have come from another.
            self._process.pass_on(self._woken_by)
            self._woken_by = None

    def _room(self) -> Room:
        """How many messages to fetch now: one for each free slot.

        Longer jobs that start together end together, and what is urgent would wait for all of
        them. So of a large part of the slots half are filled now, the others by the next calls;
        soon some slot frees at any moment.
        """
        if not self._may_fetch():
            return NO_ROOM
        free = self.slots.free_count
        is_large = free > 1 and free >= self._holdings.capacity.slots * LARGE_PART
        return self._holdings.room((free + 1) // 2 if is_large and self._job_s > SHORT_JOB_S else free)

    def _resync(self) -> None:
        """After an answer was lost: hand back what may have been lent in it."""
        with self._talking:
            held = [delivery.message_id for delivery in self._holdings]
            self._process.give_back_unknown([*held, *(one.message_id for one in list(self._settled))])
        self._must_resync = False

    def _exchange(self, find_room: Callable[[], Room]) -> Fetched:
        with self._talking:
            room = find_room()
            settled: list[Settled] = []
            while self._settled and len(settled) < MOST_SETTLED:
                settled.append(self._settled.popleft())
            if not (settled or room.want):
                return Fetched(room, 0, 0, None)
            try:
                turn = self._process.turn(room.want, tuple(self._queues), settled, common=room.common)
            except REDIS_ERRORS:
                self._settled.extendleft(reversed(settled))
                raise
            # Before anybody else asks how much room there is.
            deliveries = [opened for lent in turn.lent if (opened := self._open(lent))]
        for delivery in deliveries:
            self._deliver(delivery)
        return Fetched(
            room, len(turn.lent), sum(delivery.lent.is_common for delivery in deliveries), turn.due_in_s
        )

    def _open(self, lent: Lent) -> Delivery | None:
        try:
            delivery = self._broker.open_delivery(lent)
        except DecodeError as error:
            self.logger.error("Message %s of %s cannot be read; it is dead.", lent.message_id, lent.queue)  # noqa: TRY400
            self._settled.append(undecodable(lent, error))
            return None
        self._holdings.add(delivery)
        return delivery

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._broker.get_actor(delivery.actor_name)
        except ActorNotFound as error:
            self.logger.error("No actor %r here; its message is dead.", delivery.actor_name)  # noqa: TRY400
            delivery.fail()
            delivery.stuff_exception(error)
            self._worker.consumers[delivery.lent.queue].post_process_message(delivery)
            return
        self.slots.put(delivery)

    def _something_ends_soon(self) -> bool:
        """Whether common jobs are so short that the next call settles many, and brings what presses too."""
        if self._job_s > SHORT_JOB_S:
            return False
        self._is_resting = True
        if not self._settled:
            with suppress(queue.Empty):
                self._bell.get(timeout=SHORT_JOB_S)
                time.sleep(0)
        self._is_resting = False
        return bool(self._settled)

    def _rest(self) -> None:
        """Nothing to settle and no free slot: wait until a worker thread rings."""
        self._is_resting = True
        if not self._settled and not (self._room().want and self._queues):
            with suppress(queue.Empty):
                self._bell.get(timeout=LONGEST_REST_S)
                time.sleep(0)  # what others are about to finish travels in the same call
        self._is_resting = False

    def _doze(self, due_in_s: float | None, *, until_pressed: bool) -> None:
        """Free slots, but nothing to run: block in Redis until something comes.

        `until_pressed`: the free slots are reserved. Whoever settles a message fetches the next one
        in the same call, so that common work loses no time by the doze.
        """
        self._is_dozing, self._dozes_until_pressed = True, until_pressed
        woken = None
        try:
            for _ in range(DOZES_A_FETCH):
                if self._settled or not self._may_fetch():
                    return
                if until_pressed and self._room_beside_the_doze().common:
                    return  # a message that the last call settled still counted as held
                self.heartbeat.loop_is_alive()
                longest_s = LONGEST_DOZE_S if due_in_s is None else min(due_in_s, LONGEST_DOZE_S)
                woken = self._process.wait_for_work(
                    tuple(self._queues), longest_s, only_pressing=self._dozes_until_pressed
                )
                if woken is not None or longest_s < LONGEST_DOZE_S:
                    break
                due_in_s = None if due_in_s is None else due_in_s - longest_s
        finally:
            self._is_dozing = self._dozes_until_pressed = False
        if woken and not self._room().want:
            self._process.pass_on(woken)
        else:
            self._woken_by = woken

    def _may_fetch(self) -> bool:
        return self._is_fetching and not self.heartbeat.is_quiet

    def _look_up(self) -> None:
        if self._is_dozing:
            with suppress(*REDIS_ERRORS):  # then the doze has ended as well
                self._process.nudge()
        self._ring()

    def _ring(self) -> None:
        if self._is_resting:
            self._is_resting = False
            self._bell.put(None)

    def _flush_or_leave_it(self) -> None:
        try:
            self._flush()
        except REDIS_ERRORS:
            self._must_resync = True
            with suppress(*REDIS_ERRORS):  # if only this connection was cut, the dispatcher dozes on
                self._process.nudge()

    def _flush(self) -> None:
        if not self._dozes_until_pressed:
            self._exchange(lambda: NO_ROOM)
            return
        # Even if another thread's call has settled this one's: it may not have counted its slot.
        fetched = self._exchange(self._room_beside_the_doze)
        if fetched.common_count < fetched.room.common:
            self._dozes_until_pressed = False
            self._process.nudge()  # common work is done, so the next doze waits for more of it

    def _room_beside_the_doze(self) -> Room:
        # Threads that settle count as free: each asks for its next message as soon as this is over.
        room = self._holdings.room(self._holdings.capacity.slots)
        return room if room.common and self._may_fetch() else NO_ROOM

    def _tell_of_trouble(self) -> None:
        if self.heartbeat.trouble != self._told:
            self._told = self.heartbeat.trouble
            if self._told:
                self.logger.warning("The heartbeat does not reach Redis: %s", self._told)

    def _drop_if_lost(self) -> None:
        """After the lease was over for a while, others may run what was held here: start none of it."""
        if self.heartbeat.lost_leases == self._losses:
            return
        self._losses = self.heartbeat.lost_leases
        with suppress(queue.Empty):
            while True:
                delivery = self.slots.get_nowait()
                self._holdings.drop(delivery)
                self.slots.task_done()
        self._must_resync = True  # hands back what nobody took over
