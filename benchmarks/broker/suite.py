"""`python -m benchmarks broker`: our broker beside stock dramatiq and the floors, in one run."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.broker import (
    crowding,
    draining,
    fetching,
    holding,
    killing,
    latency,
    report,
    scaling,
    sending,
)
from benchmarks.broker.profiling import PROFILES, profile
from benchmarks.broker.report import Row
from brokers import embedded

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the judged numbers, or enough to see a trend in two minutes."""

    rounds: int
    singles: int
    bulk: int
    drain: int
    idle_samples: int
    backlog: int
    delayed: int
    many_delayed: int
    memory: int
    killed: int
    kill_deadline_s: float
    gets: int


FULL = Size(2, 5000, 50_000, 20_000, 100, 10_000, 100_000, 1_000_000, 200_000, 5000, 90.0, 2000)
QUICK = Size(1, 1000, 10_000, 4000, 20, 2000, 10_000, 50_000, 20_000, 500, 20.0, 600)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks broker", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--only", action="append", metavar="NAME", help="one measurement; may be repeated")
    parser.add_argument("--profile", choices=PROFILES, help="say where the time of one thing goes instead")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="keep table and plot here; of --only, just those rows change",
    )
    options = parser.parse_args(arguments)
    # Told to end, as by `timeout`: leave as after an error, so that no worker outlives the run.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="clubsync-bench-") as home:
        server = embedded.start(Path(home))
        try:
            if options.profile:
                profile(options.profile, server.url)
                return 0
            measurements = _measurements(server.url, QUICK if options.quick else FULL)
            unknown = set(options.only or ()) - set(measurements)
            if unknown:
                parser.error(f"{', '.join(unknown)}: not one of {', '.join(measurements)}")
            folder = options.write or (None if options.quick or options.only else DOCS)
            rows: list[Row] = []
            for name in options.only or measurements:
                rows += _run(measurements[name])
                if folder:  # after each, so that an interrupted run is worth something
                    report.write(rows, _conditions(server.url), folder)
        finally:
            server.stop()
    return 0


def _measurements(url: str, size: Size) -> dict[str, Callable[[], list[Row]]]:
    return {
        "single": lambda: sending.measure_single(url, size.singles, size.rounds),
        "bulk": lambda: sending.measure_bulk(url, size.bulk, size.rounds),
        "drain": lambda: draining.measure(url, size.drain, size.rounds),
        "idle": lambda: latency.measure_idle(url, size.idle_samples),
        "urgent": lambda: latency.measure_urgent(url, size.backlog),
        "delayed": lambda: holding.measure_delayed(url, size.delayed),
        "million": lambda: holding.measure_many_delayed(url, size.many_delayed),
        "kill": lambda: [killing.measure(url, size.killed, size.kill_deadline_s)],
        "http": lambda: [fetching.measure(url, size.gets)],
        "scale": lambda: [scaling.measure(url, size.backlog * 50)],
        "crowd": lambda: crowding.measure(url),
        "memory": lambda: holding.measure_memory(url, size.memory),
    }


def _run(measure: Callable[[], list[Row]]) -> list[Row]:
    rows = measure()
    for row in rows:
        ratio = f"  {row.ratio:.2f} x stock" if row.ratio else ""
        figures = ", ".join(f"{figure.label} {figure}" for figure in row.figures)
        must = f"  (must {row.must})" if row.must else ""
        print(f"{row.what} [{row.unit}]: {figures}{ratio}{must}", flush=True)
    return rows


def _conditions(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        server = client.info("server")
    name = "Valkey" if "valkey_version" in server else "Redis"
    version = server.get("valkey_version", server["redis_version"])
    day = time.strftime("%Y-%m-%d", time.gmtime())
    machine = f"{os.cpu_count()} cores under a load of {os.getloadavg()[0]:.0f}"
    return f"{day}, {machine}, Python {platform.python_version()}, {name} {version}"
