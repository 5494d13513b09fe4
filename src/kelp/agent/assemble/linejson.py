"""The time in a plain line of JSON: under the keys that logging libraries use for it.

    {"level":"info","ts":"2026-11-20T10:11:12.510Z","caller":"embed/etcd.go:138", …   zap, etcd
    {"ts":1795169472123.4567,"caller":"kubelet.go:42","msg":"…","v":4}                klog
    {"level":30,"time":1795169472123,"pid":7, …                                       pino

The first such key counts. What it stands in is not parsed: it must follow a brace or a comma.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kelp.agent.assemble.wall import Flags, Nanos
from kelp.base.gather import Places

_KEY = r'[{,][ \t]*"(?:ts|time|timestamp|@timestamp|@t|t|eventTime)"[ \t]*:[ \t]*'
# The first key of all, or the first behind others.
_BEFORE = r"^[ \t]*(?:\{[^\n]*?)??"
_TEXT = rf'{_BEFORE}{_KEY}"(?P<value>[0-9]{{4}}[-/])'
_NUMBER = (
    rf"{_BEFORE}{_KEY}(?P<whole>[1-9][0-9]{{8,18}})(?:\.(?P<fraction>[0-9]{{1,9}})[0-9]*)?"
    r"[ \t]*[,}]"
)
# Digits of a whole number of seconds, of milliseconds, of microseconds; more are nanoseconds.
_UNITS = ((11, 1_000_000_000), (14, 1_000_000), (17, 1_000))


def text_places(lines: pa.BinaryArray) -> tuple[Places, Flags]:
    """(where in each line a time begins that is written as a text, whether there is one)."""
    found = pc.extract_regex_span(lines, _TEXT)
    known: Flags = found.is_valid().to_numpy(zero_copy_only=False)
    spans = found.field("value").values.to_numpy(zero_copy_only=False).reshape(-1, 2)
    return np.where(known, spans[:, 0], 0).astype(np.int64), known


def epoch_times(lines: pa.BinaryArray) -> tuple[Nanos, Flags]:
    """(n,) ns since the epoch of times that are numbers, and whether there is one."""
    found = pc.extract_regex(lines, _NUMBER)
    known: Flags = found.is_valid().to_numpy(zero_copy_only=False)
    times = np.zeros(len(lines), np.int64)
    mine = np.flatnonzero(known)
    if not len(mine):
        return times, known
    found = found.take(pa.array(mine))
    whole = pc.cast(found.field("whole"), pa.string())
    fraction = pc.utf8_rpad(pc.cast(found.field("fraction"), pa.string()), 9, "0")
    length = pc.binary_length(whole).to_numpy(zero_copy_only=False)
    scale = np.ones(len(mine), np.int64)
    for digits, unit in reversed(_UNITS):
        scale[length <= digits] = unit
    number = _integers(whole)
    good = number < np.iinfo(np.int64).max // scale
    times[mine] = np.where(good, number * scale + _integers(fraction) * scale // 1_000_000_000, 0)
    known[mine] = good
    return times, known


def _integers(texts: pa.StringArray) -> Nanos:
    numbers: Nanos = pc.cast(texts, pa.int64()).to_numpy(zero_copy_only=False)
    return numbers
