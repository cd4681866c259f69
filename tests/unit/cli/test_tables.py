"""Tables show what they are given, as it is, in any width."""

from __future__ import annotations

import pytest

from cli.tables import Painted, print_table

LONG = "ProviderUnavailable: fetch games of grade 1a2b: the provider answered 503 Service Unavailable"
ID = "ef30c69e-bf84-65a8-c2dc-cd8e3892cd54"


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.tables.WIDTH_OF_PIPES", 80)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_cells_are_never_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "what"], [["Rovers [/bar]", "[red]x"], [Painted("failed", "red"), "y"]])
    assert printed(capsys) == ["name          what", "Rovers [/bar] [red]x", "failed        y"]


def test_what_would_steer_the_terminal_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["reason"], [["a\x1b[2Jb\nc\td\x07"]])
    assert printed(capsys) == ["reason", "a [2Jb c d"]


@pytest.mark.usefixtures("width")
def test_last_column_goes_below_its_row_where_it_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["message", "died", "reason"], [[ID, "2 min ago", LONG], [ID, "never", ""]])
    lines = printed(capsys)
    assert lines[:3] == [f"message{' ' * 30}died", "    reason", f"{ID} 2 min ago"]
    assert " ".join(line.strip() for line in lines[3:-1]) == LONG
    assert lines[-1] == f"{ID} never"


@pytest.mark.usefixtures("width")
def test_several_that_do_not_fit_are_named_below(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["run", "of", "preset", "state", "requested", "seconds"]
    print_table(columns, [[ID, "account 3", "full", Painted("failed", "red"), "a very long while ago", 2.5]])
    lines = printed(capsys)
    assert lines == [
        f"run{' ' * 34}of        preset state",
        f"{ID} account 3 full   failed",
        "    requested a very long while ago  seconds 2.5",
    ]


@pytest.mark.usefixtures("width")
def test_what_is_too_long_by_itself_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "n"], [["x" * 100, 1]])
    assert printed(capsys) == ["id", "    n", "x" * 80, "x" * 20, "    1"]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["group", "letters"], [])
    assert printed(capsys) == ["group letters", "none"]
