"""How long until everything is done after `kill -9` of a worker with work in hand."""

from __future__ import annotations

from benchmarks.broker.arena import BOOT_DEADLINE_S, Arena, TooSlow, wait_until
from benchmarks.broker.contestants import OURS, STOCK, Contestant, message
from benchmarks.broker.report import Figure, Row

THREADS = 8
JOB_MS = 20.0


def measure(url: str, count: int, deadline_s: float) -> Row:
    figures = tuple(_kill_halfway(contestant, url, count, deadline_s) for contestant in (STOCK, OURS))
    return Row(
        f"kill -9 within {count:,} jobs of 20 ms: all done after",
        "s",
        figures,
        must="0 lost, 15, aim 10",
        is_rate=False,
    )


def _kill_halfway(contestant: Contestant, url: str, count: int, deadline_s: float) -> Figure:
    arena = Arena(contestant, url)
    done = arena.key("done")
    for number in range(count):
        arena.sender.enqueue(message("note_done", key="done", number=number, ms=JOB_MS))
    victim = arena.start_worker(threads=THREADS)
    wait_until(lambda: int(arena.client.scard(done)) >= count // 2, BOOT_DEADLINE_S + count * JOB_MS / 1000)
    with arena.worker(threads=THREADS):
        wait_until(lambda: int(arena.client.scard(done)) >= count * 6 // 10, BOOT_DEADLINE_S)
        victim.kill()
        try:
            took_s = wait_until(lambda: int(arena.client.scard(done)) == count, deadline_s)
            figure = Figure(contestant.label, took_s)
        except TooSlow:
            left = count - int(arena.client.scard(done))
            figure = Figure(contestant.label, None, f"{left} left after {deadline_s:g} s")
    arena.close()
    return figure
