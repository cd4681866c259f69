"""Our encoding is dramatiq's, only faster."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dramatiq
import pytest
from dramatiq import Message
from dramatiq.errors import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from brokers import codec
from brokers.envelope import LeasedId

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)

NO_OPTIONS = b"""{"queue_name": "q", "actor_name": "a", "args": [], "kwargs": {}, "options": null,
    "message_id": "1", "message_timestamp": 1}"""


def message(*args: Any, **options: Any) -> Message[Any]:
    return Message("default", "note", args, {"key": args[0] if args else 1}, options)


@given(value=VALUES)
def test_a_message_reads_as_dramatiqs_own_encoding_does(value: Any) -> None:
    ours, theirs = message(value), message(value).encode()
    assert repr(codec.decode(codec.encode(ours)).args) == repr(Message.decode(theirs).args)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", datetime.now(UTC), math.inf, "\ud83d", 2**64])
def test_what_json_refuses_is_refused_and_what_it_keeps_is_kept(value: Any) -> None:
    try:
        expected = json.dumps(value)
    except TypeError:
        with pytest.raises(TypeError):
            codec.encode(message(value))
    else:
        assert json.dumps(codec.decode(codec.encode(message(value))).args[0]) == expected


def test_due_time_lease_and_place_are_not_stored() -> None:
    lease = LeasedId("1", "default", "p 1")
    encoded = codec.encode(message(1, eta=5, redis_message_id=lease, coalesced_with={}, kept="yes"))
    assert codec.decode(encoded).options == {"kept": "yes"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"args": []}', b"\xff", b'{"unknown": 1}', NO_OPTIONS])
def test_what_is_no_message_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.decode(body)


@pytest.fixture
def pickled() -> Iterator[None]:
    before = dramatiq.get_encoder()
    dramatiq.set_encoder(dramatiq.PickleEncoder())
    yield
    dramatiq.set_encoder(before)


@pytest.mark.usefixtures("pickled")
def test_another_encoder_is_respected() -> None:
    assert codec.decode(codec.encode(message({1, 2}))).args == ({1, 2},)
