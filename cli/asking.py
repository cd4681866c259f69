"""Asking the person at the terminal before something happens."""

from __future__ import annotations

import sys

import click

from sync.errors import InvalidRequest


def ask(question: str, *, is_sure: bool, otherwise: str = "nothing was written") -> None:
    """Raises InvalidRequest, saying `otherwise`, when the person says no; a program is not asked."""
    if not is_sure and sys.stdin.isatty() and not click.confirm(question, err=True):
        raise InvalidRequest(otherwise)
