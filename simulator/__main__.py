"""`python -m simulator`: a provider, a CMS and a chat that run here, on invented data."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from datetime import UTC, date, datetime

import click

from simulator.app import Simulator
from simulator.faults import Faults
from simulator.server import Listener
from simulator.world.sizes import SIZES, plan_world
from simulator.world.world import World


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="0 takes a free one."
)
@click.option("--size", type=click.Choice(sorted(SIZES)), default="demo", show_default=True)
@click.option("--associations", type=click.IntRange(1, 5000), help="How many; the size says by default.")
@click.option("--clubs-per-association", type=click.IntRange(1, 400), help="The size says by default.")
@click.option("--seed", default=7, show_default=True, help="The same seed and day give the same bytes.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="The world's day; the real one by default.")
@click.option("--api-key", "api_keys", multiple=True, help="A key to accept; any but 'expired' by default.")
@click.option("--etag/--no-etag", default=True, show_default=True)
@click.option(
    "--latency-ms",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="What every answer takes at least.",
)
@click.option(
    "--jitter-ms",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="A random part on top of it.",
)
@click.option("--keep-alive-s", type=float, help="Close connections that idle so long; Strapi takes 5.")
def main(  # noqa: PLR0913  (one parameter an option)
    *,
    host: str,
    port: int,
    size: str,
    associations: int | None,
    clubs_per_association: int | None,
    seed: int,
    today: datetime | None,
    api_keys: tuple[str, ...],
    etag: bool,
    latency_ms: float,
    jitter_ms: float,
    keep_alive_s: float | None,
) -> None:
    """Serve invented data in the providers' own wire formats until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    day: date = (today or datetime.now(UTC)).date()
    world = World(plan_world(size, associations, clubs_per_association), seed=seed, today=day)
    faults = Faults(latency_s=latency_ms / 1000, jitter_s=jitter_ms / 1000)
    simulator = Simulator(world, api_keys=api_keys, sends_etags=etag, faults=faults)
    try:
        asyncio.run(_serve(Listener(simulator.handle, simulator.done, keep_alive_s=keep_alive_s), host, port))
    except OSError as error:
        sys.exit(f"simulator: can't listen on {host}:{port}: {error.strerror}; choose another --port, or 0")


async def _serve(listener: Listener, host: str, port: int) -> None:
    bound_host, bound_port = await listener.listen(host, port)
    click.echo(f"simulator listens on http://{bound_host}:{bound_port}")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await listener.close()


if __name__ == "__main__":
    main()
