"""Output that a full disk cannot take is a failure told in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CLUBSYNC = str(Path(sys.executable).with_name("clubsync"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_full_disk_is_told_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [CLUBSYNC, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert done.stderr == "clubsync: the disk has no space left for the output\n"
    assert done.returncode == 1
