"""What a worker never uses takes none of its memory."""

from __future__ import annotations

import subprocess
import sys

IMPORTS = """
import sys
from actors import worker
worker.tell_broken(worker.KINDS_USED)
print(*sys.modules)
"""


def test_a_worker_loads_no_web_framework_no_command_line_and_no_other_database() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert {"httpx", "dramatiq", "sqlalchemy.dialects.sqlite"} <= loaded
    assert not loaded & {
        "fastapi",
        "starlette",
        "rich",
        "typer",
        "web",
        "cli",
        "sqlalchemy.dialects.postgresql",
    }
