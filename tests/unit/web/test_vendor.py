from __future__ import annotations

import hashlib

from web.app import STATIC

VENDOR = STATIC / "vendor"


def read_sums() -> dict[str, str]:
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def test_vendored_files_are_exactly_the_published_ones() -> None:
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.glob("*/*")
    }
    assert found == read_sums()


def test_every_vendored_package_brings_its_licence() -> None:
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        assert (folder / "LICENSE").read_text().strip()
        assert f"`{folder.name}/`" in (VENDOR / "README.md").read_text()
