"""The accounts: who pays, which organisation they point at, their flags and tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, bindparam, func, insert, select, update

from stores.sql.engine import reading, writing
from stores.sql.organisations import other_provider_of, save_organisations, why_apart
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.tables import account_tags, accounts, organisations
from stores.sql.upserts import chunked
from sync.errors import InvalidRequest, NotFound
from sync.model import Account, Organisation, OrganisationKind
from sync.ports import Clock

_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to be added; its organisation gets the given associations, if any."""

    kind: OrganisationKind
    name: str
    provider: str
    organisation_id: str
    association_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    plan: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFilter:
    """Which accounts; what is None does not matter. `name` matches any part of the name."""

    kind: OrganisationKind | None = None
    provider: str | None = None
    tag: str | None = None
    plan: str | None = None
    name: str | None = None
    organisation_id: str | None = None
    is_setup: bool | None = None


class Accounts:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, account: NewAccount) -> Account:
        """Raises InvalidRequest when such an account exists, or its organisation is of another kind."""
        (added,) = self.add_many([account])
        return added

    def add_many(self, new: Sequence[NewAccount]) -> Sequence[Account]:
        """Add all or none. Raises InvalidRequest that names every account in the way, one a line."""
        if not new:
            return ()
        with writing(self._engine) as connection:
            if conflicts := _conflicts(connection, new):
                raise InvalidRequest(
                    "\n".join(reason for reasons in conflicts.values() for reason in reasons)
                )
            ids = self._insert(connection, new)
            return _read(connection, _selection().where(accounts.c.id.in_(ids)).order_by(accounts.c.id))

    def conflicts(self, new: Sequence[NewAccount]) -> Mapping[int, Sequence[str]]:
        """Why accounts cannot be added, by their place in `new`; empty when all can."""
        with reading(self._engine) as connection:
            return _conflicts(connection, new)

    def find(self, account_id: int) -> Account:
        """Raises NotFound."""
        with reading(self._engine) as connection:
            found = _read(connection, _selection().where(accounts.c.id == account_id))
        if not found:
            raise NotFound(f"account {account_id} does not exist")
        return found[0]

    def find_kinds(self, account_ids: Collection[int]) -> Mapping[int, OrganisationKind]:
        """The kinds of those of the accounts that exist."""
        with reading(self._engine) as connection:
            rows = connection.execute(_KINDS_BY_IDS, {"ids": list(account_ids)}).all()
        return {row.id: OrganisationKind(row.kind) for row in rows}

    def find_names(self, account_ids: Collection[int]) -> Mapping[int, str]:
        """The names of those of the accounts that are kept here."""
        query = select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(account_ids))
        with reading(self._engine) as connection:
            return {row.id: row.name for row in connection.execute(query)}

    def find_name(self, account_id: int) -> str | None:
        """The account's name; None when it is not kept here but by the CMS, or does not exist."""
        query = select(accounts.c.name).where(accounts.c.id == account_id)
        with reading(self._engine) as connection:
            name: str | None = connection.execute(query).scalar()
        return name

    def list(self, wanted: AccountFilter, *, limit: int, cursor: str | None = None) -> Page[Account]:
        """The accounts by id. Raises InvalidRequest for a foreign cursor."""
        query = _narrowed(_selection(), wanted).order_by(accounts.c.id).limit(limit + 1)
        if cursor is not None:
            (after,) = read_cursor(cursor, tuple[int])
            query = query.where(accounts.c.id > after)
        with reading(self._engine) as connection:
            found = _read(connection, query)
        return cut_page(found, limit, lambda account: (account.id,))

    def each(self, wanted: AccountFilter) -> Iterator[Account]:
        """Every account of the filter by id, read in pages."""
        cursor: str | None = None
        while True:
            page = self.list(wanted, limit=_BATCH, cursor=cursor)
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def count(self, wanted: AccountFilter) -> int:
        query = _narrowed(select(func.count()).select_from(accounts), wanted)
        with reading(self._engine) as connection:
            return int(connection.scalar(query) or 0)

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        """Set the flags that are given. Raises NotFound."""
        flags = {"is_setup": is_setup, "is_updating": is_updating}
        values = {name: value for name, value in flags.items() if value is not None}
        if values:
            self._change(account_id, values)

    def _change(self, account_id: int, values: Mapping[str, Any]) -> None:
        with writing(self._engine) as connection:
            statement = update(accounts).where(accounts.c.id == account_id).values(**values)
            if connection.execute(statement).rowcount == 0:
                raise NotFound(f"account {account_id} does not exist")

    def _insert(self, connection: Connection, new: Sequence[NewAccount]) -> Sequence[int]:
        save_organisations(connection, [_organisation(account) for account in new])
        now = self._clock.now()
        rows = [
            {
                "kind": account.kind.value,
                "name": account.name,
                "provider": account.provider,
                "organisation_id": account.organisation_id,
                "is_setup": False,
                "is_updating": False,
                "created_at": now,
                "plan": account.plan,
            }
            for account in new
        ]
        statement = insert(accounts).returning(accounts.c.id, sort_by_parameter_order=True)
        ids = connection.scalars(statement, rows).all()
        _insert_tags(
            connection,
            [
                (account_id, tag)
                for account_id, account in zip(ids, new, strict=True)
                for tag in sorted(set(account.tags))
            ],
        )
        return ids


def _conflicts(connection: Connection, new: Sequence[NewAccount]) -> Mapping[int, Sequence[str]]:
    owners: dict[tuple[str, str, str], int] = {}
    kinds: dict[tuple[str, str], str] = {}
    for chunk in chunked({account.organisation_id for account in new}):
        for row in connection.execute(select(accounts).where(accounts.c.organisation_id.in_(chunk))):
            owners[row.kind, row.provider, row.organisation_id] = row.id
        for row in connection.execute(select(organisations).where(organisations.c.id.in_(chunk))):
            kinds[row.provider, row.id] = row.kind
    found: dict[int, list[str]] = defaultdict(list)
    for place, account in enumerate(new):
        kind, organisation_id = account.kind.value, account.organisation_id
        known_kind = kinds.get((account.provider, organisation_id), kind)
        if known_kind != kind:
            found[place].append(f"type: {organisation_id} is known as {known_kind}, it cannot be {kind}")
        other = other_provider_of(organisation_id, account.provider, kinds)
        if other is not None:
            found[place].append(f"provider: {why_apart(organisation_id, account.provider, other)}")
        owner = owners.get((kind, account.provider, organisation_id))
        if owner is not None:
            found[place].append(f"organisation: {kind} {organisation_id} has account {owner} already")
    return found


def _organisation(account: NewAccount) -> Organisation:
    return Organisation(
        id=account.organisation_id,
        kind=account.kind,
        provider=account.provider,
        association_ids=account.association_ids,
    )


def _insert_tags(connection: Connection, tags: Iterable[tuple[int, str]]) -> None:
    rows = [{"account_id": account_id, "tag": tag} for account_id, tag in tags]
    if rows:
        connection.execute(insert(account_tags), rows)


def _selection() -> Select[Any]:
    return select(
        accounts,
        organisations.c.name.label("organisation_name"),
        organisations.c.association_ids,
    ).outerjoin(
        organisations,
        (organisations.c.provider == accounts.c.provider)
        & (organisations.c.id == accounts.c.organisation_id),
    )


def _narrowed(query: Select[Any], wanted: AccountFilter) -> Select[Any]:
    equal = {
        accounts.c.kind: wanted.kind.value if wanted.kind else None,
        accounts.c.provider: wanted.provider,
        accounts.c.organisation_id: wanted.organisation_id,
        accounts.c.plan: wanted.plan,
        accounts.c.is_setup: wanted.is_setup,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.name is not None:
        query = query.where(accounts.c.name.icontains(wanted.name, autoescape=True))
    if wanted.tag is not None:
        tagged = select(account_tags.c.account_id).where(account_tags.c.tag == wanted.tag)
        query = query.where(accounts.c.id.in_(tagged))
    return query


# Built once: it is part of each order of a sync.
_KINDS_BY_IDS = select(accounts.c.id, accounts.c.kind).where(
    accounts.c.id.in_(bindparam("ids", expanding=True))
)


def _read(connection: Connection, query: Select[Any]) -> Sequence[Account]:
    rows = connection.execute(query).all()
    tags: dict[int, list[str]] = {row.id: [] for row in rows}
    if tags:
        tagged = select(account_tags).where(account_tags.c.account_id.in_(tags)).order_by(account_tags.c.tag)
        for row in connection.execute(tagged):
            tags[row.account_id].append(row.tag)
    return [_account(row, tuple(tags[row.id])) for row in rows]


def _account(row: Row[Any], tags: tuple[str, ...]) -> Account:
    organisation = Organisation(
        id=row.organisation_id,
        kind=OrganisationKind(row.kind),
        provider=row.provider,
        name=row.organisation_name,
        association_ids=tuple(row.association_ids or ()),
    )
    return Account(
        id=row.id,
        name=row.name,
        organisation=organisation,
        tags=tags,
        plan=row.plan,
        is_setup=row.is_setup,
        is_updating=row.is_updating,
    )
