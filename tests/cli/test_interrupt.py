"""An interrupt that comes while something is finalized ends the command all the same."""

import subprocess
import sys

CODE = """
import gc, os, signal, time
from kelp.cli.interrupt import never_lose_interrupts
never_lose_interrupts()
class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
Closing()
try:
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_in_a_finalizer_is_not_lost():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=20, check=False
    )
    assert ("interrupted\n", "") == (done.stdout, done.stderr)
