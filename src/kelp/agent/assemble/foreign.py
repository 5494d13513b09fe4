"""Lines whose head the fast path does not know, one at a time: there are few of them.

What they may be, tried in this order:

- CRI with more tags (`F:x`): a record like any other;
- CRI whose time stamp or tag is not what it should be: stream and body are taken, the record is
  marked, a time stamp that cannot be read is kept in an attribute;
- a line of Docker's json-file driver, `{"log":"…\\n","stream":"stdout","time":"…"}`: unwrapped; a
  `log` without a newline at its end is a fragment, for Docker splits at 16 KiB;
- anything else: kept whole, marked.

Format of json-file: https://docs.docker.com/engine/logging/drivers/json-file/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from kelp.model.batch import ATTR_MALFORMED
from kelp.model.lines import NO_STREAM, STDERR, STDOUT

# The time stamp of a line, as it stood, where it could not be read.
ATTR_TIMESTAMP_TEXT = "kelp.timestamp_text"
# Docker's `--log-opt labels/env/tag`, each behind this prefix.
ATTRS_PREFIX = "docker.attrs."

_STREAMS = {"stdout": STDOUT, "stderr": STDERR, b"stdout": STDOUT, b"stderr": STDERR}
# A fixed pattern without nested repeats: linear, so `re` will do.
_CRI = re.compile(rb"(\S{1,64}) (stdout|stderr) (?:([PF])(?::[^ ]*)?(?: |\Z)|)(.*)\Z", re.DOTALL)


class _DockerLine(msgspec.Struct):
    log: str
    stream: str
    time: str
    attrs: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(_DockerLine)


@dataclass(frozen=True)
class Foreign:
    """What a line holds. `time` is still text, empty where there is none."""

    body: bytes
    format: str  # cri or docker
    time: bytes = b""
    stream: int = NO_STREAM
    partial: bool = False
    marks: dict[str, str] = field(default_factory=dict)


def read_foreign(line: bytes) -> Foreign:
    """What a line holds that is no ordinary CRI line; never fails."""
    match = _CRI.match(line)
    if match:
        time, stream, tag, body = match.groups()
        marks = {} if tag else {ATTR_MALFORMED: "cri"}
        return Foreign(body, "cri", time, _STREAMS[stream], tag == b"P", marks)
    if line.startswith(b"{"):
        return _read_docker(line)
    return Foreign(line, "cri", marks={ATTR_MALFORMED: "cri"})


def _read_docker(line: bytes) -> Foreign:
    try:
        found = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Foreign(line, "docker", marks={ATTR_MALFORMED: "docker"})
    if found.stream not in _STREAMS:
        return Foreign(line, "docker", marks={ATTR_MALFORMED: "docker"})
    body = found.log.encode()
    marks = {ATTRS_PREFIX + k: v for k, v in found.attrs.items()}
    whole = body.endswith(b"\n")
    time = found.time.encode() or b"?"
    return Foreign(
        body[:-1] if whole else body, "docker", time, _STREAMS[found.stream], not whole, marks
    )
