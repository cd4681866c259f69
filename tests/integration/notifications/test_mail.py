from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import SecretStr

from notifications.mail import open_channel
from notifications.notice import notice_of
from settings.schema import MailSettings, NotificationsSettings
from sync.errors import CredentialsRejected, PermanentError, TransientError
from tests.ports import free_port
from tests.unit.notifications.builders import finished

NOTICE = notice_of(finished(), name="Zoë's CC")


class Postbox:
    """What an SMTP server got; `answer` is what it says to a message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answer = "250 OK"
        self.recipient_answer = "250 OK"
        self.drops = False
        self.waits_s = 0.0

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name for the command's hook
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  see above
        await asyncio.sleep(self.waits_s)
        if self.drops:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 nobody hears it"
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.messages.append(message_from_bytes(envelope.content))
        return self.answer


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object
) -> AuthResult:
    return AuthResult(success=getattr(login, "password", b"") == b"right", handled=False)


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def port(postbox: Postbox) -> Iterator[int]:
    number = free_port()
    server = Controller(
        postbox,
        hostname="127.0.0.1",
        port=number,
        authenticator=authenticate,
        auth_require_tls=False,
    )
    server.start()
    yield number
    server.stop()


def send(port: int, *, timeout_s: float = 30, **fields: object) -> str:
    mail = MailSettings.model_validate(
        {"host": "127.0.0.1", "port": port, "recipients": ("a@example.com", "b@example.com"), **fields}
    )
    channel = open_channel(NotificationsSettings(mail=mail, timeout_s=timeout_s))
    assert channel is not None
    return channel.send(NOTICE)


def test_all_recipients_get_one_message_with_the_same_id_each_time(port: int, postbox: Postbox) -> None:
    assert send(port) == send(port)
    first, second = postbox.messages
    assert first["To"] == "a@example.com, b@example.com"
    assert first["Message-ID"] == second["Message-ID"]
    assert "run r1" in first.as_string()


def test_a_password_is_used_and_a_wrong_one_is_permanent(port: int, postbox: Postbox) -> None:
    send(port, username="u", password=SecretStr("right"))
    assert len(postbox.messages) == 1
    with pytest.raises(CredentialsRejected, match="user name or password refused") as caught:
        send(port, username="u", password=SecretStr("wrong-password"))
    assert "wrong-password" not in str(caught.value)


def test_a_server_without_starttls_is_told_apart(port: int) -> None:
    with pytest.raises(PermanentError, match="STARTTLS"):
        send(port, use_starttls=True)


def test_a_later_is_transient_and_a_never_is_permanent(port: int, postbox: Postbox) -> None:
    postbox.answer = "451 try again later"
    with pytest.raises(TransientError, match="451"):
        send(port)
    postbox.answer = "554 this is spam"
    with pytest.raises(PermanentError, match="554 this is spam"):
        send(port)


def test_refused_recipients_are_permanent_unless_one_may_work_later(port: int, postbox: Postbox) -> None:
    postbox.recipient_answer = "550 unknown"
    with pytest.raises(PermanentError, match="550"):
        send(port)
    postbox.recipient_answer = "450 mailbox busy"
    with pytest.raises(TransientError, match="450"):
        send(port)


def test_a_server_that_drops_the_connection_in_the_middle_is_transient(port: int, postbox: Postbox) -> None:
    postbox.drops = True
    with pytest.raises(TransientError, match="no answer"):
        send(port)
    assert postbox.messages == []


def test_a_server_that_takes_too_long_is_transient(port: int, postbox: Postbox) -> None:
    postbox.waits_s = 1.0
    with pytest.raises(TransientError, match="no answer"):
        send(port, timeout_s=0.2)


def test_no_server_is_transient() -> None:
    with pytest.raises(TransientError, match="no answer"):
        send(free_port())
