"""`python -m benchmarks sync`: whole syncs beside what quota, latency and memory allow."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.sync import demands, faults, night, report
from benchmarks.sync.report import Row
from benchmarks.sync.sizes import SIZES
from benchmarks.sync.sizes import measure as measure_size

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
ACCOUNTS, QUICK_ACCOUNTS = 500, 50
SEEDS, QUICK_SEEDS = 200, 8
NIGHT_DEADLINE_S = 240.0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sync", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small night and few seeds")
    parser.add_argument("--only", action="append", metavar="NAME", help="one measurement; may be repeated")
    parser.add_argument("--accounts", type=int, help=f"accounts of the night; {ACCOUNTS} by default")
    parser.add_argument("--seeds", type=int, help=f"schedules of faults; {SEEDS} by default")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="keep table and plot here; of --only, just those rows change",
    )
    options = parser.parse_args(arguments)
    accounts = options.accounts or (QUICK_ACCOUNTS if options.quick else ACCOUNTS)
    seeds = options.seeds or (QUICK_SEEDS if options.quick else SEEDS)
    measurements = _measurements(accounts, seeds)
    unknown = set(options.only or ()) - set(measurements)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(measurements)}")
    folder = options.write or (None if options.quick or options.only else DOCS)
    rows: list[Row] = []
    for name in options.only or measurements:
        rows += _run(measurements[name])
        if folder:  # after each, so that an interrupted run is worth something
            report.write(rows, _conditions(), folder)
    return 1 if any(row.share is not None and row.share > 1 for row in rows) else 0


def _measurements(accounts: int, seeds: int) -> dict[str, Callable[[], list[Row]]]:
    demanded: dict[str, Callable[[], list[Row]]] = {
        "quota": demands.measure_quota,
        "large": demands.measure_large,
        "killed": demands.measure_killed,
        "faults": lambda: faults.measure(seeds),
        "night": lambda: night.measure(accounts, deadline_s=NIGHT_DEADLINE_S),
    }
    return demanded | {f"size-{size.name}": lambda size=size: measure_size(size) for size in SIZES}


def _run(measure: Callable[[], list[Row]]) -> list[Row]:
    rows = measure()
    for row in rows:
        must = f"  (must be at most {row.limit:g}: {row.verdict})" if row.limit is not None else ""
        print(f"{row.what}: {row.value:.2f} {row.unit}{must}  {row.note}", flush=True)
    return rows


def _conditions() -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    machine = f"{os.cpu_count()} cores under a load of {os.getloadavg()[0]:.0f}"
    return f"{day}, {machine}, Python {platform.python_version()}, 100 ms of latency"
