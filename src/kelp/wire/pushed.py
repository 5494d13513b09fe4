"""What other protocols push, on its way to a LogBatch: streams with their rows, in columns.

Loki's push and OTLP differ in their bytes and agree in what they say: label sets, and under each
rows of time, line and metadata. What is common to them stands here: which labels are allowed, how
a metadata name becomes one that LogQL can write, where a row's severity is taken from, and how the
columns are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.base.severity import detect_severity
from kelp.model.batch import RECORD_SCHEMA, TIMESTAMP, LogBatch
from kelp.model.severity import NUMBER_OF_WORD
from kelp.model.stream import Stream

# Loki's defaults, but for the number of labels, which it holds at 15: collectors send more.
MAX_LABELS = 64
MAX_NAME_BYTES = 1024
MAX_VALUE_BYTES = 2048

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]", re.ASCII)
_LEVEL_NAMES = ("detected_level", "level", "severity", "severity_text", "lvl", "log_level")

Metadata = Mapping[str, str]


class PushError(ValueError):
    """The pushed bytes cannot be read; says what was expected and what came."""


@dataclass(frozen=True)
class PushedRows:
    """Rows of one label set, in the order in which they came."""

    labels: dict[str, str]
    timestamps: npt.NDArray[np.int64]  # (n,) nanoseconds
    lines: pa.Array  # (n,) binary
    metadata: Sequence[Metadata | None] = ()  # (n,), or empty where no row has any
    severity: npt.NDArray[np.uint8] | None = None  # (n,)
    severity_text: Sequence[str] = ()  # (n,) or empty
    trace_id: Sequence[str] = ()  # (n,) or empty, lower-case hex
    span_id: Sequence[str] = ()


@dataclass(frozen=True)
class Pushed:
    """What can be stored of a push, and why the rest of it cannot."""

    rows: list[PushedRows]
    rejected: list[str] = field(default_factory=list)  # a reason for each stream
    timed_here: bool = False  # some rows had no time of their own and got that of arrival

    @property
    def count(self) -> int:
        """Rows that can be stored."""
        return sum(len(r.timestamps) for r in self.rows)


def why_refused(labels: Mapping[str, str]) -> str:
    """What is wrong with a label set; empty where nothing is."""
    named = {k: v for k, v in labels.items() if v}
    if not named:
        return "expected at least one label with a value; got none"
    if len(named) > MAX_LABELS:
        return f"expected at most {MAX_LABELS} labels; got {len(named)}"
    for name, value in named.items():
        if not _NAME.fullmatch(name) or len(name) > MAX_NAME_BYTES:
            return f"expected label names like [a-zA-Z_][a-zA-Z0-9_]*; got {name[:80]!r}"
        if len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
            return f"expected label values of at most {MAX_VALUE_BYTES} bytes; {name} has more"
    return ""


def metadata_name(name: str) -> str:
    """A name that LogQL can write: others' dots and dashes become `_`, as in Loki.

    Source: NormalizeLabel of OpenTelemetry's Prometheus translation, which Loki uses.
    """
    if _NAME.fullmatch(name):
        return name
    plain = _NO_NAME.sub("_", name)
    return f"key_{plain}" if plain[:1].isdigit() else plain


def to_log_batch(
    rows: Sequence[PushedRows],
    observed_ns: int,
    first_position: int,
    *,
    severity_of_lines: bool = False,
) -> LogBatch:
    """One batch of all rows. Positions are counted on from `first_position`: order of arrival.

    A row's severity is what its sender says of it; where that is nothing, what the line says, if
    `severity_of_lines`.
    """
    streams = [Stream(r.labels) for r in rows]
    sizes = [len(r.timestamps) for r in rows]
    count = sum(sizes)
    lines = pa.concat_arrays([r.lines for r in rows]) if rows else pa.array([], pa.binary())
    number = _joined([_severity(r) for r in rows], np.uint8)
    text = _texts((r.severity_text, n) for r, n in zip(rows, sizes, strict=True))
    if severity_of_lines:
        number, text = _with_severity_of_lines(number, text, lines)
    columns = [
        pa.array(np.repeat(np.array([s.id for s in streams], np.uint64), sizes)),
        pa.array(_joined([r.timestamps for r in rows], np.int64)).cast(TIMESTAMP),
        pa.array(np.full(count, observed_ns, np.int64)).cast(TIMESTAMP),
        pa.array(np.arange(first_position, first_position + count, dtype=np.uint64)),
        pa.array(number),
        text,
        _texts((r.trace_id, n) for r, n in zip(rows, sizes, strict=True)),
        _texts((r.span_id, n) for r, n in zip(rows, sizes, strict=True)),
        lines,
        attributes([m for r, n in zip(rows, sizes, strict=True) for m in r.metadata or [None] * n]),
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)
    return LogBatch(batch, {s.id: s for s in streams})


def attributes(maps: Sequence[Metadata | None]) -> pa.MapArray:
    """(n,) maps of text. Empty values stay: LogQL can tell them from what is not there."""
    if not any(maps):
        offsets = np.zeros(len(maps) + 1, np.int32)
        return pa.MapArray.from_arrays(pa.array(offsets), pa.array([], "str"), pa.array([], "str"))
    pairs = [list((m or {}).items()) for m in maps]
    offsets = np.zeros(len(pairs) + 1, np.int32)
    np.cumsum([len(p) for p in pairs], out=offsets[1:])
    keys = [k for p in pairs for k, _ in p]
    values = [v for p in pairs for _, v in p]
    return pa.MapArray.from_arrays(
        pa.array(offsets), pa.array(keys, pa.string()), pa.array(values, pa.string())
    )


def without_repeats(rows: PushedRows) -> PushedRows:
    """Rows that repeat time, line and metadata of another are left out, as Loki does.

    A collector that got no answer sends again, and often joins the old rows with new ones.
    """
    times = rows.timestamps
    if len(np.unique(times)) == len(times):
        return rows
    lines = rows.lines.to_pylist()
    metadata = rows.metadata or [None] * len(times)
    seen: dict[tuple[Any, ...], int] = {}
    for at, (time, line, meta) in enumerate(zip(times.tolist(), lines, metadata, strict=True)):
        seen.setdefault((time, line, tuple(sorted((meta or {}).items()))), at)
    return _taken(rows, np.fromiter(seen.values(), np.int64, len(seen)))


def _taken(rows: PushedRows, at: npt.NDArray[np.int64]) -> PushedRows:
    if len(at) == len(rows.timestamps):
        return rows

    def pick(values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in at] if values else []

    return PushedRows(
        rows.labels,
        rows.timestamps[at],
        rows.lines.take(pa.array(at)),
        pick(rows.metadata),
        None if rows.severity is None else rows.severity[at],
        pick(rows.severity_text),
        pick(rows.trace_id),
        pick(rows.span_id),
    )


def _severity(rows: PushedRows) -> npt.NDArray[np.uint8]:
    """(n,) what the sender says: in the protocol's own field, else in metadata or in a label."""
    given = rows.severity
    if given is not None and given.all():
        return given
    of_stream = _number_of(rows.labels)
    if rows.metadata:
        named = np.array([_number_of(m) or of_stream for m in rows.metadata], np.uint8)
    else:
        named = np.full(len(rows.timestamps), of_stream, np.uint8)
    return named if given is None else np.where(given, given, named)


def _number_of(named: Metadata | None) -> int:
    """By the first of the names whose word is known; 0 where there is none."""
    if not named:
        return 0
    words = (named[n].lower() for n in _LEVEL_NAMES if n in named)
    return next((NUMBER_OF_WORD[w] for w in words if w in NUMBER_OF_WORD), 0)


def _with_severity_of_lines(
    number: npt.NDArray[np.uint8], text: pa.StringArray, lines: pa.BinaryArray
) -> tuple[npt.NDArray[np.uint8], pa.StringArray]:
    """(n,) numbers and texts, with what the lines say where the number was 0."""
    unknown = np.flatnonzero(number == 0)
    if not len(unknown):
        return number, text
    some = lines if len(unknown) == len(lines) else lines.take(pa.array(unknown))
    found, found_text = detect_severity(some)
    found = found.to_numpy(zero_copy_only=False)
    known = np.flatnonzero(found)
    number, place = number.copy(), np.arange(len(number))
    number[unknown[known]] = found[known]
    place[unknown[known]] = len(text) + known
    return number, pa.concat_arrays([text, found_text]).take(pa.array(place))


def _joined(parts: list[npt.NDArray[Any]], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.array([], kind)


def _texts(parts: Iterable[tuple[Sequence[str], int]]) -> pa.Array:
    arrays = [pa.array(t, pa.string()) if t else pa.repeat("", n) for t, n in parts]
    return pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())
