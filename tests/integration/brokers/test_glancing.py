"""Connections that were closed while they were idle are noticed before they are used."""

from __future__ import annotations

import redis

from brokers.clients import GlancingConnection, open_client


def test_a_connection_closed_by_the_server_is_opened_anew(redis_url: str, redis_client: redis.Redis) -> None:
    client = open_client(redis_url, max_connections=1)
    own_id = client.client_id()
    assert client.client_id() == own_id
    redis_client.client_kill_filter(_id=str(own_id))
    assert client.client_id() != own_id
    client.close()


def test_every_kind_of_connection_glances(redis_url: str) -> None:
    for url in (redis_url, "rediss://127.0.0.1:7000", "unix:///tmp/redis.sock"):
        pool = open_client(url, max_connections=1).connection_pool
        assert issubclass(pool.connection_class, GlancingConnection)
