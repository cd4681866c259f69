from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.broker.report import Figure, Row, to_markdown, to_svg, write

SENT = Row(
    "send",
    "messages/s",
    (Figure("stock", 1000.0), Figure("ours", 2500.0), Figure("floor", 9000.0)),
    must="2 x",
)
LATE = Row("late <b>", "ms", (Figure("stock", 300.0), Figure("ours", 2.0)), is_rate=False)
LOST = Row("kill", "s", (Figure("stock", None, "8 left after 90 s"), Figure("ours", 9.5)), is_rate=False)


def test_ratio_is_how_many_times_better_than_stock_ours_is() -> None:
    assert (SENT.ratio, LATE.ratio, LOST.ratio) == (2.5, 150.0, None)


def test_table_names_every_figure_and_what_is_no_number() -> None:
    table = to_markdown([SENT, LOST], "today")
    assert (
        "| send | messages/s | stock: **1,000**<br>ours: **2,500**<br>floor: **9,000** | 2.50 x | 2 x |"
        in table
    )
    assert "stock: **8 left after 90 s**<br>ours: **9.50**" in table


def test_plot_is_xml_with_a_bar_for_each_ratio() -> None:
    root = ET.fromstring(to_svg([SENT, LATE, LOST]))
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "late <b>" in texts
    assert "2.5 x" in texts
    assert "kill" not in texts


def test_table_and_plot_are_written_together(tmp_path: Path) -> None:
    write([SENT], "today", tmp_path / "docs")
    assert {path.name for path in (tmp_path / "docs").iterdir()} == {"broker.md", "broker.svg", "broker.json"}


def test_rows_that_were_not_measured_again_stay(tmp_path: Path) -> None:
    write([SENT, LATE], "yesterday", tmp_path)
    write([Row("send", "messages/s", (Figure("stock", 1000.0), Figure("ours", 3000.0)))], "today", tmp_path)
    table = (tmp_path / "broker.md").read_text()
    assert "3.00 x" in table
    assert "2.50 x" not in table
    assert "150.00 x" in table
