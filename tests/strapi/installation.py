"""Real Strapis from npm, installed once into a cache folder: `./test --strapi` calls this.

Each version has a folder of its own below `$XDG_CACHE_HOME/clubsync`, else `~/.cache/clubsync`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Built from source: a binary made for another system's C library crashes on the first query.
_SQLITE = "12.4.1"
_LOG = "installation.log"
# Written last, so that a folder without it is an installation that was broken off.
_DONE = "installed.json"


@dataclass(frozen=True, slots=True)
class Release:
    """A version of Strapi, with the node that it runs on.

    `overrides` replaces packages that it would fetch from elsewhere than the registry.
    """

    version: str
    oldest_node: int
    newest_node: int
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def folder(self) -> Path:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "clubsync" / f"strapi-{self.version}"

    @property
    def package(self) -> Mapping[str, object]:
        return {
            "name": "clubsync-strapi",
            "version": "1.0.0",
            "private": True,
            "dependencies": {
                "@strapi/strapi": self.version,
                "@strapi/plugin-users-permissions": self.version,
                "better-sqlite3": _SQLITE,
            },
            "overrides": dict(self.overrides),
            # v4 does not start without it.
            "strapi": {"uuid": "00000000-0000-4000-8000-000000000000"},
        }

    def is_installed(self) -> bool:
        done = self.folder / _DONE
        return done.is_file() and json.loads(done.read_text()) == self.package


RELEASES: Mapping[int, Release] = {
    release.major: release
    for release in (
        Release("4.26.2", oldest_node=18, newest_node=20, overrides={"sharp": "0.33.5"}),
        Release("5.54.0", oldest_node=20, newest_node=26),
    )
}


def missing_tools() -> list[str]:
    """What has to be on this machine and is not, each with how to get it."""
    missing = []
    node = _node_version()
    for release in RELEASES.values():
        if node is None or not release.oldest_node <= node <= release.newest_node:
            found = "there is none" if node is None else f"here is {node}"
            missing.append(
                f"node {release.oldest_node} to {release.newest_node} for Strapi {release.version}; {found}."
                "  Node 20 runs both: https://nodejs.org/en/download, or apt-get install nodejs npm"
            )
    if shutil.which("npm") is None:
        missing.append("npm: apt-get install npm")
    missing += [
        f"{tool}, which builds SQLite for node: apt-get install build-essential python3"
        for tool in ("make", "g++", "python3")
        if shutil.which(tool) is None
    ]
    return missing


def install(release: Release) -> None:
    """Fetch a version and build its SQLite; some minutes. Raises SystemExit with npm's last words."""
    if release.is_installed():
        return
    folder = release.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps(release.package))
    sys.stderr.write(f"clubsync: installing Strapi {release.version} into {folder} …\n")
    # Without scripts: they fetch binaries from elsewhere.
    _npm(folder, "install", "--ignore-scripts", "--no-audit", "--no-fund")
    sys.stderr.write("clubsync: building its SQLite from source …\n")
    _npm(folder, "rebuild", "better-sqlite3")
    (folder / _DONE).write_text(json.dumps(release.package))


def main() -> None:
    if missing := missing_tools():
        lines = "".join(f"  {line}\n" for line in missing)
        sys.exit(f"clubsync: the tests with a real Strapi need, and this machine lacks:\n{lines}".rstrip())
    for release in RELEASES.values():
        install(release)


def _npm(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "npm_config_build_from_source": "true"}
    node = shutil.which("node")
    headers = Path(node or "").resolve().parent.parent
    if (headers / "include" / "node" / "node.h").is_file():
        # Else they are fetched from nodejs.org.
        environment["npm_config_nodedir"] = str(headers)
    with (folder / _LOG).open("ab") as log:
        ended = subprocess.run(
            ["npm", *arguments], cwd=folder, env=environment, stdout=log, stderr=log, check=False
        )
    if ended.returncode != 0:
        tail = (folder / _LOG).read_text(errors="replace").splitlines()[-15:]
        sys.exit(
            f"clubsync: npm {' '.join(arguments)} failed in {folder} (all of it: {_LOG}):\n  "
            + "\n  ".join(tail)
        )


def _node_version() -> int | None:
    if shutil.which("node") is None:
        return None
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else None


if __name__ == "__main__":
    main()
