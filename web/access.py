"""Who asks, and what they may do.

A Bearer token or a dashboard session names a role; each role may do what the ones before
it may: read, send, operate, admin. While no token exists, only this machine is served, as
admin: the peer's address must be loopback, the Host header a loopback name (a page that
rebinds its own name to 127.0.0.1 has another), and no proxy may stand in between.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from stores.sql.tokens import Role, Token, Tokens
from web.grouped import Grouped
from web.limits import RateLimit
from web.problems import Problem

SESSION_COOKIE = "clubsync_session"
FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# Asking SQL again for each of a thousand requests a second would cost more than the answers.
KNOWN_FOR_S = 0.25
MOST_KNOWN = 1000
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Only puts the scheme into the OpenAPI; `HTTPBearer` by itself checks nothing.
_bearer = HTTPBearer(auto_error=False, description="A token made by `clubsync tokens add`.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks; `name` is what the audit shows."""

    name: str
    role: Role
    address: str | None


class Gate:
    """Decides about each request, from the tokens there are now."""

    def __init__(self, tokens: Tokens, rate_limit: RateLimit) -> None:
        self._tokens = tokens
        self._rate_limit = rate_limit
        self._find = Grouped("tokens", tokens.find_many)
        self._known: dict[bytes, tuple[Token, float]] = {}
        self._is_open_until_s = 0.0

    async def admit(self, request: Request) -> Caller:
        """Who sends this request. Raises Problem 401, 403 or 429."""
        address = request.client.host if request.client else None
        if authorization := request.headers.get("authorization"):
            token = await self._find_bearer(authorization)
        elif await self._is_open():
            refuse_remote(request, address)
            refuse_cross_site(request)
            return Caller(name="local", role=Role.ADMIN, address=address)
        elif session := request.cookies.get(SESSION_COOKIE):
            token = await self._find_session(request, session)
        else:
            raise _unauthorised("A token is needed: send `Authorization: Bearer ...`.")
        if wait_s := await self._rate_limit.wait_s(token.id):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"The token {token.name!r} asks too often.",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
        return Caller(name=token.name, role=token.role, address=address)

    def close(self) -> None:
        self._find.close()

    async def _is_open(self) -> bool:
        """Whether no token is configured; a first one closes this machine's way in a moment later."""
        now_s = time.monotonic()
        if now_s < self._is_open_until_s:
            return True
        if not await run_in_threadpool(self._tokens.is_empty):
            return False
        self._is_open_until_s = now_s + KNOWN_FOR_S
        return True

    async def _find_bearer(self, authorization: str) -> Token:
        scheme, _, secret = authorization.partition(" ")
        token = await self._find_known(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise _unauthorised("The token is not valid; it may have been revoked.")
        return token

    async def _find_known(self, secret: str) -> Token | None:
        # By its hash, so that how long the look takes says nothing about the secret.
        digest = hashlib.sha256(secret.encode()).digest()
        token, until_s = self._known.get(digest, (None, 0.0))
        now_s = time.monotonic()
        if now_s < until_s:
            return token
        token = await self._find.submit(secret)
        if token is not None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[digest] = (token, now_s + KNOWN_FOR_S)
        return token

    async def _find_session(self, request: Request, session: str) -> Token:
        token = await self._find.submit(session)
        if token is None:
            raise _unauthorised("The session has ended; sign in again.")
        refuse_cross_site(request)
        return token


def refuse_remote(request: Request, address: str | None) -> None:
    """Raises Problem 403 unless the request comes straight from this machine."""
    forwarded = [name for name in FORWARDING_HEADERS if name in request.headers]
    host = _hostname(request.headers.get("host", ""))
    if not _is_loopback(address):
        reason = f"the request came from {address or 'an unknown address'}"
    elif forwarded:
        reason = f"a proxy passed the request on ({', '.join(forwarded)})"
    elif host != "localhost" and not _is_loopback(host):
        reason = f"the Host header names {host!r}"
    else:
        return
    raise Problem(
        HTTPStatus.FORBIDDEN,
        f"No token is configured, so only this machine is served, and {reason}; "
        "make a token with `clubsync tokens add NAME --role ROLE`.",
    )


def refuse_cross_site(request: Request) -> None:
    """Raises Problem 403 when a page of another origin makes a browser change something."""
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    is_foreign = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    if is_foreign or site not in ("same-origin", "none"):
        raise Problem(HTTPStatus.FORBIDDEN, "Another web site may not act here in your name.")


async def admit(request: Request, role: Role) -> Caller:
    """Who asks, if they may do what the role may. Raises Problem 401, 403 or 429."""
    caller: Caller = await request.app.state.gate.admit(request)
    if caller.role.level < role.level:
        raise role_needed(role, caller)
    return caller


def caller_with(role: Role) -> Any:
    """A dependency that answers the Caller. Raises Problem 401, 403 or 429."""

    async def admitted(request: Request, _scheme: Bearer) -> Caller:
        return await admit(request, role)

    return Depends(admitted)


Reader = Annotated[Caller, caller_with(Role.READ)]
Sender = Annotated[Caller, caller_with(Role.SEND)]
Operator = Annotated[Caller, caller_with(Role.OPERATE)]
Admin = Annotated[Caller, caller_with(Role.ADMIN)]


def role_needed(role: Role, caller: Caller) -> Problem:
    """The refusal of somebody whose role does not suffice."""
    return Problem(HTTPStatus.FORBIDDEN, f"This needs the role {role.value}; yours is {caller.role.value}.")


def _hostname(host: str) -> str | None:
    """The name in a Host header; None when it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_loopback(address: str | None) -> bool:
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _unauthorised(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
