"""Ctrl-C that is never lost.

Python raises KeyboardInterrupt wherever it happens to be. Within a finalizer (a response that is
being closed) nobody can catch it: the interpreter prints it as ignored and goes on, and a command
that follows logs would follow them for ever.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

_AGAIN_S = 0.02  # by then the finalizer has returned


def never_lose_interrupts() -> None:
    """Send an interrupt again that came at a place where it had no effect."""
    told_before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            told_before(unraisable)
            return
        again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
