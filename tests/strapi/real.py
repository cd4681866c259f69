"""A real Strapi as a process: an application of the face's content types, a SQLite file, a free port."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port
from tests.strapi.content_types import write_content_types
from tests.strapi.installation import RELEASES

_APP = Path(__file__).parent / "app"
# A busy machine takes its time over a thousand modules.
_START_DEADLINE_S = 180.0


@dataclass(frozen=True, slots=True)
class RealStrapi:
    """`base_url` is the API's, with a slash; `reading_token` may read and not write."""

    version: int
    has_drafts: bool
    base_url: str
    token: str
    reading_token: str
    client: httpx.Client

    def empty(self) -> None:
        """Delete every row of every collection."""
        self.client.post("bench/empty").raise_for_status()

    def send(self, method: str, target: str, body: Any = None) -> httpx.Response:
        """One request with the full token; `target` is relative to the API."""
        return self.client.request(
            method, target, json=body, headers={"authorization": f"Bearer {self.token}"}
        )


@contextmanager
def running(version: int, *, has_drafts: bool, folder: Path) -> Iterator[RealStrapi]:
    """Start a Strapi in an empty folder; it ends with the context."""
    release = RELEASES[version]
    app = folder / "app"
    shutil.copytree(_APP, app)
    write_content_types(app, has_drafts=has_drafts)
    (app / "package.json").write_text(json.dumps(release.package))
    (app / "node_modules").symlink_to(release.folder / "node_modules")
    (app / "public" / "uploads").mkdir(parents=True)
    tokens_file, log_file = folder / "tokens.json", folder / "log"
    port = free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "NODE_ENV": "production",
        "STRAPI_TELEMETRY_DISABLED": "true",
        "STRAPI_DISABLE_UPDATE_NOTIFICATION": "true",
        "PORT": str(port),
        "DATABASE_FILE": str(folder / "data.db"),
        "TOKENS_FILE": str(tokens_file),
    }
    base_url = f"http://127.0.0.1:{port}/api/"
    with (
        log_file.open("wb") as log,
        httpx.Client(base_url=base_url, timeout=60, trust_env=False) as client,
        subprocess.Popen(["node", "server.js"], cwd=app, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_for(server, client, log_file)
            tokens = json.loads(tokens_file.read_text())
            yield RealStrapi(version, has_drafts, base_url, tokens["full"], tokens["reading"], client)
        finally:
            server.kill()


def _wait_for(server: subprocess.Popen[bytes], client: httpx.Client, log_file: Path) -> None:
    deadline_s = time.monotonic() + _START_DEADLINE_S
    while True:
        try:
            client.get("clubs")
        except httpx.TransportError:
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(f"Strapi did not start:\n{log_file.read_text()[-4000:]}") from None
            time.sleep(0.2)  # a server has no event to wait for
        else:
            return
