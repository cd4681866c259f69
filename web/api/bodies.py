"""Reading a JSON body against a model, so that every mistake is found in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import models_json_schema

from web.problems import Problem, mistake_of, mistakes

M = TypeVar("M", bound=BaseModel)

MEDIA_TYPE = "application/json"


class Body(BaseModel):
    """A request's JSON: nothing unknown, nothing guessed from another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


async def read_json(request: Request, model: type[M], context: Mapping[str, Any] | None = None) -> M:
    """The body as a `model`; validators may ask the `context`.

    Raises Problem: 415 for another media type, 400 for what is not JSON, 422 with every
    mistake otherwise.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page elsewhere can make a browser post a form here, but not JSON unasked.
    if media_type != MEDIA_TYPE:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {MEDIA_TYPE}, not {media_type or 'nothing'}.")
    try:
        return model.model_validate_json(await request.body(), context=dict(context or {}))
    except ValidationError as error:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"The body is not JSON: {found[0]['ctx']['error']}."
            ) from error
        raise mistakes([mistake_of({**item, "loc": ("body", *item["loc"])}) for item in found]) from error


def documented_body(model: type[BaseModel], examples: Mapping[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads this model."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: content}}}


def schemas(models: list[type[BaseModel]]) -> dict[str, Any]:
    """The components of models that FastAPI does not see by itself."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = definitions["$defs"]
    return found
