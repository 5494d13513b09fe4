"""Child processes that live and die with their parent.

They are started in process groups of their own, so that Ctrl-C reaches the parent alone, which
then stops them in order; and they are told by the kernel when the parent is gone however it went
(PR_SET_PDEATHSIG), so that none is left behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class ChildSpec:
    """A process to run: its name for messages, its command line and environment."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    # The seconds that it has at the least, once told, to end by itself before it is killed.
    patience_s: float = 1.0


def spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    """Start it; what it says on standard error is heard, its output is not. Raises OSError."""
    return subprocess.Popen(
        list(spec.command),
        env=dict(spec.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_before_exec(os.getpid()),  # noqa: PLW1509 - the parent has one thread
    )


def describe_exit(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"was killed by {name}"


def _before_exec(parent: int) -> Callable[[], None]:
    """What the child does between fork and exec; everything it needs is loaded before the fork."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:  # it went before we asked
                os._exit(1)

    return prepare
