from __future__ import annotations

import signal
from typing import cast

from actors.process.settings_reload import look_on_sighup
from settings.reload import Reloader


class Asked:
    """A reloader that notes that it was asked to look."""

    times = 0

    def ask(self) -> None:
        self.times += 1


def test_sighup_asks_for_a_look_and_ends_nothing() -> None:
    asked = Asked()
    before = signal.getsignal(signal.SIGHUP)
    try:
        look_on_sighup(cast("Reloader", asked))
        signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert asked.times == 1
