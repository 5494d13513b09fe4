"""The yardstick: what a machine needs for `zstd -1` over the same bytes is one zu.

Machines differ and are noisy; CPU seconds divided by the yardstick's, both taken in one run, can
be compared between them.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

BLOCK_BYTES = 4 << 20


def blocks(files: list[Path]) -> Iterator[bytes]:
    """The files' bytes in blocks."""
    for path in files:
        with path.open("rb", buffering=0) as f:
            while block := f.read(BLOCK_BYTES):
                yield block


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def zstd_seconds(files: list[Path], rounds: int = 3) -> float:
    """CPU seconds of one thread of zstd -1 over the files, the best of some rounds."""
    codec = pa.Codec("zstd", compression_level=1)
    best = float("inf")
    for _ in range(rounds):
        spent = 0.0
        for block in blocks(files):
            start = cpu_seconds()
            codec.compress(block)
            spent += cpu_seconds() - start
        best = min(best, spent)
    return best
