"""Lines whose head the fast path does not know, one at a time: there are few of them.

What they may be, tried in this order:

- CRI with more tags (`F:x`): a record like any other;
- CRI whose time stamp or tag is not what it should be: stream and body are taken, the record is
  marked, a time stamp that cannot be read is kept in an attribute;
- a line of Docker's json-file driver, `{"log":"…\\n","stream":"stdout","time":"…"}`, in any order
  and with blanks: unwrapped; a `log` without a newline at its end is a fragment, for Docker splits
  at 16 KiB. Bytes that are no UTF-8 stay as they are, half a surrogate pair becomes U+FFFD. Where
  it has a `log` and nothing that is no Docker's, but no stream or no time, it is unwrapped
  and marked;
- anything else: kept whole, marked.

Format of json-file: https://docs.docker.com/engine/logging/drivers/json-file/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from kelp.agent.assemble.jsonfile import ATTRS_PREFIX
from kelp.model.batch import ATTR_MALFORMED
from kelp.model.lines import NO_STREAM, STDERR, STDOUT

# The time stamp of a line, as it stood, where it could not be read.
ATTR_TIMESTAMP_TEXT = "kelp.timestamp_text"

_STREAMS = {"stdout": STDOUT, "stderr": STDERR, b"stdout": STDOUT, b"stderr": STDERR}
# A fixed pattern without nested repeats: linear, so `re` will do.
_CRI = re.compile(rb"(\S{1,64}) (stdout|stderr) (?:([PF])(?::[^ ]*)?(?: |\Z)|)(.*)\Z", re.DOTALL)


class _DockerLine(msgspec.Struct):
    log: str
    stream: str
    time: str
    attrs: dict[str, str] = {}


class _Incomplete(msgspec.Struct, forbid_unknown_fields=True):
    """Some other program's object may have a log, too: so nothing else may be in it."""

    log: str
    stream: Literal["", "stdout", "stderr"] = ""
    time: str = ""
    attrs: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(_DockerLine)
_INCOMPLETE = msgspec.json.Decoder(_Incomplete)
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HALF = re.compile("[\ud800-\udfff]")  # what stands alone of a surrogate pair
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # of them, those that are no raw byte
_UNKNOWN = "\ufffd"


@dataclass(frozen=True)
class Foreign:
    """What a line holds. `time` is still text, empty where there is none.

    `torn`: it is no line of the format, so that nobody knows what is missing before it.
    """

    body: bytes
    format: str  # cri or docker
    time: bytes = b""
    stream: int = NO_STREAM
    partial: bool = False
    marks: dict[str, str] = field(default_factory=dict)
    torn: bool = False


def read_foreign(line: bytes) -> Foreign:
    """What a line holds that is no ordinary CRI line; never fails."""
    match = _CRI.match(line)
    if match:
        time, stream, tag, body = match.groups()
        marks = {} if tag else {ATTR_MALFORMED: "cri"}
        return Foreign(body, "cri", time, _STREAMS[stream], tag == b"P", marks)
    if line.startswith(b"{"):
        return _read_docker(line)
    return Foreign(line, "cri", marks={ATTR_MALFORMED: "cri"}, torn=True)


def _read_docker(line: bytes) -> Foreign:
    found = _docker_line(line)
    if found is None:
        return Foreign(line, "docker", marks={ATTR_MALFORMED: "docker"}, torn=True)
    body = _NO_BYTE.sub(_UNKNOWN, found.log).encode(errors="surrogateescape")
    marks = {ATTRS_PREFIX + k: v for k, v in found.attrs.items()}
    stream = _STREAMS.get(found.stream, NO_STREAM)
    if not (found.time and stream):
        marks[ATTR_MALFORMED] = "docker"
    whole = body.endswith(b"\n")
    return Foreign(
        body[:-1] if whole else body, "docker", found.time.encode(), stream, not whole, marks
    )


def _docker_line(line: bytes) -> _DockerLine | _Incomplete | None:
    try:
        found = _DECODER.decode(line)
        if found.stream in _STREAMS:
            return found
    except _ERRORS:
        pass
    try:
        return _INCOMPLETE.decode(line)
    except _ERRORS:
        return _docker_line_of_bytes(line)


def _docker_line_of_bytes(line: bytes) -> _DockerLine | _Incomplete | None:
    """One that is no text throughout; raw bytes of its log are as by `surrogateescape`."""
    is_text = True
    try:
        line.decode()
    except UnicodeDecodeError:
        is_text = False
    if is_text and b"\\ud" not in line and b"\\uD" not in line:
        return None
    try:
        value = json.loads(line.decode(errors="surrogateescape"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    value = {
        _HALF.sub(_UNKNOWN, k): _mended(v, keep=k == "log" and not is_text)
        for k, v in value.items()
    }
    try:
        found = msgspec.convert(value, _DockerLine)
        if found.stream in _STREAMS:
            return found
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(value, _Incomplete)
    except msgspec.ValidationError:
        return None


def _mended(value: object, *, keep: bool) -> object:
    """A value of which all texts can be encoded, but one that is to keep its raw bytes."""
    if isinstance(value, str):
        return value if keep else _HALF.sub(_UNKNOWN, value)
    if isinstance(value, dict):
        return {_HALF.sub(_UNKNOWN, k): _mended(v, keep=False) for k, v in value.items()}
    return value
