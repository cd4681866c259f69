from __future__ import annotations

from dramatiq.cli import make_argument_parser

from cli.processes import worker_argv
from settings.loader import load


def test_a_starting_worker_hears_a_stop_well_within_its_grace_period() -> None:
    """dramatiq's master hears no signal until its workers have started, or for so long."""
    settings = load({}).settings
    arguments = make_argument_parser().parse_args(worker_argv(settings)[1:])
    assert arguments.worker_fork_timeout / 1000 <= settings.worker.grace_s / 2
