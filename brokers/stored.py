"""What Redis answers about a message, whatever its client decodes and however the message is damaged."""

from __future__ import annotations

from typing import Any

from dramatiq import Message
from dramatiq.errors import DecodeError

from brokers import codec, envelope
from brokers.envelope import Header


def open_stored(value: Any) -> tuple[Header | None, Message[Any] | None, bytes]:
    """The header, the message and the body of a stored value; None for what cannot be read of it."""
    if value is None:
        return None, None, b""
    if isinstance(value, str):
        value = value.encode()
    try:
        header, body = envelope.unpack(value)
    except ValueError:
        return None, None, value
    try:
        return header, codec.decode(body), body
    except DecodeError:
        return header, None, body


def text_of(value: bytes | str) -> str:
    """Text, also where the client was opened without `decode_responses`."""
    return value.decode() if isinstance(value, bytes) else value
