"""`python -m kelp.demo FOLDER`: write a living pods tree until told to end.

The node has a past of some minutes when it begins, so that there are rotated files, earlier runs
and stories to find at once. It says so, in a file, when that past is written.
"""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from kelp.base.clock import Clock, SystemClock
from kelp.demo.node import SimulatedNode

TICK_S = 0.1


def run(node: SimulatedNode, clock: Clock, stopped: threading.Event) -> None:
    """Let the node live at the clock's speed until `stopped`."""
    while not stopped.is_set():
        node.run_until(clock.now_ns())
        clock.sleep(TICK_S)
    node.close()


def main() -> None:
    """Parse the arguments and run until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m kelp.demo", description=__doc__)
    parser.add_argument("folder", type=Path, help="the pods tree to write; made where absent")
    parser.add_argument("--past-s", type=float, default=300.0, help="seconds of past")
    parser.add_argument("--ready-file", type=Path, help="made when the past is written")
    parser.add_argument("--seed", type=int, help="the same seed gives the same pods")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # there is nothing to read again
    clock = SystemClock()
    now_ns = clock.now_ns()
    seed = now_ns if arguments.seed is None else arguments.seed
    node = SimulatedNode(arguments.folder, now_ns - int(arguments.past_s * 1e9), seed)
    node.run_until(now_ns)
    if arguments.ready_file:
        arguments.ready_file.touch()
    run(node, clock, stopped)


if __name__ == "__main__":
    main()
