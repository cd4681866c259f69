"""The events that routes can name."""

from __future__ import annotations

# The end of a run by kind and state, the digest of a batch, a problem.
EVENTS = (
    *(
        f"{kind}_{state}"
        for kind in ("sync", "update", "onboarding", "direct", "dry_run")
        for state in ("succeeded", "partial", "failed")
    ),
    "batch_finished",
    "alert",
)
