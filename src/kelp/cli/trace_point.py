"""One place in a log: from a record to its bytes, or from a file's offset to its record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from kelp.agent.lookback.content import Piece, line_at, opened
from kelp.agent.lookback.fragments import fragments_of
from kelp.base.errors import KelpError
from kelp.cli.times import format_utc_ns
from kelp.cli.trace_report import Log, TracedFile
from kelp.cli.trace_store import TraceStore
from kelp.model.fragments import Fragments
from kelp.model.lines import STREAM_NAMES
from kelp.node.trace.compare import Records
from kelp.node.trace.ranges import Range

# How far before a line its record may begin: looked at in steps, for the first mostly suffices.
_REACHES = (1 << 16, 1 << 20, 1 << 26)
_SHOWN_BYTES = 1 << 16
_STREAM = 3  # the bits of a lane that are the stream

SAME, DIFFERENT, NOT_STORED, NOT_ON_DISK, NO_STORE = (
    "same", "different", "not stored", "not on this node's disk", "no store was asked",
)  # fmt: skip


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A line on the disk and the stored record that it is of; either may be missing.

    Offsets count the uncompressed content of the file. A text that is no UTF-8 has U+FFFD.
    """

    path: str | None = None
    offset: int | None = None  # that was asked for
    line_start: int | None = None
    line_end: int | None = None  # behind the newline
    position: int | None = None  # of the line
    line: str | None = None  # as it stands in the file, its first 64 KiB
    record: str | None = None  # STREAM_ID:POSITION
    timestamp: str | None = None
    stream: str | None = None
    text: str | None = None  # the record's body, its first 64 KiB
    found: str = SAME  # whether the record has the line, or what is missing


def of_record(log: Log, store: TraceStore, stream_id: int, position: int) -> Point:
    """The bytes of a stored record; raises KelpError where there is no such record."""
    records = store.records(log.traced.labels, Range(position, position + 1))
    mine = np.flatnonzero(records.stream_id == np.uint64(stream_id))
    if not len(mine):
        raise KelpError(
            f"no record {stream_id}:{position} is stored: its stream is, so it may have been "
            "deleted, or its retention is over"
        )
    file = log.file_at(position)
    if file is None or file.known is None:
        return _with_record(Point(found=NOT_ON_DISK), records, int(mine[0]))
    offset = position - file.known.base
    point = _with_record(
        Point(path=file.path, offset=offset, position=position), records, int(mine[0])
    )
    line = _line(file, offset)
    if line is None:
        return msgspec.structs.replace(point, found=NOT_ON_DISK)
    found = _agree(log, file, line, records, int(mine[0]))
    return msgspec.structs.replace(_with_line(point, line, file), found=found)


def of_offset(log: Log, store: TraceStore | None, path: Path, offset: int) -> Point:
    """The line at an offset of a file and its record; raises KelpError where there is no line."""
    file = _file_of(log, path, offset)
    line = _line(file, offset)
    known = file.known
    if line is None and file.disk is not None:
        if file.disk.error:
            raise KelpError(f"{path}: cannot be read: {file.disk.error}; run as root")
        raise KelpError(_beyond(path, offset, file))
    point = Point(path=file.path, offset=offset)
    if line is not None:
        point = _with_line(point, line, file)
    if known is None:
        return msgspec.structs.replace(point, found=NOT_STORED)
    position = known.base + (line.offset if line is not None else offset)
    point = msgspec.structs.replace(point, position=position)
    if store is None or log.stored is None:
        return msgspec.structs.replace(point, found=NO_STORE if store is None else NOT_STORED)
    return _recorded(log, store, file, line, point)


def _recorded(
    log: Log, store: TraceStore, file: TracedFile, line: Piece | None, point: Point
) -> Point:
    """The point with the record that has its line, or that begins last before it."""
    assert point.position is not None
    for reach in _REACHES:
        window = Range(max(point.position - reach, 0), point.position + 1)
        records = store.records(log.traced.labels, window)
        rows = np.arange(len(records))
        if line is not None:
            lane = int(_fragments(log, file, line).lane[0])
            rows = np.flatnonzero(records.stream == lane & _STREAM)
        if len(rows):
            row = int(rows[-1])
            found = NOT_ON_DISK if line is None else _agree(log, file, line, records, row)
            if found == DIFFERENT and int(records.position[row]) != point.position:
                break  # the record before it, which is over by then
            return msgspec.structs.replace(_with_record(point, records, row), found=found)
        if window.start == 0:
            break
    return msgspec.structs.replace(point, found=NOT_STORED)


def _fragments(log: Log, file: TracedFile, line: Piece) -> Fragments:
    assert file.known is not None
    place = log.traced.place
    container = place is not None and place.of_container
    return fragments_of(line, file.known.base, container=container)


def _agree(log: Log, file: TracedFile, line: Piece, records: Records, row: int) -> str:
    """Whether a record has the text of a line; the whole of it is for --verify to compare."""
    fragment = _fragments(log, file, line)
    text, body = fragment.body[0].as_py(), records.body[row].as_py()
    begins = int(records.position[row]) == int(fragment.position[0])
    if line.missing or records.truncated[row]:
        text = text[: max(len(body) - 64, 0)]  # the cut may go through a character
    return SAME if (body.startswith(text) if begins else text and text in body) else DIFFERENT


def _file_of(log: Log, path: Path, offset: int) -> TracedFile:
    on_disk = [f for f in log.files if f.disk is not None and f.disk.path == path]
    if on_disk:
        return on_disk[0]
    # Gone, and its name was that of several files, one after the other: the newest long enough.
    gone = [f for f in log.files if f.known is not None and f.known.path == str(path)]
    long_enough = [f for f in gone if offset < (f.size or 0)]
    if long_enough:
        return long_enough[-1]
    if gone:
        raise KelpError(_beyond(path, offset, max(gone, key=lambda f: f.size or 0)))
    raise KelpError(f"{path}: there is no such file on this node, and none of it is stored")


def _beyond(path: Path, offset: int, file: TracedFile) -> str:
    size = file.disk.size if file.disk is not None else file.size
    below = f"below {size}" if size else "within the file"
    what = "size, uncompressed" if file.disk is not None and file.disk.name.gz else "size"
    return f"{path}: expected an offset {below} (the file's {what}); got {offset}"


def _line(file: TracedFile, offset: int) -> Piece | None:
    """The line at an offset; None where the file is gone, unreadable, or ends before."""
    if file.disk is None or file.disk.error:
        return None
    try:
        with opened(file.disk.path, gz=file.disk.name.gz) as source:
            return line_at(source, offset, _SHOWN_BYTES)
    except OSError as e:
        raise KelpError(f"{file.disk.path}: cannot be read: {e.strerror or e}") from e


def _with_line(point: Point, line: Piece, file: TracedFile) -> Point:
    known = file.known
    return msgspec.structs.replace(
        point,
        line_start=line.offset,
        line_end=line.end,
        position=known.base + line.offset if known is not None else None,
        line=line.data.decode("utf-8", "replace"),
    )


def _with_record(point: Point, records: Records, row: int) -> Point:
    return msgspec.structs.replace(
        point,
        record=f"{records.stream_id[row]}:{records.position[row]}",
        timestamp=format_utc_ns(int(records.time[row])),
        stream=STREAM_NAMES[int(records.stream[row])],
        text=records.body[row].as_py()[:_SHOWN_BYTES].decode("utf-8", "replace"),
    )
