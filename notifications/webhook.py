"""Any service that takes a signed JSON POST.

The header `X-Clubsync-Signature: t=<unix seconds>,v1=<hex>` holds the HMAC-SHA256 of
`<unix seconds>.<body>` under the shared secret. `X-Clubsync-Delivery` is the same for each
attempt at one notice, so that a receiver can pass over a repetition; `Webhook-Id` and
`Idempotency-Key` say it again in names that receivers know.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import httpx

from notifications import posting
from notifications.channels import Channel
from notifications.notice import Notice
from settings.schema import NotificationsSettings

# https://www.standardwebhooks.com, and draft-ietf-httpapi-idempotency-key-header.
DELIVERY_HEADERS = ("x-clubsync-delivery", "webhook-id", "idempotency-key")


def open_channel(settings: NotificationsSettings) -> Channel | None:
    """None when no address is set."""
    webhook = settings.webhook
    if webhook.url is None or webhook.secret is None:
        return None
    client = posting.open_client(settings.timeout_s)
    return Webhook(client, webhook.url.get_secret_value(), webhook.secret.get_secret_value().encode())


def sign(secret: bytes, at_unix_s: int, body: bytes) -> str:
    """The value of X-Clubsync-Signature."""
    digest = hmac.new(secret, f"{at_unix_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_unix_s},v1={digest}"


class Webhook:
    """Answers the notice's key, as the other side has no reference of its own."""

    name = "webhook"

    def __init__(self, client: httpx.Client, url: str, secret: bytes) -> None:
        self._client = client
        self._url = url
        self._secret = secret

    def send(self, notice: Notice) -> str:
        body = json.dumps(
            {
                "subject": notice.subject,
                "text": notice.text,
                "severity": notice.severity.value,
                "incident_id": notice.incident_id,
                **notice.fields,
                "event": notice.event,
            },
            ensure_ascii=False,
        ).encode()
        headers = {
            "x-clubsync-signature": sign(self._secret, int(time.time()), body),
            **dict.fromkeys(DELIVERY_HEADERS, notice.key),
        }
        posting.post(self._client, self._url, body, what="post to the webhook", headers=headers)
        return notice.key

    def reach(self) -> str:
        return posting.connect(self._client, self._url, what="the webhook")
