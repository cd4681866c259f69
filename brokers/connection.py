"""A dedicated Redis connection: no pool check-out on the hot path, one call in flight at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import redis
from hiredis import PushNotification, Reader, pack_command
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, DefaultParser
from redis.retry import Retry

from brokers.scripts import LIBRARY, Script

# A stalled server answers late or never. Longer than any healthy answer.
CALL_TIMEOUT_S = 5.0
RECEIVED_BYTES = 65536
NO_ANSWER_YET = object()
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
_pack: Callable[[tuple[Argument, ...]], bytes] = pack_command  # type: ignore[assignment] # typed as one


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

    redis-py dials: address, TLS, password, Sentinel, cluster. From then on calls are written to
    its socket and answers read by hiredis, without the upkeep that redis-py does around each one,
    which cost half as much as the call.

    Raises one of CONNECTION_ERRORS when the answer did not come: the call may or may not have
    been carried out. Nothing is repeated here, because only the caller knows what to repeat.
    """

    def __init__(self, dial: Dial, namespace: str, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._dial = dial
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._socket: Any = None
        self._reader: Any = None

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
        self._write(_pack(("FCALL", script.name, 1, self._namespace, *arguments)))

    def receive(self) -> Any:
        """The answer to the oldest `send` that has none yet. Raises LibraryMissing."""
        try:
            answer = self._read()
        except TimeoutError as error:
            self.close()
            raise redis.TimeoutError(f"Redis did not answer within {self._timeout_s:g} s.") from error
        except BaseException:  # an interrupted thread's answer would be taken for the next one's
            self.close()
            raise
        if isinstance(answer, redis.RedisError):
            self._refuse(answer)
        return answer

    def command(self, *arguments: Argument) -> Any:
        self._write(_pack(arguments))
        return self.receive()

    def close(self) -> None:
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            connection.disconnect()

    def _write(self, packed: bytes) -> None:
        socket = self._socket or self._open()
        try:
            socket.sendall(packed)
        except BaseException:  # half a call may have been sent
            self.close()
            raise

    def _read(self) -> Any:
        reader, socket = self._reader, self._socket
        answer = reader.gets(False)
        while answer is NO_ANSWER_YET or type(answer) is PushNotification:
            if answer is NO_ANSWER_YET:
                received = socket.recv(RECEIVED_BYTES) if socket else b""
                if not received:
                    raise redis.ConnectionError("The connection to Redis was closed.")
                reader.feed(received)
            answer = reader.gets(False)
        return answer

    def _refuse(self, answer: redis.RedisError) -> NoReturn:
        if isinstance(answer, CONNECTION_ERRORS):
            self.close()  # the next call dials again: after a failover, another server
        elif str(answer) == "Function not found":
            raise LibraryMissing from answer
        raise answer

    def _open(self) -> Any:
        connection = self._dial()
        connection.retry = Retry(NoBackoff(), 0)
        connection.socket_timeout = self._timeout_s
        connection.connect()
        self._connection = connection
        self._socket = connection._sock  # noqa: SLF001 -- redis-py has no other name for it
        self._reader = Reader(
            protocolError=redis.InvalidResponse,
            replyError=DefaultParser.parse_error,
            notEnoughData=NO_ANSWER_YET,
        )
        return self._socket
