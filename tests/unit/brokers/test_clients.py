from __future__ import annotations

import pytest
import redis
from redis.sentinel import SentinelConnectionPool

from brokers.clients import open_client
from sync.errors import ConfigurationError


def test_single_server_has_a_bounded_pool_that_waits_and_repeats_nothing() -> None:
    client = open_client("rediss://:secret@127.0.0.1:7000/2?ssl_cert_reqs=none", max_connections=7)
    pool = client.connection_pool
    assert isinstance(pool, redis.BlockingConnectionPool)
    assert pool.max_connections == 7
    options = pool.connection_kwargs
    assert (options["host"], options["port"], options["db"]) == ("127.0.0.1", 7000, 2)
    assert (options["password"], options["ssl_cert_reqs"]) == ("secret", "none")
    assert options["retry"].get_retries() == 0


def test_sentinel_names_its_hosts_service_database_and_credentials() -> None:
    client = open_client("redis+sentinel://me:secret@127.0.0.1,127.0.0.2:7000/main/3", max_connections=5)
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "main"
    addresses = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in addresses] == [("127.0.0.1", 26379), ("127.0.0.2", 7000)]
    options = pool.connection_kwargs
    assert (options["username"], options["password"], options["db"]) == ("me", "secret", 3)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1", "scheme"),
        ("redis://127.0.0.1:port", "[Pp]ort"),
        ("redis+sentinel://127.0.0.1:26379", "service"),
        ("redis+cluster:///0", "no host"),
    ],
)
def test_bad_url_is_a_clear_error(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"REDIS_URL: .*{reason}"):
        open_client(url, max_connections=5)
