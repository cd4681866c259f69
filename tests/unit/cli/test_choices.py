"""What an option offers is written down, so that `--help` need not import it; it must not fall behind."""

from __future__ import annotations

from cli.notices import STATES
from cli.tokens import ROLES
from stores.sql.notices import NoticeState
from stores.sql.tokens import Role


def test_choices_are_those_that_are_known() -> None:
    assert list(STATES.choices) == [state.value for state in NoticeState]
    assert list(ROLES.choices) == [role.value for role in Role]
