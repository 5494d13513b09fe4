"""Keeping child processes running until told to stop.

A child that ends is started again, at growing intervals while it keeps ending; one that ends
before it was ever ready ends everything, for what is wrong then stays wrong. SIGINT and SIGTERM
stop the children in the order in which they were given, each with a limit to how long it may take;
SIGHUP is passed on.

Signals are blocked and waited for: nothing runs in a handler, and there is nothing to poll fast.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.cli.children import ChildSpec, describe_exit, spawn

RESTART_FIRST_S = 1.0
RESTART_MAX_S = 15.0
# A child that ran for so long is well: its next end is a first one again.
WELL_AFTER_S = 30.0

# All children together: Ctrl-C may take five seconds, the ends of processes included.
STOP_S = 4.3

_STOPPING = {signal.SIGINT, signal.SIGTERM}
_SIGNALS = _STOPPING | {signal.SIGHUP, signal.SIGCHLD}
# How often processes and waits are looked at; signals come at once.
_TICK_S = 0.2


@dataclass
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes]
    started_at: float
    backoff: Backoff = field(default_factory=lambda: Backoff(RESTART_FIRST_S, RESTART_MAX_S))
    restart_at: float | None = None  # it ended, and is started again then


class Supervisor:
    """Runs children; use `with supervisor.signals():` around all of it."""

    def __init__(self, clock: Clock, tell: Callable[[str], None], stop_s: float = STOP_S) -> None:
        """`tell` gets what a person should know, a line each time; `stop` takes up to `stop_s`."""
        self._clock = clock
        self._tell = tell
        self._stop_s = stop_s
        self._children: list[_Child] = []
        self.stopped_by: signal.Signals | None = None

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Wait for signals instead of being interrupted by them; stop the children at the end.

        What is cleaned up inside is not interrupted either, by a second Ctrl-C for example.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            yield
        finally:
            try:
                self.stop()
            finally:
                while signal.sigtimedwait(_SIGNALS, 0):
                    pass  # what came while stopping has been done
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def start(self, spec: ChildSpec) -> None:
        """Start one more child; the first one started is the last one stopped."""
        self._children.append(_Child(spec, spawn(spec), self._clock.monotonic()))

    def wait_ready(self, is_ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until all is ready; False where a signal said to stop.

        Raises KelpError where a child ends instead, or it takes longer than `timeout_s`.
        """
        end = self._clock.monotonic() + timeout_s
        while not is_ready():
            if self._wait(0.05):
                return False
            for child in self._children:
                if child.process.poll() is not None:
                    how = describe_exit(child.process.returncode)
                    raise KelpError(f"the {child.spec.name} {how} before it was ready")
            if self._clock.monotonic() > end:
                raise KelpError(f"expected Kelp to be ready within {timeout_s:g} s; it is not")
        return True

    def run(self) -> None:
        """Keep the children running until SIGINT or SIGTERM."""
        while not self._wait(_TICK_S):
            for child in self._children:
                self._look_after(child)

    def stop(self) -> None:
        """End the children, the last started first; those that do not listen are killed.

        Each may use the time that is left, less what the ones after it are sure to have.
        """
        end = self._clock.monotonic() + self._stop_s
        while self._children:
            child = self._children.pop()
            reserved = sum(c.spec.patience_s for c in self._children)
            left = end - self._clock.monotonic() - reserved
            self._end(child, max(child.spec.patience_s, left))

    def _look_after(self, child: _Child) -> None:
        now = self._clock.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                child.process, child.started_at = spawn(child.spec), now
                child.restart_at = None
            return
        if child.process.poll() is None:
            return
        if now - child.started_at > WELL_AFTER_S:
            child.backoff.reset()
        wait_s = child.backoff.next_s()
        child.restart_at = now + wait_s
        how = describe_exit(child.process.returncode)
        self._tell(f"the {child.spec.name} {how}; starting it again in {wait_s:.1f} s")

    def _wait(self, timeout_s: float) -> bool:
        """Wait for a signal; True where it says to stop."""
        got = signal.sigtimedwait(_SIGNALS, timeout_s)
        if got is None:
            return False
        if got.si_signo in _STOPPING:
            self.stopped_by = signal.Signals(got.si_signo)
            return True
        if got.si_signo == signal.SIGHUP:
            for child in self._running():
                child.process.send_signal(signal.SIGHUP)
        return False

    def _running(self) -> Sequence[_Child]:
        return [c for c in self._children if c.process.poll() is None]

    def _end(self, child: _Child, patience_s: float) -> None:
        if child.process.poll() is not None:
            return
        child.process.terminate()
        try:
            child.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._tell(f"the {child.spec.name} does not stop; it is killed")
            child.process.kill()
            child.process.wait()
