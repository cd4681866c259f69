"""The entry point of the Strapi adapter."""

from __future__ import annotations

import ssl

import httpx

from cms.registry import CmsContext
from cms.strapi.adapter import StrapiCms
from cms.strapi.client import StrapiClient
from cms.strapi.entries import Version
from settings.schema import StrapiSettings
from sync.errors import ConfigurationError
from sync.ports import Cms

# Small on purpose: under gevent a large pool costs more than it gives.
_CONNECTIONS = 10
# Strapi closes idle connections after 5 s, and a POST must not meet a closed one.
_KEEP_ALIVE_S = 4.0
_CONNECT_TIMEOUT_S = 5.0
# Deeply related rows of a large account take their time.
_ANSWER_TIMEOUT_S = 30.0


def open_cms(context: CmsContext) -> Cms:
    """Raises ConfigurationError without a token."""
    settings = context.settings.strapi
    version = None if settings.version == "auto" else Version(settings.version)
    client = StrapiClient(_open_http(settings), version=version)
    return StrapiCms(client, context.stores, settings, context.clock)


def _open_http(settings: StrapiSettings) -> httpx.Client:
    if settings.token is None:
        raise ConfigurationError("cms.strapi.token: required when cms.kind is strapi")
    limits = httpx.Limits(
        max_connections=_CONNECTIONS,
        max_keepalive_connections=_CONNECTIONS,
        keepalive_expiry=_KEEP_ALIVE_S,
    )
    return httpx.Client(
        base_url=settings.base_url.rstrip("/") + "/",
        headers={"authorization": f"Bearer {settings.token.get_secret_value()}"},
        transport=httpx.HTTPTransport(limits=limits, verify=ssl.create_default_context()),
        timeout=httpx.Timeout(_ANSWER_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        trust_env=False,
    )
