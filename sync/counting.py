"""Counts in sentences, for nouns whose plural ends in s."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 dead letter`, `2,000 dead letters`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def counted_stay(number: int, noun: str) -> str:
    """`1 record stays as it is`, `2,000 records stay as they are`."""
    return f"{counted(number, noun)} {'stays as it is' if number == 1 else 'stay as they are'}"


def counted_are(number: int, noun: str) -> str:
    """`1 change is`, `2,000 changes are`."""
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"
