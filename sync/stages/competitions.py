"""Competitions: the seasons that the organisation's associations publish, and their grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from sync.belonging import claim, find_stored, first_seasons, is_foreign, refusal
from sync.context import Context
from sync.errors import InvalidRequest, NotFound, ProviderUnavailable, UnexpectedResponse
from sync.guard import judge_seasons
from sync.model import Grade, Organisation, OrganisationKind, RecordKind, Season, parent_id_of
from sync.plan import Plan, applied, plan_upserts
from sync.report import Guard
from sync.scope import associations_known
from sync.window import is_completed
from sync.work import Intake, StageWork


def perform(context: Context, work: StageWork) -> None:
    """Store every listed season and the grades of those that the window keeps.

    Raises UnexpectedResponse when no season is listed at all: a wrong tenant, a wrong id
    or a hidden organisation, and only once a person has approved it the truth.
    """
    scope = context.scope
    scope.associations = _find_associations(context)
    answers = _fetch_seasons(context, work) if scope.associations else [_nothing_to_learn(context, work)]
    listed = _listed_in(answers)
    if not listed and (doubted := [answer.intake for answer in answers if answer.intake.verdict.is_held]):
        for intake in doubted:
            work.write_or_hold((), intake)
        raise UnexpectedResponse(_why_nothing_is_listed(scope.organisation, doubted))
    if listed:
        _remember_organisation(context, listed)
    seasons = _store_seasons(context, work, answers, listed)
    kept = [
        season
        for season in seasons.values()
        if season.id in listed and context.window.keeps(season, context.rules.extra_season_ids)
    ]
    kept += _unlisted_but_open(context, seasons, listed)
    _store_grades(context, work, _fetch_grades(context, work, kept))


def _find_associations(context: Context) -> tuple[Organisation, ...]:
    """Itself of an association; a club's are those of its own seasons, besides those known before.

    A club that enters a new association is followed there: at once by a run that was asked for,
    within a week by nightly ones, each club on a night of its own.
    """
    scope = context.scope
    known = associations_known(scope.organisation)
    if not scope.is_club:
        return known
    if not known:
        return _learn_associations(context)
    if (
        context.is_patient
        and context.window.today.toordinal() % 7 != crc32(scope.organisation.id.encode()) % 7
    ):
        return known
    try:
        return _learn_associations(context)
    except (NotFound, UnexpectedResponse, ProviderUnavailable):
        # A club's own listing is incomplete by nature; what is known does without.
        return known


def _learn_associations(context: Context) -> tuple[Organisation, ...]:
    club = context.scope.organisation
    try:
        seasons = context.source.fetch_seasons(club).records
    except NotFound as error:
        raise NotFound(f"club {club.id} does not exist at the provider") from error
    found = {season.association_id for season in seasons}
    if club.id in found:
        raise InvalidRequest(f"{club.id} is an association, not a club")
    context.scope.organisation = replace(
        club, association_ids=tuple(sorted(found.union(club.association_ids)))
    )
    return associations_known(context.scope.organisation)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One association's seasons, and what the guards say of them."""

    intake: Intake
    seasons: Sequence[Season]


def _fetch_seasons(context: Context, work: StageWork) -> list[_Answer]:
    answers: list[_Answer] = []

    def fetch(association: Organisation) -> None:
        where = f"seasons of association {association.id}"
        try:
            listing = context.source.fetch_seasons(association)
        except NotFound as error:
            raise NotFound(f"association {association.id} does not exist at the provider") from error
        size = len(listing.records) + len(listing.quarantined)
        intake = work.take_in(
            listing.quarantined,
            readable=len(listing.records),
            where=where,
            listing=where,
            doubt=judge_seasons(listed=size, usual=context.usual_sizes.get(where, ())),
        )
        seasons = [replace(season, provider=association.provider) for season in listing.records]
        answers.append(_Answer(intake, seasons))

    work.for_each(context.scope.associations, fetch, name=lambda association: f"association {association.id}")
    return answers


def _listed_in(answers: Sequence[_Answer]) -> dict[str, Season]:
    """Each season once; one that several associations list belongs to the first of them."""
    listed: dict[str, Season] = {}
    for answer in answers:
        for season in answer.seasons:
            listed[season.id] = min(listed.get(season.id, season), season, key=parent_id_of)
    return listed


def _nothing_to_learn(context: Context, work: StageWork) -> _Answer:
    """What the guards say of a club that lists no season from which to learn its associations."""
    where = f"seasons of club {context.scope.organisation.id}"
    doubt = judge_seasons(listed=0, usual=context.usual_sizes.get(where, ()))
    return _Answer(work.take_in((), readable=0, where=where, listing=where, doubt=doubt), ())


def _why_nothing_is_listed(organisation: Organisation, doubted: Sequence[Intake]) -> str:
    if all(intake.verdict.guard is Guard.NO_SEASONS for intake in doubted):
        return (
            f"the provider lists no season for {organisation.kind} {organisation.id}: "
            "check its id and the tenant, or whether it is hidden"
        )
    return "; ".join(f"{intake.where}: {intake.verdict.reason}" for intake in doubted)


def _remember_organisation(context: Context, listed: Mapping[str, Season]) -> None:
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


def _store_seasons(
    context: Context, work: StageWork, answers: Sequence[_Answer], listed: Mapping[str, Season]
) -> dict[str, Season]:
    """Every season known of the associations, listed or not, as it is stored now."""
    association_ids = {association.id for association in context.scope.associations}
    association_ids |= {season.association_id for season in listed.values()}
    known = context.cms.read_seasons(sorted(association_ids))
    stored = {season.id: season for season in known.values() if not is_foreign(context, season)}
    own = dict(listed)
    for held in find_stored(context, Season, listed.keys() - stored.keys()).values():
        if is_foreign(context, held):
            work.refuse([refusal(context, RecordKind.SEASON, held.id, held)])
            del own[held.id]
            continue
        stored[held.id] = held
        if held.association_id < listed[held.id].association_id:
            # It stays with the association that it is stored under, which lists it, too.
            del own[held.id]
    work.count(read=len(own))
    for answer in answers:
        plan = plan_upserts([season for season in answer.seasons if own.get(season.id) is season], stored)
        stored = applied(stored, Plan(tuple(work.write_or_hold(plan.changes, answer.intake))))
    # The hint about a season's age is not stored; it comes from the listing alone.
    return {
        season.id: replace(season, updated_at=listed[season.id].updated_at) if season.id in listed else season
        for season in stored.values()
    }


def _unlisted_but_open(
    context: Context, seasons: dict[str, Season], listed: Mapping[str, Season]
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


@dataclass(frozen=True, slots=True)
class _Grades:
    """One season's grades, and what the guards say of them."""

    season: Season
    intake: Intake
    records: Sequence[Grade]


def _fetch_grades(context: Context, work: StageWork, seasons: Sequence[Season]) -> Sequence[_Grades]:
    """Of each season that still answers; what is not known completely is not worked on."""
    answers: list[_Grades] = []

    def fetch(season: Season) -> None:
        try:
            listing = context.source.fetch_grades(season)
        except NotFound:
            work.note(f"season {season.name} ({season.id}) is not published any more")
            return
        where = f"grades of season {season.id}"
        intake = work.take_in(listing.quarantined, readable=len(listing.records), where=where, listing=where)
        answers.append(_Grades(season, intake, listing.records))

    work.for_each(
        sorted(seasons, key=lambda season: season.id),
        fetch,
        name=lambda season: f"season {season.name} ({season.id})",
    )
    return sorted(answers, key=lambda answer: answer.season.id)


def _store_grades(context: Context, work: StageWork, answers: Sequence[_Grades]) -> None:
    scope = context.scope
    first = first_seasons((answer.season, answer.records) for answer in answers)
    for answer in answers:
        season = answer.season
        claims = claim(context, season, answer.records, context.cms.read_grades([season.id]), first)
        plan = plan_upserts(claims.own, claims.stored)
        work.count(read=len({grade.id for grade in claims.own}))
        work.refuse(claims.refused)
        stored = applied(claims.stored, Plan(tuple(work.write_or_hold(plan.changes, answer.intake))))
        scope.seasons[season.id] = season
        scope.grades.update({grade.id: stored[grade.id] for grade in claims.own if grade.id in stored})
        # Stored in a season of others, their games are this season's all the same.
        elsewhere = claims.left_elsewhere.values()
        scope.grades.update({grade.id: replace(grade, season_id=season.id) for grade in elsewhere})
