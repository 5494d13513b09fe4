"""What joining stack traces costs per line: on logs without any, on traces alone, on indented text.

    python -m benchmarks.traces [FILE]

FILE holds lines of any log; without it a few kinds of access and application lines are made.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.traces import TraceJoiner
from kelp.model.lines import STDERR, Lines
from kelp.model.raw import Instance

LINES, LANES, ROUNDS = 20_000, 20, 30
TRACES = Path(__file__).parents[1] / "tests" / "golden" / "traces"


def plain() -> list[bytes]:
    kinds = (
        b'10.0.0.%d - - [20/Nov/2026:10:11:12 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"',
        b"2026-11-20T10:11:12Z INFO request served in %d ms by worker of the shop",
        b'{"level":"info","msg":"request served","ms":%d,"path":"/checkout"}',
        b"time=2026-11-20T10:11:12Z level=info msg=served ms=%d",
    )
    return [kinds[i % len(kinds)] % i for i in range(LINES)]


def traces() -> list[bytes]:
    found: list[bytes] = []
    while len(found) < LINES:
        for path in sorted(TRACES.glob("*.txt")):
            found += [b for b in path.read_bytes().split(b"\n") if b != b"-----"]
    return found[:LINES]


def batch(bodies: Sequence[bytes], first: int) -> Lines:
    count = len(bodies)
    return Lines(
        instances=[Instance(str(i), {}) for i in range(LANES)],
        instance=(np.arange(count) * LANES // count).astype(np.int32),
        stream=np.full(count, STDERR, np.uint8),
        timestamp=np.arange(first, first + count),
        position=np.arange(first, first + count).astype(np.uint64),
        body=pa.array(bodies, pa.binary()),
        marks={},
        observed_ns=0,
    )


def cost(bodies: Sequence[bytes]) -> tuple[float, float]:
    """(CPU ns per line, records per line)."""
    joiner = TraceJoiner(16 << 20, 1.0, {})
    joiner.join(batch(bodies, 0))  # the patterns are put together at their first use
    spent, records = 0.0, 0
    for i in range(1, ROUNDS):
        lines = batch(bodies, i * len(bodies))
        begin = time.process_time()
        records += len(joiner.join(lines))
        spent += time.process_time() - begin
    count = (ROUNDS - 1) * len(bodies)
    return spent * 1e9 / count, records / count


def main() -> None:
    given = Path(sys.argv[1]).read_bytes().split(b"\n")[:LINES] if len(sys.argv) > 1 else []
    indented = [b"  name: value %d" % i for i in range(LINES)]
    kinds = {"logs": given or plain(), "traces": traces(), "indented text": indented}
    for name, bodies in kinds.items():
        ns, share = cost(bodies)
        print(f"{name:14} {ns:8.0f} ns a line  {share:5.2f} records a line")


if __name__ == "__main__":
    main()
