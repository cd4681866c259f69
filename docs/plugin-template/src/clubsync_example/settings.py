"""What this package can be configured with: its own variables, none of them CLUBSYNC_..."""

from __future__ import annotations

import os
from pathlib import Path

LOGBOOK = "EXAMPLE_LOGBOOK"


def logbook() -> Path | None:
    """The file that notices are appended to; None when nobody wants one."""
    path = os.environ.get(LOGBOOK)
    return Path(path) if path else None
