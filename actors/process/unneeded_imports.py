"""Keeps a library's own command line out of a worker; imported before that library.

httpx loads one wherever rich and click happen to be installed: 86 modules, and 6 MB of every process.
"""

from __future__ import annotations

import sys

# None makes the import fail, which httpx is prepared for.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
