"""Signing in with a token, and out."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from web.access import SESSION_COOKIE
from web.dashboard.forms import Form
from web.dashboard.pages import go, is_https, render
from web.services import Has

router = APIRouter(include_in_schema=False)

LIFETIME = timedelta(hours=12)


@router.get("/login")
def show_login(request: Request, services: Has) -> Response:
    if services.tokens.is_empty():
        return go("/")
    return render(request, None, "login.html", is_refused=False)


@router.post("/login")
def sign_in(request: Request, services: Has, form: Form) -> Response:
    """Open a session for the token; the address to go on to must be one of ours."""
    token = services.tokens.find(form.get("token", "").strip())
    if token is None:
        return render(request, None, "login.html", status=HTTPStatus.FORBIDDEN, is_refused=True)
    secret = services.tokens.open_session(token, lifetime=LIFETIME)
    services.stores.audit.record(
        actor=token.name,
        source="dashboard",
        action="sign_in",
        subject=None,
        detail={"role": token.role.value},
    )
    target = request.query_params.get("next", "/")
    answer = go(target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/")
    # Lax, because people come from a link in a chat or a mail; forms have a token of their own.
    answer.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=round(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )
    return answer


@router.post("/logout")
def sign_out(request: Request, services: Has, _form: Form) -> Response:
    session = request.cookies.get(SESSION_COOKIE, "")
    if token := services.tokens.find(session):
        services.tokens.close_session(session)
        services.stores.audit.record(
            actor=token.name, source="dashboard", action="sign_out", subject=None, detail={}
        )
    answer = go("/login")
    answer.delete_cookie(SESSION_COOKIE)
    return answer
