"""Messages to bytes and back: dramatiq's JSON, by msgspec where both agree.

A message whose encoder was changed with `dramatiq.set_encoder` uses that one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from dramatiq import JSONEncoder, Message, get_encoder
from dramatiq.errors import DecodeError

from brokers.envelope import ETA_OPTION, ID_OPTION

COALESCED_OPTION = "coalesced_with"
# True for the moment only: the place says when a message is due, and under which id.
_NOT_STORED = frozenset({ETA_OPTION, ID_OPTION, COALESCED_OPTION})
# msgspec would turn what json refuses, or keeps as it is (NaN), into something else.
_SAME_IN_BOTH = frozenset({str, bool, int, type(None)})

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(message: Message[Any]) -> bytes:
    """The message as it is stored."""
    options = {name: value for name, value in message.options.items() if name not in _NOT_STORED}
    fields = {
        "queue_name": message.queue_name,
        "actor_name": message.actor_name,
        "args": message.args,
        "kwargs": message.kwargs,
        "options": options,
        "message_id": message.message_id,
        "message_timestamp": message.message_timestamp,
    }
    encoder = get_encoder()
    if type(encoder) is JSONEncoder and _is_plain(message, options):
        try:
            return _encoder.encode(fields)
        except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError):  # > 64 bits; half a surrogate pair
            pass
    return encoder.encode(fields)


def decode(body: bytes) -> Message[Any]:
    """Raises dramatiq's DecodeError when the bytes are no message."""
    message = _decode(body)
    if not (isinstance(message.options, dict) and isinstance(message.kwargs, dict)):
        error = TypeError("options and kwargs must be objects")
        raise DecodeError("Failed to decode message.", body, error)
    return message


def _decode(body: bytes) -> Message[Any]:
    if type(get_encoder()) is not JSONEncoder:
        return Message.decode(body)
    try:
        fields = _decoder.decode(body)
        return Message(**fields)
    except (msgspec.MsgspecError, TypeError):
        return Message.decode(body)  # json reads NaN and lone surrogates too, or says what is wrong


def _is_plain(message: Message[Any], options: dict[str, Any]) -> bool:
    return _are_same(message.args) and _are_same(message.kwargs.values()) and _are_same(options.values())


def _are_same(values: Iterable[Any]) -> bool:
    for value in values:
        kind = type(value)
        if kind in _SAME_IN_BOTH or (kind is float and math.isfinite(value)):
            continue
        return False
    return True
