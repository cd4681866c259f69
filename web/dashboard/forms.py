"""Forms that change something: from our own pages only, and confirmed."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from web.access import refuse_cross_site
from web.dashboard.pages import CSRF_COOKIE
from web.problems import Problem

FORM_TYPE = "application/x-www-form-urlencoded"


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours. Raises Problem 403 for any other."""
    refuse_cross_site(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != FORM_TYPE:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only forms are taken here; programs use /api/v1.")
    fields = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
    if not hmac.compare_digest(
        fields.pop("csrf", "").encode(), request.cookies.get(CSRF_COOKIE, "-").encode()
    ):
        raise Problem(HTTPStatus.FORBIDDEN, "The page was too old to act from; load it again and repeat.")
    return fields


Form = Annotated[dict[str, str], Depends(_read_form)]
