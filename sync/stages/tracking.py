"""Tracking: what the run has cost, for the record that people read."""

from __future__ import annotations

from sync.context import Context
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    requests = context.requests
    work.note(
        f"{requests.sent} requests sent, {requests.cache_hits} answered from the cache, "
        f"{requests.retried} repeated, {requests.throttled} throttled"
    )
