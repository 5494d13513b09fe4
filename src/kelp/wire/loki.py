"""Loki's push: what Promtail, Alloy, Fluent Bit and everyone else who knows Loki sends.

Format: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs. The JSON form is
`{"streams": [{"stream": {labels}, "values": [["<ns>", "line", {metadata}?], …]}, …]}`.
"""

from __future__ import annotations

import re

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.wire.pushed import (
    Metadata,
    Pushed,
    PushedRows,
    PushError,
    metadata_name,
    why_refused,
    without_repeats,
)


class _Entry(msgspec.Struct, array_like=True, gc=False):
    timestamp: str
    line: str
    metadata: dict[str, str] = {}


class _Stream(msgspec.Struct):
    stream: dict[str, str]
    values: list[_Entry]


class _Push(msgspec.Struct):
    streams: list[_Stream]


_EXPECTED = 'expected {"streams": [{"stream": {…}, "values": [["<ns>", "<line>"], …]}]}'
_decoder = msgspec.json.Decoder(_Push)

# All up to the next escape of half a surrogate pair, or that escape; a fixed pattern of ours that
# never goes back.
_HALVES = re.compile(
    rb"((?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)++)"
    rb"|\\u....",
    re.DOTALL,
)
_MAX_HALVES = 200_000  # so much is looked at piece by piece; a body with more is refused


def decode_json(data: bytes) -> Pushed:
    """Rows of a push in JSON; raises PushError where the whole of it cannot be read.

    A stream whose labels are not allowed is rejected alone: its sender will not send the others
    again.
    """
    try:
        push = _decode(data)
    except msgspec.MsgspecError as e:
        raise PushError(f"{_EXPECTED}; got something else: {e}") from e
    except RecursionError as e:
        raise PushError(f"{_EXPECTED}; got JSON that is nested too deeply") from e
    pushed = Pushed([])
    for stream in push.streams:
        if not stream.values:
            continue
        if why := why_refused(stream.stream):
            pushed.rejected.append(why)
            continue
        pushed.rows.append(_rows(stream))
    return pushed


def _decode(data: bytes) -> _Push:
    """The push; what is no text in it becomes U+FFFD, as in Go: better than no logs at all.

    Bytes that are no UTF-8 come so, and escapes of half a character (`"\\udcff"`): Python's loggers
    write those where a line was read with surrogateescape.
    """
    try:
        return _decoder.decode(data)
    except UnicodeError:
        pass
    except msgspec.DecodeError as e:
        if "surrogate" not in str(e):
            raise
    text = data.decode("utf-8", "replace").encode()
    return _decoder.decode(_HALVES.sub(_whole, text, count=_MAX_HALVES))


def _whole(found: re.Match[bytes]) -> bytes:
    return found[1] or rb"\ufffd"


def _rows(stream: _Stream) -> PushedRows:
    values = stream.values
    metadata: list[Metadata | None] = []
    if any(e.metadata for e in values):
        metadata = [_metadata(e.metadata) for e in values]
    try:
        lines = pa.array([e.line for e in values], pa.string()).cast(pa.binary())
    except (pa.ArrowInvalid, UnicodeError) as e:
        raise PushError(
            "expected lines of Unicode text; got half of a surrogate pair (\\ud800 to \\udfff): "
            "leave it out, or send U+FFFD in its place"
        ) from e
    times = _times([e.timestamp for e in values])
    return without_repeats(PushedRows(stream.stream, times, lines, metadata))


def _metadata(named: dict[str, str]) -> Metadata | None:
    return {metadata_name(k): v for k, v in named.items()} if named else None


def _times(texts: list[str]) -> npt.NDArray[np.int64]:
    try:
        times: npt.NDArray[np.int64] = pa.array(texts).cast(pa.int64()).to_numpy()
    except (pa.ArrowInvalid, UnicodeError):
        wrong = next((t for t in texts if not _is_time(t)), "")
        raise PushError(
            f'expected timestamps as strings of nanoseconds since 1970; got "{wrong[:40]}"'
        ) from None
    return times


def _is_time(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 20 and abs(int(text)) < 1 << 63
