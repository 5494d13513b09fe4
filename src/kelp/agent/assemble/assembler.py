"""The assembler: RawBatch in, whole records out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.agent.assemble import metrics
from kelp.agent.assemble.counting import counted
from kelp.agent.assemble.cri import no_heads, parse_heads
from kelp.agent.assemble.draft import DOCKER, Draft
from kelp.agent.assemble.foreign import ATTR_TIMESTAMP_TEXT, Foreign, read_foreign
from kelp.agent.assemble.join import join
from kelp.agent.assemble.jsonfile import read_json_file
from kelp.agent.assemble.partials import Partials, Pending
from kelp.agent.assemble.split import Spans, split
from kelp.agent.assemble.timestamp import parse_texts
from kelp.agent.assemble.truncate import cut
from kelp.agent.assemble.utf8 import invalid_rows
from kelp.base.gather import Places
from kelp.model.batch import ATTR_INVALID_UTF8, ATTR_MALFORMED, ATTR_PARTIAL, ATTR_TRUNCATED
from kelp.model.lines import Lines
from kelp.model.raw import Instance, RawBatch

_BRACE = ord("{")


class CriAssembler:
    """Joins what the container runtime has split, across batches, rotations and restarts.

    `checkpoints` is what an earlier assembler's `changes` have left, key by key; a body is cut at
    `max_record_bytes`; fragments are given out as they are `partial_timeout_s` after the last one
    came. Not safe to be called from two threads at once.
    """

    def __init__(
        self, max_record_bytes: int, partial_timeout_s: float, checkpoints: Mapping[str, bytes]
    ) -> None:
        self._limit = max_record_bytes
        self._timeout_ns = int(partial_timeout_s * 1e9)
        self._partials = Partials(max_record_bytes, checkpoints)

    def assemble(self, raw: RawBatch) -> Lines:
        """The records that end in this batch, each instance's in the order of their ends."""
        spans = split(raw)
        draft, left = _read_lines(spans, line_positions(spans, raw))
        torn = _read_foreign(draft, left, raw.observed_ns)
        ended = join(draft, raw, self._partials, torn)
        cut_long(draft, raw, self._limit)
        lines = lines_of(draft, raw)
        evicted = self._partials.over_budget()
        metrics.PARTIAL.labels("evicted").inc(len(evicted))
        self._partials.report()
        ended += evicted
        return _appended(lines, ended) if ended else lines

    def expire(self, now_ns: int) -> Lines | None:
        """Records whose rest did not come in time, each marked ATTR_PARTIAL; None where none.

        Call it when all that is readable has been read: a rest that waits in a file is not late.
        """
        late = self._partials.expired(now_ns, self._timeout_ns)
        if not late:
            return None
        metrics.PARTIAL.labels("expired").inc(len(late))
        self._partials.report()
        return _unfinished(late, now_ns)

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call.

        To be committed together with the places up to which the files were read: then a restart
        goes on with the same fragments, and none is read twice.
        """
        return self._partials.changes()


def cut_long(draft: Draft, raw: RawBatch, limit: int) -> None:
    """Cut whole records over the limit, and mark those that the collector has cut."""
    cut_before = raw.cut_bytes[draft.spans.piece] if raw.cut_bytes.any() else None
    length = draft.end - draft.body
    long = (length > limit) if cut_before is None else ((length > limit) | (cut_before > 0))
    rows = set(np.flatnonzero(long & ~draft.dropped).tolist())
    rows |= {r for r, body in draft.own.items() if len(body) > limit}
    for row in sorted(rows):
        if ATTR_TRUNCATED in draft.marks.get(row, {}) or draft.dropped[row]:
            continue  # joined, and cut as it was joined
        body = draft.bytes_of(row)
        missing = max(0, len(body) - limit)
        missing += 0 if cut_before is None else int(cut_before[row])
        if missing:
            draft.own[row], marks = cut(body[:limit], missing)
            draft.mark(row, marks)


def line_positions(spans: Spans, raw: RawBatch) -> npt.NDArray[np.uint64]:
    """(n,) the position of each line's first byte."""
    sizes = raw.ends - raw.starts
    begin: Places = spans.start - (np.cumsum(sizes) - sizes)[spans.piece]
    positions: npt.NDArray[np.uint64] = raw.positions[spans.piece] + begin.view(np.uint64)
    return positions


def _read_lines(spans: Spans, position: npt.NDArray[np.uint64]) -> tuple[Draft, Places]:
    """The lines whose form is known by column, and the rows of the others."""
    first = np.minimum(spans.start, max(len(spans.data) - 1, 0))
    rows = np.flatnonzero((spans.data[first] == _BRACE) & (spans.stop > spans.start))
    heads = no_heads(spans) if len(rows) == len(position) > 0 else parse_heads(spans)
    draft = Draft.of(spans, heads, position)
    known = heads.valid
    if len(rows):
        found = read_json_file(spans, rows)
        draft.fill(rows, found)
        known[rows] = found.valid
    return draft, np.flatnonzero(~known)


def _read_foreign(draft: Draft, rows: Places, observed_ns: int) -> Places:
    """Fill in the rows that the fast path left; those of them that are torn lines."""
    found: list[tuple[int, Foreign]] = []
    for row in rows.tolist():
        start, stop = draft.spans.start[row], draft.spans.stop[row]
        found.append((row, read_foreign(draft.spans.data[start:stop].tobytes())))
    if not found:
        return rows
    times, valid = parse_texts([f.time for _, f in found])
    malformed = dict.fromkeys(("cri", "docker"), 0)
    for (row, line), time, good in zip(found, times.tolist(), valid.tolist(), strict=True):
        marks = dict(line.marks)
        if not good and line.time:
            text = line.time.decode(errors="backslashreplace")
            marks |= {ATTR_MALFORMED: line.format, ATTR_TIMESTAMP_TEXT: text}
        malformed[line.format] += ATTR_MALFORMED in marks
        draft.timestamp[row] = time if good else observed_ns
        draft.lane[row] = line.stream + (DOCKER if line.format == "docker" else 0)
        draft.partial[row] = line.partial
        draft.own[row] = line.body
        draft.mark(row, marks)
    for name, count in malformed.items():
        metrics.MALFORMED.labels(name).inc(count)
    return np.array([row for row, line in found if line.torn], np.int64)


def lines_of(draft: Draft, raw: RawBatch) -> Lines:
    """The draft's rows that are left, as records."""
    rows = draft.kept()
    body = draft.bodies(rows)
    marked = [r for r, m in draft.marks.items() if m and not draft.dropped[r]]
    at = np.searchsorted(rows, marked).tolist() if marked else []
    marks = {row: draft.marks[r] for row, r in zip(at, marked, strict=True)}
    for row in invalid_rows(body):
        marks.setdefault(row, {})[ATTR_INVALID_UTF8] = "true"
    return counted(
        Lines(
            instances=raw.instances,
            instance=draft.spans.piece[rows].astype(np.int32),
            stream=draft.stream[rows],
            timestamp=draft.timestamp[rows],
            position=draft.position[rows],
            body=body,
            marks=marks,
            observed_ns=raw.observed_ns,
        )
    )


def _unfinished(records: Iterable[Pending], observed_ns: int) -> Lines:
    """Records as far as they came."""
    records = list(records)
    finished = [p.finish() for p in records]
    body = pa.array([b for b, _ in finished], pa.binary())
    marks = {i: m | {ATTR_PARTIAL: "true"} for i, (_, m) in enumerate(finished)}
    for row in invalid_rows(body):
        marks[row][ATTR_INVALID_UTF8] = "true"
    return counted(
        Lines(
            instances=[p.instance for p in records],
            instance=np.arange(len(records), dtype=np.int32),
            stream=np.array([p.stream for p in records], np.uint8),
            timestamp=np.array([p.timestamp for p in records], np.int64),
            position=np.array([p.position for p in records], np.uint64),
            body=body,
            marks=marks,
            observed_ns=observed_ns,
        )
    )


def _appended(lines: Lines, records: list[Pending]) -> Lines:
    """The lines with unfinished records behind them."""
    more = _unfinished(records, lines.observed_ns)
    instances: list[Instance] = [*lines.instances, *more.instances]
    shifted = more.instance + np.int32(len(lines.instances))
    return Lines(
        instances=instances,
        instance=np.concatenate((lines.instance, shifted)),
        stream=np.concatenate((lines.stream, more.stream)),
        timestamp=np.concatenate((lines.timestamp, more.timestamp)),
        position=np.concatenate((lines.position, more.position)),
        body=pa.concat_arrays([lines.body, more.body]),
        marks={**lines.marks, **{r + len(lines): m for r, m in more.marks.items()}},
        observed_ns=lines.observed_ns,
    )
