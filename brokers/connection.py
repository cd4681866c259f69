"""A dedicated Redis connection: no pool check-out on the hot path, one call in flight at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from brokers.scripts import LIBRARY, Script

# A stalled server answers late or never. Longer than any healthy answer, shorter than a lease.
CALL_TIMEOUT_S = 5.0
# Where the failures end up that say nothing about the message: another try may succeed. After a
# failover the old primary is read-only for a moment; a loading or busy server answers later.
CONNECTION_ERRORS: tuple[type[Exception], ...] = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
    redis.exceptions.MasterDownError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MovedError,
    OSError,
)
# Whatever Redis says, a worker goes on: what it asked for may work in a moment. A blocked call, for
# one, is answered by a plain error when the primary becomes a replica.
REDIS_ERRORS: tuple[type[Exception], ...] = (redis.RedisError, OSError)

Dial = Callable[[], AbstractConnection]
Argument = str | bytes | int | float


def dialler(client: Any, namespace: str) -> Dial:
    """How to open another connection like those of a redis-py client.

    A cluster's connections go to the node that holds the namespace, looked up anew each time.
    """
    if isinstance(client, redis.RedisCluster):

        def dial_node() -> AbstractConnection:
            node = client.get_node_from_key(namespace)
            pool: Any = client.get_redis_connection(node).connection_pool
            connection: AbstractConnection = pool.make_connection()
            return connection

        return dial_node
    return client.connection_pool.make_connection  # type: ignore[no-any-return]


class LibraryMissing(Exception):
    """A new or flushed server does not know the functions yet."""


class Link:
    """One connection, opened when first used and again after a failure. Not thread-safe.

    Raises one of CONNECTION_ERRORS when the answer did not come: the call may or may not have
    been carried out. redis-py's own retries are off, because only the caller knows what to repeat.
    """

    def __init__(self, dial: Dial, namespace: str, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._dial = dial
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None

    def run(self, script: Script, arguments: Sequence[Argument]) -> Any:
        """Call a function whose only key is the namespace; texts in the answer are bytes."""
        self.send(script, arguments)
        try:
            return self.receive()
        except LibraryMissing:
            self.command("FUNCTION", "LOAD", "REPLACE", LIBRARY)
            self.send(script, arguments)
            return self.receive()

    def send(self, script: Script, arguments: Sequence[Argument]) -> None:
        connection = self._open()
        packed = connection.pack_command("FCALL", script.name, 1, self._namespace, *arguments)
        connection.send_packed_command(packed, check_health=False)

    def receive(self) -> Any:
        """The answer to the oldest `send` that has none yet. Raises LibraryMissing."""
        try:
            return self._open().read_response(disable_decoding=True)
        except CONNECTION_ERRORS:
            self.close()  # the next call dials again: after a failover, another server
            raise
        except redis.ResponseError as error:
            if str(error) == "Function not found":
                raise LibraryMissing from error
            raise

    def command(self, *arguments: Argument) -> Any:
        connection = self._open()
        connection.send_packed_command(connection.pack_command(*arguments), check_health=False)
        return self.receive()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _open(self) -> AbstractConnection:
        connection = self._connection
        if connection is None:
            connection = self._dial()
            connection.retry = Retry(NoBackoff(), 0)
            connection.socket_timeout = self._timeout_s
            connection.connect()
            self._connection = connection
        return connection
