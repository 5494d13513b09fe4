"""Where lines end in a block of bytes, and the time that stands in front of a line.

No loop over lines: the last newline of a block is all that reading whole lines needs. The time is
read once a block, from its last line, to say between when bytes were lost.

Format: https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
(`2016-10-06T00:17:09.669794202Z stdout F log content`).
"""

from __future__ import annotations

import re
from datetime import datetime

_WINDOWS = (4096, 1 << 16)  # looked at first: most lines are short, and each look copies
_STAMP_BYTES = 40  # RFC 3339 with nanoseconds and an offset takes 35
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)[ \n]")


def end_of_lines(block: memoryview) -> int:
    """How many of the bytes are whole lines, newline included; 0 where there is no newline."""
    for window in (*_WINDOWS, len(block)):
        tail = bytes(block[-window:])
        at = tail.rfind(b"\n")
        if at >= 0:
            return len(block) - len(tail) + at + 1
        if window >= len(block):
            return 0
    return 0


def last_stamp(lines: memoryview) -> bytes:
    """The first bytes of the last line; empty where it begins too far back to look for cheaply."""
    tail = bytes(lines[-_WINDOWS[0] :])
    start = tail.rfind(b"\n", 0, max(len(tail) - 1, 0)) + 1
    if start == 0 and len(lines) > len(tail):
        return b""
    return tail[start : start + _STAMP_BYTES]


def stamp_ns(line: bytes) -> int:
    """Nanoseconds since the epoch of the CRI time that `line` begins with; 0 where it has none."""
    match = _TIME.match(line)
    if match is None:
        return 0
    seconds, fraction, zone = (g.decode() if g else "" for g in match.groups())
    try:
        moment = datetime.fromisoformat(seconds + zone.replace("Z", "+00:00"))
    except ValueError:
        return 0
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))
