"""Invented names. Any likeness to a real club is chance."""

from __future__ import annotations

from random import Random

_PLACES = (
    "Harbour", "Wattle", "Saltbush", "Ironbark", "Quarry", "Lighthouse", "Copper", "Millstream", "Banksia",
    "Tern Island", "Gumnut", "Riverbend", "Old Ferry", "Stonybrook", "Kestrel", "Blackwood", "Pelican",
    "Sandgate", "Windmill", "Orchard", "Boundary", "Junction", "Cedar", "Foxglove", "Tidewater", "Granite",
    "Lakeside", "Highfield", "Myrtle", "Drovers", "Paperbark", "Silverdale", "Coral", "Wharf", "Summit",
    "Bracken", "Clearwater", "Northgate", "Fern Valley", "Redgum",
)  # fmt: skip
_SUFFIXES = ("", " Park", " Heights", " Bay", " Creek", " Hill", " Point", " Vale", " Plains", " Ridge")
_NICKNAMES = (
    "Hawks", "Magpies", "Rovers", "Wanderers", "Kookaburras", "Mariners", "Stags", "Comets", "Dingoes",
    "Lions", "Falcons", "Pirates", "Bulls", "Swans", "Miners", "Wombats", "Colts", "Royals", "Blazers",
    "Owls",
)  # fmt: skip
_CLUB_ENDING = {"cricket": "CC", "afl": "FC", "netball": "NC"}
_VENUES = ("Reserve", "Oval", "Park", "Recreation Ground", "Sports Ground", "Memorial Ground")


def place(serial: int) -> str:
    """A place name; the first 400 differ from each other."""
    return _PLACES[serial % len(_PLACES)] + _SUFFIXES[serial // len(_PLACES) % len(_SUFFIXES)]


def club_name(serial: int, sport: str) -> str:
    nickname = _NICKNAMES[(serial * 7 + serial // 20) % len(_NICKNAMES)]
    return f"{place(serial * 3 + 1)} {nickname} {_CLUB_ENDING[sport]}"


def team_name(club: str, number: int, *, is_junior: bool, label: str) -> str:
    """The name of a club's side: "Harbour Hawks 2nd XI" or "Harbour Hawks U12 Gold"."""
    stem = club.rsplit(" ", 1)[0]
    if is_junior:
        colours = ("Gold", "Blue", "Green", "Red", "White", "Black")
        return f"{stem} {label.split(' ', maxsplit=1)[0]} {colours[number % len(colours)]}"
    return f"{stem} {_ordinal(number + 1)} XI"


def venue_name(rng: Random, suburb: str) -> str:
    return f"{suburb} {rng.choice(_VENUES)}"


def slug(name: str) -> str:
    return "-".join(name.lower().replace("/", " ").split())


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
