"""What a query answers, before it takes the shape of a protocol.

Everything here is small: a log answer is bounded by `limit`, a metric answer by its series and
steps; the work on many rows was done in the engine. Timestamps are nanoseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Entry:
    """One log record of an answer."""

    timestamp: int
    position: int  # place within its container instance; orders entries of equal timestamp
    line: bytes  # after line_format, where the query has one
    metadata: dict[str, str] = field(default_factory=dict)  # structured metadata
    parsed: dict[str, str] = field(default_factory=dict)  # labels that a parser stage made
    stream_id: int = 0  # with the position, the record's name; 0: not known


@dataclass(frozen=True, slots=True)
class StreamEntries:
    """Entries of one label set, in the direction asked for."""

    labels: dict[str, str]  # of the stream; without metadata and parsed labels
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of one series at one time."""

    labels: dict[str, str]
    timestamp: int
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one series, in the order of time; steps without a value are left out."""

    labels: dict[str, str]
    timestamps: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Streams:
    """Answer of a log query; streams with their entries, all within the limit together."""

    streams: list[StreamEntries]


@dataclass(frozen=True, slots=True)
class Vector:
    """Answer of an instant metric query; the order counts after sort and topk."""

    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Answer of a range metric query."""

    series: list[Series]


@dataclass(frozen=True, slots=True)
class Scalar:
    """Answer of a query that is a number."""

    timestamp: int
    value: float


Data: TypeAlias = Streams | Vector | Matrix | Scalar


@dataclass(slots=True)
class Stats:
    """What a query cost."""

    seconds: float = 0.0
    rows_read: int = 0
    bytes_read: int = 0
    entries_returned: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Data, its cost, and what the reader must know of it (an answer cut by the budget says so)."""

    data: Data
    stats: Stats = field(default_factory=Stats)
    warnings: list[str] = field(default_factory=list)
