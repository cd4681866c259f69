"""The repository's own texts, and what they name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What running and building leaves in the folder.
MADE_HERE = ("var", "dist")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A command stands in a code span or at the start of a line of a code block.
SPAN = re.compile(r"`(clubsync [^`]+)`")
LINE = re.compile(r"^\s*(?:[\w-]+: +)?(?:exec )?(clubsync .+)$", re.MULTILINE)


def tracked() -> list[Path]:
    """Every file of the repository, or of a copy without its history."""
    listed = subprocess.run(
        ["git", "ls-files"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part.startswith((".", "__")) or part in MADE_HERE for part in path.relative_to(ROOT).parts
        )
    ]


def pages() -> list[Path]:
    """Every page for people, in order."""
    return sorted(path for path in tracked() if path.suffix == ".md")


def page(name: str) -> str:
    return (ROOT / name).read_text()


def links(text: str) -> Iterator[str]:
    """Where the text points to within the repository, code blocks left out."""
    for target in LINK.findall(FENCE.sub("", text)):
        if not target.startswith(("http://", "https://", "mailto:")):
            yield target


def commands(text: str) -> Iterator[list[str]]:
    """Each `clubsync …` that the text names, as words."""
    blocks = "\n".join(FENCE.findall(text))
    for found in [*SPAN.findall(FENCE.sub("", text)), *LINE.findall(blocks)]:
        yield found.partition("#")[0].split()
