"""What other packages do at a run's end, one after the other; a fault of theirs never ends the run."""

from __future__ import annotations

from sync.context import Context
from sync.errors import DeferredError, PermanentError
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    for name, extra in context.extras.items():
        context.stop.raise_if_stopping()
        try:
            extra(context, work)
        except DeferredError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's stage may raise anything, or end
            work.fail(f"stage {name}", PermanentError(f"{type(error).__name__}: {error}"))
