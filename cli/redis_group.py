"""Groups of commands that look straight at Redis."""

from __future__ import annotations

from typing import Any

import click


class RedisGroup(click.Group):
    """Raises StoreUnavailable, one sentence for the operator, when Redis does not answer a command."""

    def invoke(self, ctx: click.Context) -> Any:
        from stores.redis.errors import answering  # redis-py takes a third of a second

        with answering():
            return super().invoke(ctx)
