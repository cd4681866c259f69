"""Which code is at work: what one release concluded, the next one concludes for itself."""

from __future__ import annotations

import functools
import hashlib
from importlib.util import find_spec
from pathlib import Path


@functools.cache
def digest_of_code(*packages: str) -> str:
    """A digest of every Python file of the packages; some hundred files, read once a process."""
    digest = hashlib.blake2b(digest_size=16)
    for package in packages:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(f"{path.relative_to(folder)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
