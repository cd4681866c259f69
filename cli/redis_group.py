"""Groups of commands that look straight at Redis."""

from __future__ import annotations

from typing import Any

import click

from stores.redis.errors import answering


class RedisGroup(click.Group):
    """Raises StoreUnavailable, one sentence for the operator, when Redis does not answer a command."""

    def invoke(self, ctx: click.Context) -> Any:
        with answering():
            return super().invoke(ctx)
