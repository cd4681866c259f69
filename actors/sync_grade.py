"""Do one grade of an association's run; internal, sent by the run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dramatiq

from actors.requests import is_urgent, read_message
from brokers.messages import Request, SyncGrade
from brokers.queues import Priority
from sync.grades.ports import GradeTask
from sync.ports import Fence

PerformGrade = Callable[[GradeTask], object]

# Past a throttled provider's pace for one grade; the run takes it back long before.
_TIME_LIMIT_S = 5 * 60


def declare(broker: dramatiq.Broker, perform_grade: PerformGrade) -> None:
    """No retry: a grade that fails here goes back to its run, which judges the error."""

    @dramatiq.actor(
        broker=broker,
        actor_name=SyncGrade.actor_name,
        queue_name=SyncGrade.queue_name.value,
        broker_priority=SyncGrade.priority.value,
        max_retries=0,
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def sync_grade(**fields: Any) -> None:
        message = read_message(SyncGrade, fields)
        perform_grade(
            GradeTask(
                run_id=message.of_run_id,
                grade_id=message.grade_id,
                season_id=message.season_id,
                fence=Fence(message.fence_key, message.fence_token),
                fresh_after=message.fresh_after,
                is_urgent=is_urgent(message),
            )
        )


def requests_for(tasks: Sequence[GradeTask]) -> list[Request]:
    """The tasks as messages; those of an urgent run are urgent enough to overtake the batch."""
    return [
        Request(
            SyncGrade(
                of_run_id=task.run_id,
                grade_id=task.grade_id,
                season_id=task.season_id,
                fence_key=task.fence.key,
                fence_token=task.fence.token,
                fresh_after=task.fresh_after,
            ),
            Priority.HIGH if task.is_urgent else SyncGrade.priority,
        )
        for task in tasks
    ]
