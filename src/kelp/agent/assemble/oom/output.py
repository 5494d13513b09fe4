"""Joined records back among the other rows, each in the place of its first row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.oom.burst import Row
from kelp.model.batch import ATTR_TRUNCATED
from kelp.model.lines import NO_STREAM, Lines
from kelp.model.raw import Instance
from kelp.model.severity import ERROR


@dataclass(frozen=True)
class Made:
    """One record out of `rows`; `marks` go before those of the rows."""

    instance: Instance
    rows: Sequence[Row]
    marks: dict[str, str]

    @property
    def told(self) -> int:
        """A report is an error; a line of its own is what it was."""
        return self.rows[0].told if len(self.rows) == 1 and not self.marks else ERROR


def made_lines(made: Sequence[Made], observed_ns: int, *, told_first: bool) -> Lines:
    """The made records alone."""
    first = [m.rows[0] for m in made]
    return Lines(
        instances=[m.instance for m in made],
        instance=np.arange(len(made), dtype=np.int32),
        stream=np.full(len(made), NO_STREAM, np.uint8),
        timestamp=np.array([r.timestamp for r in first], np.int64),
        position=np.array([r.position for r in first], np.uint64),
        body=pa.array([b"\n".join(r.body for r in m.rows) for m in made], pa.binary()),
        marks={i: marks for i, m in enumerate(made) if (marks := _marks(m))},
        observed_ns=observed_ns,
        told=np.array([m.told for m in made], np.uint8),
        told_first=told_first,
    )


def _marks(made: Made) -> dict[str, str]:
    """The first row's marks, and what the record says as a whole; what was cut is added up."""
    marks = {**made.rows[0].marks, **made.marks}
    cut = sum(int(row.marks.get(ATTR_TRUNCATED, 0)) for row in made.rows)
    return marks | ({ATTR_TRUNCATED: str(cut)} if cut else {})


def merged(lines: Lines, gone: Sequence[int], made: Sequence[Made]) -> Lines:
    """The batch without the rows that are `gone`, and with what was made."""
    keep = np.ones(len(lines), np.bool_)
    keep[list(gone)] = False
    kept = np.flatnonzero(keep)
    extra = made_lines(made, lines.observed_ns, told_first=lines.told_first)
    # Of earlier batches (-1) goes first; the rest stands where its first row stood.
    place = np.concatenate((np.array([m.rows[0].at for m in made], np.int64), kept))
    order = np.argsort(place, kind="stable")
    row_of = np.empty(len(order), np.int64)
    row_of[order] = np.arange(len(order))
    marks = {int(row_of[i]): m for i, m in extra.marks.items()}
    for new, old in zip(row_of[len(made) :].tolist(), kept.tolist(), strict=True):
        if old in lines.marks:
            marks[new] = lines.marks[old]

    def column(of_extra: np.ndarray, of_lines: np.ndarray) -> np.ndarray:
        return np.concatenate((of_extra, of_lines[kept]))[order]

    told = np.zeros(len(lines), np.uint8) if lines.told is None else lines.told
    return Lines(
        instances=[*lines.instances, *extra.instances],
        instance=column(extra.instance + np.int32(len(lines.instances)), lines.instance),
        stream=column(extra.stream, lines.stream),
        timestamp=column(extra.timestamp, lines.timestamp),
        position=column(extra.position, lines.position),
        body=pa.concat_arrays([extra.body, lines.body.take(pa.array(kept))]).take(pa.array(order)),
        marks=marks,
        observed_ns=lines.observed_ns,
        told=column(np.asarray(extra.told), told),
        told_first=lines.told_first,
    )
