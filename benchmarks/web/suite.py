"""`python -m benchmarks web`: one web process over a busy year's records."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.web import orders, pages, report, volumes, watchers
from benchmarks.web.report import Row
from benchmarks.web.site import Backing, Site, serving
from brokers import embedded

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks" / "web.md"


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is, and how much is asked."""

    accounts: int
    runs: int
    dead: int
    orders: int
    watchers: int


FULL = Size(10_000, 1_000_000, 100_000, 4000, 200)
QUICK = Size(3000, 20_000, 2000, 1000, 50)
MEASUREMENTS: Mapping[str, Callable[[Site, Size], list[Row]]] = {
    "pages": lambda site, _size: pages.measure(site),
    "orders": lambda site, size: orders.measure(site, size.orders),
    "watchers": lambda site, size: watchers.measure(site, size.watchers),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks web", description=__doc__)
    parser.add_argument("--url", help="an empty database; default: a SQLite file that is deleted again")
    parser.add_argument("--quick", action="store_true", help="small volumes")
    parser.add_argument(
        "--only", action="append", choices=MEASUREMENTS, help="one measurement; may be repeated"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", nargs="?", const=DOCS, help="keep the table here"
    )
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else FULL
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="clubsync-bench-") as home:
        server = embedded.start(Path(home))
        try:
            database_url = options.url or f"sqlite:///{home}/volumes.db"
            backing = Backing(database_url, server.url, "bench")
            _fill(backing, size)
            for name in options.only or MEASUREMENTS:
                with serving(backing, Path(home)) as site:
                    rows += _run(MEASUREMENTS[name], site, size)
        finally:
            server.stop()
    if options.write:
        options.write.write_text(report.to_markdown(rows, _conditions(database_url, size)))
    return 0


def _fill(backing: Backing, size: Size) -> None:
    engine = backing.engine
    volumes.fill_sql(engine, size.accounts, size.runs)
    engine.dispose()
    volumes.fill_dead(backing.redis_url, backing.namespace, size.dead, size.accounts)


def _run(measure: Callable[[Site, Size], list[Row]], site: Site, size: Size) -> list[Row]:
    rows = measure(site, size)
    for row in rows:
        print(row, flush=True)
    return rows


def _conditions(database_url: str, size: Size) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    database = database_url.partition(":")[0].partition("+")[0]
    return (
        f"{day}, {os.cpu_count()} cores under a load of {os.getloadavg()[0]:.0f}, "
        f"Python {platform.python_version()}, {database}: {size.accounts:,} accounts, {size.runs:,} runs, "
        f"{size.dead:,} dead letters"
    )
