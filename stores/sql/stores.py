"""All SQL stores over one engine, as entry points build them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from stores.sql.absences import Absences
from stores.sql.accounts import Accounts
from stores.sql.audit import AuditLog
from stores.sql.batches import Batches
from stores.sql.changes import Changes
from stores.sql.cms_refs import CmsRefs
from stores.sql.costs import Costs
from stores.sql.decisions import Decisions
from stores.sql.export import Exports
from stores.sql.freshness import Freshness
from stores.sql.incidents import Incidents
from stores.sql.matches import Matches
from stores.sql.mirror import Mirror
from stores.sql.notices import Notices
from stores.sql.organisations import Organisations
from stores.sql.outcomes import Outcomes
from stores.sql.refusals import Refusals
from stores.sql.retention import OldRows
from stores.sql.runs import Runs
from stores.sql.sizes import Sizes
from sync.ports import Clock


@dataclass(frozen=True, slots=True)
class SqlStores:
    engine: Engine
    accounts: Accounts
    organisations: Organisations
    mirror: Mirror
    absences: Absences
    runs: Runs
    old_rows: OldRows
    costs: Costs
    matches: Matches
    changes: Changes
    decisions: Decisions
    sizes: Sizes
    refusals: Refusals
    batches: Batches
    outcomes: Outcomes
    freshness: Freshness
    notices: Notices
    incidents: Incidents
    audit: AuditLog
    exports: Exports
    cms_refs: CmsRefs


def open_stores(engine: Engine, clock: Clock) -> SqlStores:
    """Build the stores; nothing is asked of the database yet."""
    return SqlStores(
        engine=engine,
        accounts=Accounts(engine, clock),
        organisations=Organisations(engine),
        mirror=Mirror(engine, clock),
        absences=Absences(engine),
        runs=Runs(engine),
        old_rows=OldRows(engine),
        costs=Costs(engine),
        matches=Matches(engine),
        changes=Changes(engine, clock),
        decisions=Decisions(engine),
        sizes=Sizes(engine),
        refusals=Refusals(engine, clock),
        batches=Batches(engine),
        outcomes=Outcomes(engine),
        freshness=Freshness(engine, clock),
        notices=Notices(engine, clock),
        incidents=Incidents(engine),
        audit=AuditLog(engine, clock),
        exports=Exports(engine),
        cms_refs=CmsRefs(engine),
    )
