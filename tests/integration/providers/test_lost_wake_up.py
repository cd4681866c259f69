"""A request that waits for a place is not forgotten by gevent."""

from __future__ import annotations

import subprocess
import sys

# In one turn of the loop: a place is given back, a request finds it taken again and waits, and
# the only other one that waited for a place gives up waiting.
SCRIPT = """
from gevent import monkey

monkey.patch_all()

import time
from contextlib import ExitStack

import gevent

from providers.turnstile import Turnstile
from tests.outbound import MemoryAdmission

held = ExitStack()
REFUSED = MemoryAdmission(is_admitted=False, wait_s=0.02, reason="concurrency")


class Ledger:
    def __init__(self):
        self.answers = [MemoryAdmission(is_admitted=True), REFUSED, REFUSED]

    def admit(self, place, *, is_urgent):
        answer = self.answers.pop(0) if self.answers else MemoryAdmission(is_admitted=True)
        if not self.answers:
            held.close()
        return answer

    def release(self, place, *, late_s=0.0):
        pass


def ask(after_s):
    gevent.sleep(after_s)
    with turnstile.pass_through("fetch", is_urgent=False):
        pass


turnstile = Turnstile(Ledger(), max_pause_s=1)
held.enter_context(turnstile.pass_through("fetch", is_urgent=False))
asking = [gevent.spawn(ask, 0), gevent.spawn(ask, 0.01)]
gevent.sleep(0.001)
busy_until_s = time.monotonic() + 0.1
while time.monotonic() < busy_until_s:
    pass
gevent.joinall(asking, timeout=30)
print([each.dead for each in asking])
"""


def test_a_place_that_is_freed_while_others_give_up_waiting_leaves_nobody_behind() -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[True, True]"
