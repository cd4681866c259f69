"""One provider API as the fetcher sees it: address, credential, limits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

# Shorter ones would blank out ordinary words.
_LEAST_SECRET_CHARS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Equal upstreams share connections, quota and answers.

    `headers` and `params` go with every request and may hold secrets; `credential` is
    whatever tells one customer of the provider from another. None of them is ever shown.
    """

    provider: str
    base_url: str
    credential: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    requests_per_s: float
    concurrency: int
    # What a first 429 without Retry-After costs, doubled by each further one.
    throttle_wait_s: float = 2.0
    # The least any 429 costs: a Retry-After of 0 must not become a busy loop.
    min_throttle_wait_s: float = 0.5
    # What a burst block (a 403 that is not JSON) costs; PlayHQ's edge lifts it after minutes.
    block_wait_s: float = 180.0

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def at_once(self) -> int:
        """So many requests at once use the quota up; more would queue for longer than a second."""
        return max(1, min(self.concurrency, int(self.requests_per_s)))

    @property
    def quota_name(self) -> str:
        return f"{self.provider}:{self._fingerprint(self.host)}"

    def address(self, path: str, params: Iterable[tuple[str, str]] = ()) -> str:
        """Where a question goes; it may hold a secret."""
        query = urlencode([*params, *self.params])
        return f"{self.base_url.rstrip('/')}{path}{'?' if query else ''}{query}"

    def answer_key(self, url: str) -> str:
        """A key for stored answers: never the same for two credentials."""
        return f"{self.provider}:{self._fingerprint(url)}"

    def without_secrets(self, text: str) -> str:
        """A text of the provider's, which may repeat what we sent, fit to be shown."""
        for secret in {self.credential, *(value for _, value in self.params)}:
            if len(secret) >= _LEAST_SECRET_CHARS:
                text = text.replace(secret, "…")
        return text

    def _fingerprint(self, subject: str) -> str:
        identity = "\n".join((self.provider, self.credential, *map(str, self.headers), subject))
        return hashlib.sha256(identity.encode()).hexdigest()[:32]
