"""`config check --connect` reaches what the settings name, says what would be right, and tells nobody."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from pytest_httpserver import HTTPServer

from cli.config import config
from cli.connections import Found, connections, reach_all
from settings.loader import load
from tests.proxy_server import ProxyServer

TIMEOUT_S = 10.0
SEASONS = "/v1/organisations/00000000-0000-0000-0000-000000000000/seasons"
TOKEN = "xoxb-secret-token"


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def look(environ: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> dict[str, Found]:
    settings = load(environ).settings
    return {one.name: one for one in reach_all(connections(settings, timeout_s), timeout_s)}


def test_what_answers_is_said_and_nobody_is_told(
    redis_url: str, tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/api/auth.test").respond_with_json({"ok": True, "user": "bot", "team": "T"})
    httpserver.expect_request(SEASONS).respond_with_json({"message": "Not Found"}, status=404)
    found = look(
        {
            "REDIS_URL": redis_url,
            "CLUBSYNC_HOME": str(tmp_path),
            "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": httpserver.url_for(""),
            "CLUBSYNC_NOTIFICATIONS__SLACK__TOKEN": TOKEN,
            "CLUBSYNC_NOTIFICATIONS__SLACK__BASE_URL": httpserver.url_for("/api"),
            "CLUBSYNC_NOTIFICATIONS__WEBHOOK__URL": httpserver.url_for("/hook"),
            "CLUBSYNC_NOTIFICATIONS__WEBHOOK__SECRET": "shared",
        }
    )
    assert all(one.is_good for one in found.values()), found
    assert found["channel slack"].value == "the Slack token is that of bot in T"
    assert "answers" in found["channel webhook"].value
    assert {request.path for request, _ in httpserver.log} == {"/api/auth.test", SEASONS}


@pytest.mark.parametrize(
    ("name", "environ"),
    [
        ("redis", {"REDIS_URL": "redis://:sesame@{nowhere}"}),
        ("sql", {"DATABASE_URL": "postgresql://user:sesame@{nowhere}/db"}),
        (
            "cms",
            {
                "CLUBSYNC_CMS__KIND": "strapi",
                "CLUBSYNC_CMS__STRAPI__TOKEN": "sesame",
                "CLUBSYNC_CMS__STRAPI__BASE_URL": "http://{nowhere}/api/",
            },
        ),
        ("provider playhq", {"CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": "http://{nowhere}"}),
        (
            "proxy 1",
            {
                "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": "http://127.0.0.1:1",
                "CLUBSYNC_HTTP__PROXIES": "http://user:sesame@{nowhere}",
            },
        ),
        (
            "channel slack",
            {
                "CLUBSYNC_NOTIFICATIONS__SLACK__TOKEN": "sesame",
                "CLUBSYNC_NOTIFICATIONS__SLACK__BASE_URL": "http://{nowhere}/api",
            },
        ),
        ("channel slack", {"CLUBSYNC_NOTIFICATIONS__SLACK__WEBHOOK_URL": "http://{nowhere}/sesame"}),
        (
            "channel webhook",
            {
                "CLUBSYNC_NOTIFICATIONS__WEBHOOK__URL": "http://{nowhere}/sesame",
                "CLUBSYNC_NOTIFICATIONS__WEBHOOK__SECRET": "sesame",
            },
        ),
        (
            "channel mail",
            {
                "CLUBSYNC_NOTIFICATIONS__MAIL__HOST": "127.0.0.1",
                "CLUBSYNC_NOTIFICATIONS__MAIL__PORT": "{port}",
                "CLUBSYNC_NOTIFICATIONS__MAIL__RECIPIENTS": "a@example.org",
            },
        ),
    ],
)
def test_what_does_not_answer_is_named_with_what_would_be_right_and_without_secrets(
    name: str, environ: Mapping[str, str], nowhere: str, tmp_path: Path
) -> None:
    port = nowhere.rpartition(":")[2]
    filled = {key: text.format(nowhere=nowhere, port=port) for key, text in environ.items()}
    found = look({**filled, "CLUBSYNC_HOME": str(tmp_path)})
    assert not found[name].is_good
    assert found[name].advice
    assert "sesame" not in repr(found)


def test_credentials_that_are_refused_are_told_from_silence(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/auth.test").respond_with_json({"ok": False, "error": "invalid_auth"})
    httpserver.expect_request(SEASONS).respond_with_json({"message": "Forbidden"}, status=403)
    environ = {
        "CLUBSYNC_HOME": str(tmp_path),
        "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": httpserver.url_for(""),
        "CLUBSYNC_NOTIFICATIONS__SLACK__TOKEN": TOKEN,
        "CLUBSYNC_NOTIFICATIONS__SLACK__BASE_URL": httpserver.url_for("/api"),
    }
    proxy = ProxyServer("user:right")
    with proxy.running():
        found = look({**environ, "CLUBSYNC_HTTP__PROXIES": f"http://user:wrong@{proxy.address}"})
    assert "refused: invalid_auth" in found["channel slack"].value
    assert "403" in found["provider playhq"].value
    assert "its address and key" in found["provider playhq"].advice
    assert "407" in found["proxy 1"].value


def test_a_provider_that_is_down_is_not_blamed_on_its_settings(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    httpserver.expect_request(SEASONS).respond_with_data(status=503)
    base_url = httpserver.url_for("")
    found = look({"CLUBSYNC_HOME": str(tmp_path), "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": base_url})
    assert "503" in found["provider playhq"].value
    assert found["provider playhq"].advice.startswith("see whether it says that it is down")


def test_whatever_hangs_is_given_up_in_time_and_the_others_still_answer(
    silent: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "REDIS_URL": redis_url,
        "CLUBSYNC_HOME": str(tmp_path),
        "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": f"http://{silent}",
    }.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(config, ["check", "--connect", "--timeout", "1", "--json"])
    assert done.exit_code == 1
    found = {one["name"]: one for one in json.loads(done.output)["connections"]}
    assert found["redis"]["is_good"]
    assert not found["provider playhq"]["is_good"]


def test_answer_without_measure_is_not_read_to_its_end(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request(SEASONS).respond_with_data("x" * 1_000_000)
    found = look(
        {
            "CLUBSYNC_HOME": str(tmp_path),
            "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": httpserver.url_for(""),
            "CLUBSYNC_HTTP__MAX_BODY_BYTES": "10000",
        }
    )
    assert "http.max_body_bytes" in found["provider playhq"].value
    assert not found["provider playhq"].is_good
