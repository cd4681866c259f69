from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from benchmarks.sync.report import Row, to_markdown, to_svg, write

KEPT = Row("wall <first>", "s", 12.0, 15, "213 requests")
MISSED = Row("requests in a second", "", 51, 50)
TOLD = Row("CPU a request", "ms", 4.2)
NOTHING = Row("records written", "", 0, 0)


def test_a_row_tells_whether_its_must_holds() -> None:
    assert [row.verdict for row in (KEPT, MISSED, TOLD, NOTHING)] == ["holds", "**missed**", "", "holds"]
    assert Row("records written", "", 3, 0).verdict == "**missed**"


def test_table_has_figure_must_and_note() -> None:
    assert "| wall <first> | **12** s | <= 15 s | holds | 213 requests |" in to_markdown([KEPT], "today")


def test_plot_is_xml_with_a_bar_for_each_must() -> None:
    root = ET.fromstring(to_svg([KEPT, MISSED, TOLD]))
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"wall <first>", "80%", "102%"} <= set(texts)
    assert "CPU a request" not in texts


def test_rows_that_were_not_measured_again_stay(tmp_path: Path) -> None:
    write([KEPT, TOLD], "yesterday", tmp_path)
    write([Row("CPU a request", "ms", 3.1)], "today", tmp_path)
    table = (tmp_path / "sync.md").read_text()
    assert "3.10" in table
    assert "12" in table
    assert {path.name for path in tmp_path.iterdir()} == {"sync.md", "sync.svg", "sync.json"}
