"""Mail through an SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from notifications.channels import Channel
from notifications.notice import Notice
from settings.schema import MailSettings, NotificationsSettings
from sync.errors import CredentialsRejected, PermanentError, SyncError, TransientError

# RFC 5321, 4.2.1: a reply of 500 and above stays the same however often it is asked for.
FIRST_PERMANENT_REPLY = 500


def open_channel(settings: NotificationsSettings) -> Channel | None:
    """None when no server is set."""
    if settings.mail.host is None:
        return None
    return Mail(settings.mail, settings.mail.host, timeout_s=settings.timeout_s)


class Mail:
    """One message to all recipients; answers its Message-ID, the same for each attempt."""

    name = "mail"

    def __init__(
        self,
        settings: MailSettings,
        host: str,
        *,
        timeout_s: float,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._host = host
        self._timeout_s = timeout_s
        self._tls_context = tls_context

    def send(self, notice: Notice) -> str:
        message = self._message(notice)
        where = f"mail through {self._host}:{self._settings.port}"
        try:
            with smtplib.SMTP(self._host, self._settings.port, timeout=self._timeout_s) as server:
                self._prepare(server)
                server.send_message(message)
        except (smtplib.SMTPException, OSError) as error:
            raise _translated(error, where) from error
        return str(message["Message-ID"])

    def reach(self) -> str:
        where = f"mail through {self._host}:{self._settings.port}"
        try:
            with smtplib.SMTP(self._host, self._settings.port, timeout=self._timeout_s) as server:
                self._prepare(server)
                server.noop()
        except (smtplib.SMTPException, OSError) as error:
            raise _translated(error, where) from error
        return f"{where}: the server answers"

    def _prepare(self, server: smtplib.SMTP) -> None:
        if self._settings.use_starttls:
            server.starttls(context=self._tls_context or ssl.create_default_context())
        if self._settings.username is not None and self._settings.password is not None:
            server.login(self._settings.username, self._settings.password.get_secret_value())

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = notice.subject
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.recipients)
        message["Message-ID"] = f"<{notice.key.replace(':', '.')}@clubsync.invalid>"
        message.set_content(notice.text)
        return message


def _translated(error: Exception, where: str) -> SyncError:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return CredentialsRejected(f"{where}: user name or password refused ({error.smtp_code})")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return PermanentError(f"{where}: the server offers neither STARTTLS nor login where it should")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted(code for code, _ in error.recipients.values())
        return _by_reply(min(codes), f"{where}: all recipients refused ({codes[0]})")
    if isinstance(error, smtplib.SMTPResponseException):
        reason = error.smtp_error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        return _by_reply(error.smtp_code, f"{where}: refused ({error.smtp_code} {text})")
    if isinstance(error, ssl.SSLCertVerificationError):
        return PermanentError(f"{where}: the server's certificate is not valid: {error.verify_message}")
    return TransientError(f"{where}: no answer ({type(error).__name__})")


def _by_reply(code: int, message: str) -> SyncError:
    return PermanentError(message) if code >= FIRST_PERMANENT_REPLY else TransientError(message)
