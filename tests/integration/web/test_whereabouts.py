"""Where a message is, by the unique key of its account."""

from __future__ import annotations

import httpx

from brokers.queues import Priority
from brokers.whereabouts import Place, find_message
from tests.integration.web.conftest import ASSOCIATION_ID, CLUB_ID, Site


def order(client: httpx.Client, **body: object) -> str:
    return str(client.post("/api/v1/syncs", json=body).json()["message_id"])


def test_a_waiting_message_knows_how_many_start_before_it(client: httpx.Client, site: Site) -> None:
    order(client, mode="club", direct=True, id=CLUB_ID)
    order(client, mode="association", direct=True, id=ASSOCIATION_ID, priority="urgent")
    message_id = order(client, mode="club", direct=True, id="1234", priority="low")
    found = find_message(site.broker, "organisation:default:1234")
    assert found is not None
    assert (found.message_id, found.queue, found.place) == (message_id, "direct", Place.WAITING)
    assert (found.priority, found.ahead) == (Priority.LOW, 2)


def test_a_running_message_names_its_worker(client: httpx.Client, site: Site) -> None:
    order(client, mode="club", id=1)
    consumer = site.broker.consume("syncs", timeout=5000)
    message = next(consumer)
    assert message is not None
    found = find_message(site.broker, "account:1")
    assert found is not None
    assert found.place is Place.LEASED
    assert found.process == site.operations.workers()[0].process
    consumer.ack(message)
    assert find_message(site.broker, "account:1") is None
    consumer.close()


def test_an_account_without_a_message_has_no_place(site: Site) -> None:
    assert find_message(site.broker, "account:1") is None
