"""The link records between clubs and the competitions that their teams play in."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cms.strapi.calls import RecordRefused
from cms.strapi.client import StrapiClient
from cms.strapi.entries import Entry, connection
from cms.strapi.formats import short_code
from cms.strapi.projection import CLUBS, COMPETITIONS, KEYS, LINKS
from sync.errors import NotFound
from sync.model import Team

log = logging.getLogger(__name__)


class ClubLinks:
    """Adds links and never takes one away; a CMS without the collection gets none."""

    def __init__(self, client: StrapiClient) -> None:
        self._client = client
        self._is_missing = False

    def add(self, teams: Sequence[Team]) -> None:
        """Link each team's club to its competition, unless they are linked already."""
        pairs = {
            (short_code(team.club_id), short_code(team.season_id))
            for team in teams
            if team.club_id is not None
        }
        if self._is_missing or not pairs:
            return
        clubs = self._client.find_by_keys(CLUBS, KEYS[CLUBS], [club for club, _ in pairs])
        pairs = {pair for pair in pairs if pair[0] in clubs}
        if not pairs:
            return
        try:
            present = self._present([competition for _, competition in pairs])
        except NotFound:
            self._is_missing = True
            log.warning("cms_collection_missing", extra={"collection": LINKS})
            return
        competitions = self._client.find_by_keys(
            COMPETITIONS, KEYS[COMPETITIONS], [competition for _, competition in pairs]
        )
        for club, competition in sorted(pairs - present):
            if competition in competitions:
                self._create(clubs[club][0], competitions[competition][0])

    def _present(self, competitions: Sequence[str]) -> set[tuple[str, str]]:
        links = self._client.find_linked(
            LINKS, "competition", KEYS[COMPETITIONS], competitions, ["club", "competition"]
        )
        return {
            (str(club.fields.get(KEYS[CLUBS])), str(competition.fields.get(KEYS[COMPETITIONS])))
            for link in links
            for club in link.relations.get("club", ())
            for competition in link.relations.get("competition", ())
        }

    def _create(self, club: Entry, competition: Entry) -> None:
        fields = {
            "club": connection(club.version, [club.ref]),
            "competition": connection(competition.version, [competition.ref]),
        }
        try:
            self._client.create(LINKS, fields)
        except RecordRefused as error:
            log.warning("cms_link_refused", extra={"club": club.ref, "reason": str(error)})
