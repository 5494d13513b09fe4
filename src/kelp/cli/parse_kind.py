"""Whether a file is a container's log, as its runtime wrote it, or lines of whoever wrote them."""

from __future__ import annotations

import re

_LOOKED_AT = 16  # lines

_CRI = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^ ]* (?:stdout|stderr) [FP](?::[^ ]*)?(?: |$)")
_DOCKER = re.compile(rb'\s*\{\s*"log"\s*:\s*".*"(?:stream|time)"\s*:\s*"', re.DOTALL)


def is_container_log(beginning: bytes) -> bool:
    """By its first lines, most of which must be as a runtime writes them; an empty one is none."""
    lines = [line for line in beginning.split(b"\n", _LOOKED_AT * 4) if line.strip()][:_LOOKED_AT]
    written = sum(bool(_CRI.match(line) or _DOCKER.match(line)) for line in lines)
    return 2 * written > len(lines)
