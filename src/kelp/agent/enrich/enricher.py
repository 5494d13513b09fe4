"""From columns to a LogBatch: stream ids, labels and marks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kelp.agent.enrich.workload import workload_of
from kelp.base.formats import format_of
from kelp.model.batch import RECORD_SCHEMA, TIMESTAMP, LogBatch
from kelp.model.lines import STREAM_NAMES, Lines
from kelp.model.parsed import Parsed
from kelp.model.raw import Instance
from kelp.model.stream import Stream

# A stream is some 2 kB here; a node has a few hundred containers at a time.
_MAX_STREAMS = 20_000


class Enricher:
    """Remembers the streams that it has seen, the last `max_streams` of them."""

    def __init__(self, max_streams: int = _MAX_STREAMS) -> None:
        self._max_streams = max_streams
        self._streams: OrderedDict[tuple[str, int, str], Stream] = OrderedDict()

    def log_batch(self, lines: Lines, parsed: Parsed) -> LogBatch:
        """The batch of these records, with what their bodies say."""
        ids, streams = self._identify(lines, parsed.formats)
        count = len(lines)
        nothing = pa.repeat(pa.scalar("", pa.string()), count)
        columns = [
            pa.array(ids),
            _timestamps(lines.timestamp),
            _timestamps(np.full(count, lines.observed_ns, np.int64)),
            pa.array(lines.position),
            *_severity(parsed, lines),
            nothing,
            nothing,
            lines.body,
            _attributes(lines, parsed),
        ]
        return LogBatch(pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA), streams)

    def _identify(
        self, lines: Lines, formats: Sequence[str]
    ) -> tuple[npt.NDArray[np.uint64], dict[int, Stream]]:
        """(stream id of each row, the streams that occur)."""
        names = len(STREAM_NAMES)
        number = lines.instance.astype(np.int64) * names + lines.stream
        occurring = np.flatnonzero(np.bincount(number, minlength=1))
        ids = np.zeros(len(lines.instances) * names, np.uint64)
        streams: dict[int, Stream] = {}
        for n in occurring.tolist():
            format_name = formats[n] if formats else ""
            stream = self._stream(lines.instances[n // names], n % names, format_name)
            ids[n] = stream.id
            streams[stream.id] = stream
        return ids[number], streams

    def _stream(self, instance: Instance, number: int, format_name: str) -> Stream:
        key = (instance.key, number, format_name)
        stream = self._streams.get(key)
        if stream is None:
            stream = Stream(_labels(instance, number, format_name))
            self._streams[key] = stream
            if len(self._streams) > self._max_streams:
                self._streams.popitem(last=False)
        else:
            self._streams.move_to_end(key)
        return stream


def _labels(instance: Instance, number: int, format_name: str) -> dict[str, str]:
    labels = {**instance.labels, "stream": STREAM_NAMES[number], "format": format_name}
    if format_name and (dataset := format_of(format_name).dataset):
        labels["dataset"] = dataset
    if "app" not in labels and labels.get("pod"):
        labels["app"] = workload_of(labels["pod"], labels.get("node", ""))
    return labels


def _severity(parsed: Parsed, lines: Lines) -> tuple[pa.UInt8Array, pa.StringArray]:
    """(numbers, texts), with those that the source gives where they count, and raised ones."""
    numbers, texts = parsed.severity_number, parsed.severity_text
    if lines.told is not None:
        told = pa.array(lines.told)
        zero = pa.scalar(0, pa.uint8())
        silent = pc.not_equal(told, zero) if lines.told_first else pc.equal(numbers, zero)
        numbers, texts = pc.if_else(silent, told, numbers), pc.if_else(silent, "", texts)
    return _raised(numbers, parsed.least_severity), texts


def _raised(numbers: pa.UInt8Array, least: Mapping[int, int]) -> pa.UInt8Array:
    """The numbers, each at least what is said of its row."""
    if not least:
        return numbers
    rows = np.fromiter(least.keys(), np.int64, len(least))
    raised = numbers.to_numpy(zero_copy_only=False).copy()
    raised[rows] = np.maximum(raised[rows], np.fromiter(least.values(), np.uint8, len(least)))
    return pa.array(raised)


def _timestamps(ns: npt.NDArray[np.int64]) -> pa.TimestampArray:
    return pa.array(ns).view(TIMESTAMP)


def _attributes(lines: Lines, parsed: Parsed) -> pa.MapArray:
    """The marks as a column; a row without any has an empty map."""
    counts = np.zeros(len(lines) + 1, np.int32)
    keys: list[str] = []
    values: list[str] = []
    for row in sorted({*lines.marks, *parsed.marks}):
        marks = {**lines.marks.get(row, {}), **parsed.marks.get(row, {})}
        counts[row + 1] = len(marks)
        keys += marks.keys()
        values += marks.values()
    offsets = pa.array(np.cumsum(counts, dtype=np.int32))
    return pa.MapArray.from_arrays(
        offsets, pa.array(keys, pa.string()), pa.array(values, pa.string())
    )
