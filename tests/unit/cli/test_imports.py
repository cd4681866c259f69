"""Help for the commands that work with nearly everything costs no more than click."""

from __future__ import annotations

import subprocess
import sys

COMMANDS = (
    "alerts", "config", "dead", "demo", "doctor", "notices", "plugins", "queues", "schedule", "status",
    "tokens", "top", "up", "workers",
)  # fmt: skip
HEAVY = ("dynaconf", "pydantic", "redis", "sqlalchemy", "dramatiq", "rich", "httpx")
LOOK = f"""
import importlib, sys
for command in {COMMANDS!r}:
    importlib.import_module(f"cli.{{command}}")
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, (command, heavy)
"""


def test_what_a_command_works_with_is_imported_when_it_works() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
