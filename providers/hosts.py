"""Where each provider is asked, as its breaker is named."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from providers.playhq.plugin import PUBLIC_API
from settings.schema import ProvidersSettings


def provider_hosts(settings: ProvidersSettings) -> Mapping[str, str]:
    """The hosts of the built-in providers, by provider."""
    addresses = {
        "playhq": settings.playhq.base_url or PUBLIC_API,
        "playcricket": settings.playcricket.base_url,
    }
    return {name: urlsplit(address).netloc.rpartition("@")[2] for name, address in addresses.items()}
