"""Competitions: the seasons that the organisation's associations publish, and their grades."""

from __future__ import annotations

from dataclasses import replace

from sync.context import Context
from sync.errors import InvalidRequest, NotFound, UnexpectedResponse
from sync.model import Organisation, OrganisationKind, Season
from sync.plan import applied, plan_upserts
from sync.scope import associations_known
from sync.window import is_completed
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Store every listed season and the grades of those that the window keeps.

    Raises UnexpectedResponse when no season is listed at all: a wrong tenant, a wrong id
    or a hidden organisation, never a reason to believe that nothing exists.
    """
    scope = context.scope
    scope.associations = associations_known(scope.organisation) or _learn_associations(context)
    listed = _fetch_seasons(context, work)
    if not listed:
        raise UnexpectedResponse(
            f"the provider lists no season for {scope.organisation.kind} {scope.organisation.id}: "
            "check its id and the tenant, or whether it is hidden"
        )
    _remember_organisation(context, listed)
    seasons = _store_seasons(context, work, listed)
    kept = [
        season
        for season in seasons.values()
        if season.id in listed and context.window.keeps(season, context.rules.extra_season_ids)
    ]
    kept += _unlisted_but_open(context, seasons, listed)
    work.through(
        sorted(kept, key=lambda season: season.id),
        lambda season: _store_grades(context, work, season),
        name=lambda season: f"season {season.name} ({season.id})",
    )


def _learn_associations(context: Context) -> tuple[Organisation, ...]:
    """A club's associations are those of its own seasons."""
    club = context.scope.organisation
    try:
        seasons = context.source.fetch_seasons(club).records
    except NotFound as error:
        raise NotFound(f"club {club.id} does not exist at the provider") from error
    association_ids = tuple(sorted({season.association_id for season in seasons}))
    if club.id in association_ids:
        raise InvalidRequest(f"{club.id} is an association, not a club")
    context.scope.organisation = replace(club, association_ids=association_ids)
    return associations_known(context.scope.organisation)


def _fetch_seasons(context: Context, work: StageWork) -> dict[str, Season]:
    listed: dict[str, Season] = {}

    def fetch(association: Organisation) -> None:
        where = f"seasons of association {association.id}"
        try:
            listing = context.source.fetch_seasons(association)
        except NotFound as error:
            raise NotFound(f"association {association.id} does not exist at the provider") from error
        work.take_in(listing.quarantined, readable=len(listing.records), where=where)
        listed.update({season.id: season for season in listing.records})

    work.through(context.scope.associations, fetch, name=lambda association: f"association {association.id}")
    return listed


def _remember_organisation(context: Context, listed: dict[str, Season]) -> None:
    organisation = context.scope.organisation
    if organisation.kind is OrganisationKind.ASSOCIATION:
        own = [season for season in listed.values() if season.association_id == organisation.id]
        if not own:
            raise InvalidRequest(
                f"{organisation.id} is not an association: the provider lists its seasons "
                "under other organisations"
            )
        name = organisation.name or next(
            (season.association_name for season in own if season.association_name), None
        )
        organisation = replace(organisation, name=name)
    known = context.cms.find_organisation(organisation.kind, organisation.id)
    if known != organisation:
        context.cms.save_organisation(organisation)
    context.scope.organisation = organisation


def _store_seasons(context: Context, work: StageWork, listed: dict[str, Season]) -> dict[str, Season]:
    """Every season known of the associations, listed or not, as it is stored now."""
    association_ids = {association.id for association in context.scope.associations}
    association_ids |= {season.association_id for season in listed.values()}
    stored = context.cms.read_seasons(sorted(association_ids))
    plan = plan_upserts(listed.values(), stored)
    work.count(read=len(listed))
    work.write(plan.changes)
    # The hint about a season's age is not stored; it comes from the listing alone.
    return {
        season.id: replace(season, updated_at=listed[season.id].updated_at) if season.id in listed else season
        for season in applied(stored, plan).values()
    }


def _unlisted_but_open(
    context: Context, seasons: dict[str, Season], listed: dict[str, Season]
) -> list[Season]:
    """Stored seasons that still run, or are configured, although the listing leaves them out.

    Listings are known to miss the newest season while its grades and teams answer.
    """
    association_ids = {association.id for association in context.scope.associations}
    return [
        season
        for season in seasons.values()
        if season.id not in listed
        and season.association_id in association_ids
        and (not is_completed(season) or season.id in context.rules.extra_season_ids)
    ]


def _store_grades(context: Context, work: StageWork, season: Season) -> None:
    try:
        listing = context.source.fetch_grades(season)
    except NotFound:
        work.note(f"season {season.name} ({season.id}) is not published any more")
        return
    work.take_in(listing.quarantined, readable=len(listing.records), where=f"grades of season {season.id}")
    stored = context.cms.read_grades([season.id])
    plan = plan_upserts(listing.records, stored)
    work.count(read=len({grade.id for grade in listing.records}))
    work.write(plan.changes)
    grades = applied(stored, plan)
    # Without the seasons that failed: what is not known completely is not worked on.
    context.scope.seasons[season.id] = season
    context.scope.grades.update({grade.id: grades[grade.id] for grade in listing.records})
