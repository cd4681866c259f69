"""The API by its own description: whatever is sent, the answer is one that is documented."""

from __future__ import annotations

from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stores.sql.tokens import Role
from tests.integration.web.conftest import Site

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Streams do not end by themselves; the probes and /metrics have tests of their own.
LEFT_OUT = ("/events", "/health", "/metrics")
EXAMPLES_A_ROUTE = 12


def operations(schema: Any) -> list[Any]:
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if not any(part in operation.path for part in LEFT_OUT)]


@pytest.mark.slow
def test_no_answer_is_undocumented_and_none_a_server_error(site: Site) -> None:
    schema = schemathesis.openapi.from_dict(site.app.openapi())
    tried = operations(schema)
    secret = site.secret(Role.ADMIN)
    assert len(tried) > 30
    for operation in tried:
        _try_out(operation, site.base_url, {"Authorization": f"Bearer {secret}"})


def _try_out(operation: Any, base_url: str, headers: dict[str, str]) -> None:
    @hypothesis.settings(
        max_examples=EXAMPLES_A_ROUTE,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        response = case.call(base_url=base_url, headers=headers)
        case.validate_response(response, checks=CHECKS)

    holds()


def test_every_route_says_what_it_is_and_shows_an_example_of_its_body(client: httpx.Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            body = operation.get("requestBody")
            if body:
                for content in body["content"].values():
                    assert content.get("examples") or content.get("example"), where


def test_health_is_described_in_the_form_that_it_has(client: httpx.Client) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for path in ("/health", "/health/live", "/health/ready"):
        described = paths[path]["get"]["responses"]
        answered = client.get(path)
        assert list(described["200"]["content"]) == [answered.headers["content-type"]]
        assert list(described["503"]["content"]) == ["application/health+json"]
    assert {"401", "403", "429"} <= set(paths["/health"]["get"]["responses"])


def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "http" not in page.replace("http-equiv", "")
    for line in page.splitlines():
        if "/static/" in line:
            address = line.split('"/static/')[1].split('"')[0]
            assert client.get(f"/static/{address}").status_code == 200
