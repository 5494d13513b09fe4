"""From the lanes' records back to Lines: what nothing happened to is copied as it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.traces.evidence import Bodies
from kelp.agent.assemble.traces.lane import Record
from kelp.base.gather import slices
from kelp.model.batch import ATTR_TRACE_PART, ATTR_TRUNCATED
from kelp.model.lines import Lines
from kelp.model.raw import Instance


@dataclass
class Made:
    """Records that are no row of the batch as it came: joined ones, and ones of earlier batches."""

    instance: list[Instance] = field(default_factory=list)
    stream: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    at: list[int] = field(default_factory=list)  # the batch's row in whose place it stands, or -1

    def add(self, instance: Instance, stream: int, record: Record) -> None:
        """Take one; it stands where its first row of the batch stood."""
        self.instance.append(instance)
        self.stream.append(stream)
        self.records.append(record)
        self.at.append(record.rows[0].at)

    def __len__(self) -> int:
        return len(self.records)


def body_of(record: Record) -> bytes:
    """The lines, one behind the other."""
    return b"\n".join(row.body for row in record.rows)


def marks_of(record: Record) -> dict[str, str]:
    """The first line's marks before those of others; what was cut is added up."""
    marks: dict[str, str] = {}
    cut_bytes = 0
    for row in record.rows:
        cut_bytes += int(row.marks.get(ATTR_TRUNCATED, 0))
        marks = {**row.marks, **marks}
    if cut_bytes:
        marks[ATTR_TRUNCATED] = str(cut_bytes)
    if record.part:
        marks[ATTR_TRACE_PART] = str(record.part)
    return marks


def made_lines(made: Made, observed_ns: int, *, told_first: bool = False) -> Lines:
    """The made records alone; a joined one has the severity that its first line was told."""
    marks = {i: m for i, m in enumerate(map(marks_of, made.records)) if m}
    first = [record.rows[0] for record in made.records]
    return Lines(
        instances=made.instance,
        instance=np.arange(len(made), dtype=np.int32),
        stream=np.array(made.stream, np.uint8),
        timestamp=np.array([r.timestamp for r in first], np.int64),
        position=np.array([r.position for r in first], np.uint64),
        body=pa.array([body_of(r) for r in made.records], pa.binary()),
        marks=marks,
        observed_ns=observed_ns,
        told=np.array([r.told for r in first], np.uint8) if any(r.told for r in first) else None,
        told_first=told_first,
    )


def merged(lines: Lines, bodies: Bodies, gone: list[int], made: Made) -> Lines:
    """The batch without the rows that are `gone`, and with what was made, each in its place."""
    left = len(lines) - len(gone)
    if not len(made) and (not gone or min(gone) >= left):
        return _beginning(lines, left)  # only the last rows wait: nothing needs to be copied
    keep = np.ones(len(lines), np.bool_)
    keep[gone] = False
    kept = np.flatnonzero(keep)
    extra = made_lines(made, lines.observed_ns)
    # Rows of earlier batches (-1) go first; what was made stands where its first row stood.
    place = np.concatenate((np.array(made.at, np.int64), kept))
    order = np.argsort(place, kind="stable")
    new = len(made)

    def column(of_extra: np.ndarray, of_lines: np.ndarray) -> np.ndarray:
        return np.concatenate((of_extra, of_lines[kept]))[order]

    return Lines(
        instances=[*lines.instances, *extra.instances],
        instance=column(extra.instance + np.int32(len(lines.instances)), lines.instance),
        stream=column(extra.stream, lines.stream),
        timestamp=column(extra.timestamp, lines.timestamp),
        position=column(extra.position, lines.position),
        body=_bodies(bodies, kept, Bodies(extra.body), order),
        marks=_marks(lines.marks, kept, extra.marks, order, new),
        observed_ns=lines.observed_ns,
        told=None
        if extra.told is None and lines.told is None
        else column(_told(extra), _told(lines)),
        told_first=lines.told_first,
    )


def _beginning(lines: Lines, count: int) -> Lines:
    """The first rows, as they lie in memory."""
    return replace(
        lines,
        instance=lines.instance[:count],
        stream=lines.stream[:count],
        timestamp=lines.timestamp[:count],
        position=lines.position[:count],
        body=lines.body.slice(0, count),
        marks={row: marks for row, marks in lines.marks.items() if row < count},
        told=None if lines.told is None else lines.told[:count],
    )


def _told(lines: Lines) -> np.ndarray:
    return np.zeros(len(lines), np.uint8) if lines.told is None else lines.told


def _bodies(bodies: Bodies, kept: np.ndarray, extra: Bodies, order: np.ndarray) -> pa.BinaryArray:
    begin = np.concatenate((extra.offsets[:-1], bodies.offsets[:-1][kept])).astype(np.int64)
    end = np.concatenate((extra.offsets[1:], bodies.offsets[1:][kept])).astype(np.int64)
    source = np.zeros(len(order), np.int32)
    source[: len(extra.offsets) - 1] = 1
    return slices(begin[order], (end - begin)[order], bodies.data, extra.data, source=source[order])


def _marks(
    marks: Mapping[int, Mapping[str, str]],
    kept: np.ndarray,
    extra: Mapping[int, Mapping[str, str]],
    order: np.ndarray,
    new: int,
) -> dict[int, Mapping[str, str]]:
    if not (marks or extra):
        return {}
    row_of = np.empty(len(order), np.int64)
    row_of[order] = np.arange(len(order))
    found = {int(row_of[i]): m for i, m in extra.items()}
    for row, mark in marks.items():
        i = int(np.searchsorted(kept, row))
        if i < len(kept) and kept[i] == row:
            found[int(row_of[new + i])] = mark
    return found


def concat(first: Lines, second: Lines) -> Lines:
    """The rows of both."""
    moved = second.instance + np.int32(len(first.instances))
    return Lines(
        instances=[*first.instances, *second.instances],
        instance=np.concatenate((first.instance, moved)),
        stream=np.concatenate((first.stream, second.stream)),
        timestamp=np.concatenate((first.timestamp, second.timestamp)),
        position=np.concatenate((first.position, second.position)),
        body=pa.concat_arrays([first.body, second.body]),
        marks={**first.marks, **{r + len(first): m for r, m in second.marks.items()}},
        observed_ns=second.observed_ns,
        told=None
        if first.told is None and second.told is None
        else np.concatenate((_told(first), _told(second))),
        told_first=second.told_first,
    )
