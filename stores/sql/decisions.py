"""What people decided about plans; the first decision about a run stays."""

from __future__ import annotations

from sqlalchemy import Engine, select

from stores.sql.engine import reading, writing
from stores.sql.tables import decisions
from stores.sql.upserts import insert_new
from sync.by_hand.approval import Decision, DecisionVerdict


class Decisions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, run_id: str) -> Decision | None:
        """What was decided about the run's plan, if anything was."""
        with reading(self._engine) as connection:
            row = connection.execute(select(decisions).where(decisions.c.run_id == run_id)).first()
        if row is None:
            return None
        return Decision(**{**row._asdict(), "verdict": DecisionVerdict(row.verdict)})

    def decide(self, decision: Decision) -> Decision:
        """Keep the decision unless there is one already; answers the one that holds."""
        row = {
            "run_id": decision.run_id,
            "plan_hash": decision.plan_hash,
            "verdict": decision.verdict.value,
            "decided_by": decision.decided_by,
            "at": decision.at,
            "act_id": decision.act_id,
        }
        with writing(self._engine) as connection:
            insert_new(connection, decisions, [row])
        return self.find(decision.run_id) or decision
