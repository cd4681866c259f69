"""Every route of the API against a token of every role, and against none."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from stores.sql.tokens import Role
from tests.integration.web.conftest import Site

API = "/api/v1"
# The weakest role that may; the table is the promise, and a new route must be added to it.
WEAKEST: dict[tuple[str, str], Role | None] = {
    ("GET", "/health/live"): None,
    ("GET", "/health/ready"): None,
    ("GET", "/health"): Role.READ,
    ("GET", "/metrics"): Role.READ,
    ("POST", f"{API}/syncs"): Role.SEND,
    ("GET", f"{API}/syncs/{{run_id}}"): Role.READ,
    ("GET", f"{API}/syncs/{{run_id}}/events"): Role.READ,
    ("POST", f"{API}/batches"): Role.SEND,
    ("GET", f"{API}/batches"): Role.READ,
    ("GET", f"{API}/batches/{{batch_id}}"): Role.READ,
    ("POST", f"{API}/batches/{{batch_id}}/cancel"): Role.OPERATE,
    ("GET", f"{API}/accounts"): Role.READ,
    ("POST", f"{API}/accounts"): Role.OPERATE,
    ("POST", f"{API}/accounts/import"): Role.OPERATE,
    ("GET", f"{API}/accounts/{{account_id}}"): Role.READ,
    ("GET", f"{API}/accounts/{{account_id}}/runs"): Role.READ,
    ("GET", f"{API}/accounts/{{account_id}}/changes"): Role.READ,
    ("GET", f"{API}/runs"): Role.READ,
    ("GET", f"{API}/runs/{{run_id}}"): Role.READ,
    ("GET", f"{API}/runs/{{run_id}}/changes"): Role.READ,
    ("GET", f"{API}/accounts/{{account_id}}/why"): Role.READ,
    ("GET", f"{API}/accounts/{{account_id}}/timeline"): Role.READ,
    ("GET", f"{API}/runs/{{run_id}}/timeline"): Role.READ,
    ("GET", f"{API}/runs/{{run_id}}/plan"): Role.READ,
    ("POST", f"{API}/runs/{{run_id}}/approve"): Role.OPERATE,
    ("POST", f"{API}/runs/{{run_id}}/reject"): Role.OPERATE,
    ("POST", f"{API}/runs/{{run_id}}/undo"): Role.OPERATE,
    ("POST", f"{API}/runs/{{run_id}}/retry"): Role.OPERATE,
    ("GET", f"{API}/runs/{{run_id}}/refused"): Role.READ,
    ("POST", f"{API}/runs/{{run_id}}/replay"): Role.OPERATE,
    ("GET", f"{API}/runs/{{run_id}}/recording"): Role.OPERATE,
    ("GET", f"{API}/queues"): Role.READ,
    ("GET", f"{API}/queues/{{name}}"): Role.READ,
    ("POST", f"{API}/queues/{{name}}/pause"): Role.OPERATE,
    ("POST", f"{API}/queues/{{name}}/resume"): Role.OPERATE,
    ("PUT", f"{API}/queues/{{name}}/limit"): Role.OPERATE,
    ("POST", f"{API}/queues/{{name}}/purge"): Role.ADMIN,
    ("GET", f"{API}/dead"): Role.READ,
    ("GET", f"{API}/dead/groups"): Role.READ,
    ("POST", f"{API}/dead/mass-retries"): Role.OPERATE,
    ("GET", f"{API}/dead/mass-retries"): Role.READ,
    ("GET", f"{API}/dead/mass-retries/{{retry_id}}"): Role.READ,
    ("POST", f"{API}/dead/mass-retries/{{retry_id}}/stop"): Role.OPERATE,
    ("POST", f"{API}/dead/retry"): Role.OPERATE,
    ("POST", f"{API}/dead/delete"): Role.OPERATE,
    ("GET", f"{API}/dead/{{message_id}}"): Role.READ,
    ("POST", f"{API}/dead/{{message_id}}/retry"): Role.OPERATE,
    ("DELETE", f"{API}/dead/{{message_id}}"): Role.OPERATE,
    ("GET", f"{API}/workers"): Role.READ,
    ("POST", f"{API}/workers/{{process}}/quiet"): Role.OPERATE,
    ("POST", f"{API}/workers/{{process}}/wake"): Role.OPERATE,
    ("POST", f"{API}/workers/{{process}}/stop"): Role.OPERATE,
    ("GET", f"{API}/schedules"): Role.READ,
    ("POST", f"{API}/schedules/{{entry_id}}/run"): Role.OPERATE,
    ("POST", f"{API}/schedules/{{entry_id}}/pause"): Role.OPERATE,
    ("POST", f"{API}/schedules/{{entry_id}}/resume"): Role.OPERATE,
    ("GET", f"{API}/config"): Role.READ,
    ("PATCH", f"{API}/config"): Role.ADMIN,
    ("GET", f"{API}/config/versions"): Role.READ,
    ("GET", f"{API}/config/versions/{{number}}"): Role.READ,
    ("GET", f"{API}/config/acknowledgements"): Role.READ,
    ("POST", f"{API}/config/rollback"): Role.ADMIN,
    ("GET", f"{API}/config/canary"): Role.READ,
    ("POST", f"{API}/config/canary/promote"): Role.ADMIN,
    ("POST", f"{API}/config/canary/withdraw"): Role.ADMIN,
    ("GET", f"{API}/alerts"): Role.READ,
    ("GET", f"{API}/alerts/{{incident_id}}"): Role.READ,
    ("GET", f"{API}/audit"): Role.OPERATE,
    ("GET", f"{API}/plugins"): Role.READ,
}


def described_routes(app: FastAPI) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}


def test_the_table_names_every_route(site: Site) -> None:
    assert described_routes(site.app) == WEAKEST.keys()


def concrete(path: str) -> str:
    known = {"name": "syncs", "entry_id": "nightly", "account_id": "1", "number": "1"}
    for part in [piece[1:-1] for piece in path.split("/") if piece.startswith("{")]:
        path = path.replace(f"{{{part}}}", known.get(part, "none"))
    return path


def is_admitted(client: httpx.Client, method: str, path: str) -> bool:
    status = client.request(method, concrete(path)).status_code
    assert status < 500
    return status not in (401, 403)


@pytest.mark.parametrize("role", [None, *Role])
def test_a_role_may_do_what_the_table_says_and_nothing_else(site: Site, role: Role | None) -> None:
    site.secret(Role.READ)
    level = -1 if role is None else role.level
    with site.client(role) as client:
        admitted = {route for route in WEAKEST if is_admitted(client, *route)}
    may = {route for route, weakest in WEAKEST.items() if weakest is None or level >= weakest.level}
    assert admitted == may
