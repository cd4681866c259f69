"""Runs the processes of one machine and ends them properly: one SIGTERM each, then patience.

Every child gets a session of its own, so that a Ctrl-C in the terminal reaches only the
supervisor: a second signal would make a dramatiq worker drop what it has in hand.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sync.errors import ConfigurationError

PR_SET_PDEATHSIG = 1  # linux/prctl.h: the signal a child gets when its parent dies
RESTART_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
HEALTHY_AFTER_S = 30.0
POLL_S = 0.1
STOP_MARGIN_S = 5.0  # on top of a worker's own grace period


@dataclass(slots=True)
class Child:
    """A process under supervision."""

    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes]
    started_at_s: float
    restarts: int = 0
    restart_at_s: float | None = None
    is_known_to_have_ended: bool = False

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None


@dataclass(slots=True)
class Supervisor:
    """Starts children, shows their output, restarts crashed ones, stops all.

    With `log_dir`, output goes to `<log_dir>/<name>.log`; without, to `say` line by line.
    `meanwhile` is called between two looks at the children, while they run and while they end.
    """

    environ: Mapping[str, str]
    say: Callable[[str, str], None]
    log_dir: Path | None = None
    meanwhile: Callable[[], object] = lambda: None
    children: list[Child] = field(default_factory=list)

    def start(self, name: str, argv: Sequence[str]) -> Child:
        child = Child(name, argv, self._spawn(name, argv), time.monotonic())
        self.children.append(child)
        return child

    def wait_until(self, is_ready: Callable[[], bool], *, what: str, timeout_s: float) -> None:
        """Wait for a condition; a child that dies meanwhile ends the wait with its reason.

        Raises ConfigurationError.
        """
        deadline_s = time.monotonic() + timeout_s
        while not is_ready():
            for child in self.children:
                if not child.is_alive:
                    raise ConfigurationError(f"{child.name} ended while starting{self._last_words(child)}")
            if time.monotonic() > deadline_s:
                raise ConfigurationError(f"{what} was not ready within {timeout_s:.0f} s")
            time.sleep(POLL_S)

    def watch(self, should_stop: Callable[[], bool]) -> None:
        """Restart crashed children until told to stop or until all have ended by themselves."""
        while not should_stop():
            for child in self.children:
                self._tend(child)
            if not any(child.is_alive or child.restart_at_s is not None for child in self.children):
                return
            self.meanwhile()
            time.sleep(POLL_S)

    def stop(self, *, grace_s: float) -> bool:
        """One SIGTERM to each child, then wait; after the grace period what is left is killed.

        Answers whether all ended by themselves with exit code 0.
        """
        for child in self.children:
            child.restart_at_s = None
            if child.is_alive:
                child.process.terminate()
        deadline_s = time.monotonic() + grace_s
        while time.monotonic() < deadline_s and any(child.is_alive for child in self.children):
            self.meanwhile()
            time.sleep(POLL_S)
        for child in self.children:
            if child.is_alive:
                self.say(child.name, f"did not end within {grace_s:.0f} s: killed")
            # The session's group too: a worker's own children must not outlive it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        return all(child.process.returncode == 0 for child in self.children)

    def _tend(self, child: Child) -> None:
        now_s = time.monotonic()
        if child.restart_at_s is not None:
            if now_s >= child.restart_at_s:
                child.restart_at_s = None
                child.process = self._spawn(child.name, child.argv)
                child.started_at_s = now_s
            return
        if child.is_alive:
            return
        if child.process.returncode == 0:
            if not child.is_known_to_have_ended:
                child.is_known_to_have_ended = True
                self.say(child.name, "ended as it was told to; it is not started again")
            return
        # A crashed master leaves its workers behind; they drain while the next one starts.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGTERM)
        if now_s - child.started_at_s > HEALTHY_AFTER_S:
            child.restarts = 0
        backoff_s = RESTART_BACKOFF_S[min(child.restarts, len(RESTART_BACKOFF_S) - 1)]
        child.restarts += 1
        child.restart_at_s = now_s + backoff_s
        self.say(child.name, f"ended with code {child.process.returncode}; started again in {backoff_s:g} s")

    def _spawn(self, name: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        if self.log_dir is not None:
            with (self.log_dir / f"{name}.log").open("ab") as log:
                return self._popen(argv, stdout=log)
        process = self._popen(argv, stdout=subprocess.PIPE)
        if process.stdout is not None:
            threading.Thread(target=self._echo, args=(name, process.stdout), daemon=True).start()
        return process

    def _popen(self, argv: Sequence[str], *, stdout: int | IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (our own commands)
            argv,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (one prctl, loaded before the fork)
        )

    def _echo(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.say(name, line.decode(errors="replace").rstrip())

    def _last_words(self, child: Child) -> str:
        if self.log_dir is None:
            return f" with code {child.process.returncode}"
        lines = (self.log_dir / f"{child.name}.log").read_text(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else f" with code {child.process.returncode}"


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this very Python."""
    return [sys.executable, "-m", module, *arguments]


def stop_on_signals() -> Callable[[], bool]:
    """SIGTERM and SIGINT raise a flag instead of an exception; answers how to read it."""
    flag = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: flag.set())
    return flag.is_set


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    # Only Linux can tie a child to its parent's life; elsewhere a killed supervisor leaves its children.
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
