"""Strapi's errors, with the names and the envelope that it sends."""

from __future__ import annotations

from typing import Any

from simulator.answers import json_answer
from simulator.server import Answer

_STATUSES = {
    "ValidationError": 400,
    "ApplicationError": 400,
    "PaginationError": 400,
    "SyntaxError": 400,
    "UnauthorizedError": 401,
    "ForbiddenError": 403,
    "NotFoundError": 404,
    "InternalServerError": 500,
}


class StrapiError(Exception):
    """`path` leads to the field that is wrong; an empty one means the body. None: no details."""

    def __init__(self, name: str, message: str, path: list[str] | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.path = path

    def answer(self) -> Answer:
        details: dict[str, Any] = {}
        if self.path is not None:
            details = {"errors": [{"path": self.path, "message": str(self), "name": self.name}]}
        status = _STATUSES[self.name]
        error = {"status": status, "name": self.name, "message": str(self), "details": details}
        return json_answer({"data": None, "error": error}, status)
