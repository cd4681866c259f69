"""What the CMS holds before the first sync: accounts, clubs and associations of the world."""

from __future__ import annotations

from simulator.strapi.tables import Entry, Tables
from simulator.world.ids import short_code
from simulator.world.names import slug
from simulator.world.world import World

# A world may have thousands of associations; the CMS knows the first ones.
_ASSOCIATIONS = 20


def seed(tables: Tables, world: World) -> None:
    types = {
        name: tables.create("account-types", {"Name": name}, is_published=True)
        for name in ("CLUB", "ASSOCIATION")
    }
    associations: dict[str, Entry] = {}
    clubs: dict[str, Entry] = {}
    for index in range(min(_ASSOCIATIONS, len(world.plans))):
        home = world.association(index)
        associations[home.id] = _organisation(tables, "associations", home.id, home.name, home.sport)
        _account(tables, types["ASSOCIATION"], "associations", associations[home.id])
        for club in home.clubs:
            if club.id not in clubs:
                clubs[club.id] = _organisation(tables, "clubs", club.id, club.name, home.sport)
                _account(tables, types["CLUB"], "clubs", clubs[club.id])
            relation = tables.schema["clubs"].relations["associations"]
            tables.connect(clubs[club.id], relation, associations[home.id])


def _organisation(tables: Tables, collection: str, record_id: str, name: str, sport: str) -> Entry:
    code = short_code(record_id)
    fields = {
        "Name": name,
        "href": f"https://www.playhq.com/{sport}/org/{slug(name)}/{code}",
        "Sport": "AFL" if sport == "afl" else sport.title(),
        "PlayHQID": code,
    }
    return tables.create(collection, fields, is_published=True)


def _account(tables: Tables, account_type: Entry, end: str, organisation: Entry) -> None:
    fields = {"FirstName": organisation.fields["Name"], "isSetup": False, "isUpdating": False}
    account = tables.create("accounts", fields, is_published=True)
    relations = account.collection.relations
    tables.connect(account, relations["account_type"], account_type)
    tables.connect(account, relations[end], organisation)
