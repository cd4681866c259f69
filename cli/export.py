"""`clubsync export`: what is stored, with the provider's own ids."""

from __future__ import annotations

import click

from cli.backend import Backend
from cli.output import as_json
from cli.tables import print_table
from sync.errors import InvalidRequest, NotFound
from sync.model import OrganisationKind


@click.command()
@click.argument("kind", type=click.Choice(["club", "association"]))
@click.argument("subject", metavar="ID")
@click.option("--direct", is_flag=True, help="ID is the organisation's own id.")
@as_json
def export(kind: str, subject: str, direct: bool, is_json: bool) -> None:
    """Print the seasons, grades, teams, games and ladders stored for a club or association."""
    stores = Backend().stores
    wanted = OrganisationKind(kind)
    organisation_id = subject.lower()
    if not direct:
        if not subject.isdecimal():
            raise InvalidRequest(f"{subject!r} is not an account's id; for an organisation's id add --direct")
        account = stores.accounts.find(int(subject))
        if account.organisation.kind is not wanted:
            raise InvalidRequest(
                f"account {subject} ({account.name}) is of type {account.organisation.kind}, not {kind}"
            )
        organisation_id = account.organisation.id
    elif stores.organisations.find(wanted, organisation_id) is None:
        raise NotFound(f"nothing is stored of {kind} {organisation_id}: sync it first, with --direct")
    if is_json:
        for piece in stores.exports.stream(wanted, organisation_id):
            click.echo(piece, nl=False)
        click.echo()
        return
    sections = stores.exports.read(wanted, organisation_id)
    print_table(["records", "stored"], [[name, len(records)] for name, records in sections.items()])
