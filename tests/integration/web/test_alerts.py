"""Incidents over HTTP."""

from __future__ import annotations

from stores.sql.tokens import Role
from tests.integration.cli.test_alerts import NOW, incident
from tests.integration.web.conftest import Site


def test_open_incidents_are_listed_and_the_others_on_request(site: Site) -> None:
    site.stores.incidents.save(incident(1))
    site.stores.incidents.save(incident(2, resolved_at=NOW))
    with site.client(Role.READ) as client:
        listed = client.get("/api/v1/alerts").json()["items"]
        assert [(one["subject"], one["state"], one["alerts"][0]["step"]) for one in listed] == [
            ("queue:q1", "open", "Resume it.")
        ]
        every = client.get("/api/v1/alerts", params={"state": "all", "limit": 1}).json()
        assert every["items"][0]["id"] == "i1"
        rest = client.get("/api/v1/alerts", params={"state": "all", "cursor": every["next_cursor"]}).json()
        assert [one["id"] for one in rest["items"]] == ["i2"]
        assert client.get("/api/v1/alerts/i2").json()["state"] == "resolved"
        assert client.get("/api/v1/alerts/nothing").status_code == 404
        assert client.get("/api/v1/alerts", params={"state": "closed"}).status_code == 422
