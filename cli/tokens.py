"""`clubsync tokens`: who may use the HTTP API and the dashboard."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from cli.backend import Backend
from cli.output import ago, as_json, moment, print_json
from cli.tables import print_table

if TYPE_CHECKING:
    from stores.sql.tokens import Token, Tokens

ROLES = click.Choice(["read", "send", "operate", "admin"])


@click.group()
def tokens() -> None:
    """Make, list and revoke tokens; while there is none, only this machine is served."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=ROLES, default="read", show_default=True, help="What it may do.")
@click.option("--days", type=click.IntRange(min=1), help="Valid for so long; else until it is revoked.")
@as_json
def add(name: str, role: str, days: int | None, is_json: bool) -> None:
    """Make a token called NAME; its secret is shown now and never again."""
    from stores.sql.tokens import Role

    backend = Backend()
    lifetime = timedelta(days=days) if days else None
    token, secret = _tokens(backend).issue(name, Role(role), lifetime=lifetime)
    backend.audit("token_added", f"token:{token.id}", {"name": name, "role": role})
    if is_json:
        print_json({**_document(token), "secret": secret})
        return
    click.echo(secret)
    click.echo("Keep it: it is not shown again. Send it as `Authorization: Bearer ...`.", err=True)


@tokens.command(name="list")
@as_json
def list_tokens(is_json: bool) -> None:
    """List every token that was made; secrets are not kept."""
    found = _tokens(Backend()).list()
    if is_json:
        print_json([_document(token) for token in found])
        return
    print_table(
        ["id", "name", "role", "made", "ends (UTC)", "revoked"],
        (
            [
                token.id,
                token.name,
                token.role.value,
                ago(token.created_at),
                moment(token.expires_at) if token.expires_at else "when revoked",
                ago(token.revoked_at) if token.revoked_at else "",
            ]
            for token in found
        ),
    )


@tokens.command()
@click.argument("name")
def revoke(name: str) -> None:
    """End the token with this NAME or id, and its sessions, at once."""
    backend = Backend()
    token = _tokens(backend).revoke(name)
    backend.audit("token_revoked", f"token:{token.id}", {"name": token.name})
    click.echo(f"{token.name} is revoked")


def _tokens(backend: Backend) -> Tokens:
    from stores.sql.tokens import Tokens

    return Tokens(backend.stores.engine)


def _document(token: Token) -> dict[str, object]:
    import msgspec

    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "created_at": msgspec.to_builtins(token.created_at),
        "expires_at": msgspec.to_builtins(token.expires_at),
        "revoked_at": msgspec.to_builtins(token.revoked_at),
    }
