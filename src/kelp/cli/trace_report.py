"""One log, file by file: on the disk, collected, spooled, stored, lost, missing.

All is counted in positions first, which go on through all files of a log, and shown as offsets in
each file. Without `--verify` the store is asked for the places of records, not for their text: what
is missing between two records shows where it is wider than what the first can have taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kelp.agent.lookback.content import line_at, opened
from kelp.agent.lookback.files import DiskFile, KnownFile, files_of, matched, placed
from kelp.agent.lookback.state import AgentState, Spooled
from kelp.cli.trace_find import Traced
from kelp.model.loss import Loss
from kelp.model.stored import StoredInstance
from kelp.node.trace.links import Link, links_into
from kelp.node.trace.ranges import Range, joined, within, without

# Steps that are not looked at, as in the store: no line's head and end take so much.
_WIDE_BYTES = 4096
# Between being written and being found in the store two seconds pass, at a busy server some more.
ARRIVAL_NS = 10_000_000_000
_LINE_BYTES = 1 << 20  # of a line, as far as it is read to see where it ends


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a file (uncompressed offsets) that no stored record has."""

    start: int
    end: int
    reason: str  # a loss's reason; "not stored" where nobody told of a loss


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """One file; sizes are bytes, offsets count the uncompressed content. None: not known."""

    path: str
    on_disk: bool
    compressed: bool = False
    disk_bytes: int | None = None
    size: int | None = None
    device: int | None = None
    inode: int | None = None
    base: int | None = None  # position of the first byte; None: no agent has read it
    base_from: str | None = None  # store, spool or checkpoint
    collected: int | None = None  # bytes read and made durable by the agent
    spooled: int | None = None  # records that wait in the agent's spool
    stored: int | None = None  # records in the store
    missing: list[Missing] | None = None
    altered: bool = False  # its first bytes are not those that the agent read
    error: str = ""


class AgentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent of this node knows of the log."""

    agent_id: str
    collected: int | None  # position up to which it has read
    spooled_records: int
    holds_back: bool  # a record whose rest has not come


class LogReport(msgspec.Struct, frozen=True, kw_only=True):
    """One log: a run of a container, or a plain file with its rotated ones."""

    labels: dict[str, str]
    folder: str | None  # None: it is not on this node
    links: list[Link]
    agent: AgentReport | None
    records: int | None  # stored; None: no store was asked
    stream_ids: dict[str, str]  # of the store, with their `stream`
    files: list[FileReport]
    losses: list[Loss]
    gaps_searched: bool


@dataclass(frozen=True)
class TracedFile:
    """A file under all its names; either side may be unknown, not both."""

    disk: DiskFile | None
    known: KnownFile | None
    altered: bool = False  # its first bytes are not those that the agent read

    @property
    def path(self) -> str:
        """Where it is, or was last."""
        if self.disk is not None:
            return str(self.disk.path)
        assert self.known is not None
        return self.known.path

    @property
    def size(self) -> int | None:
        """Of the content, as much as anybody knows of."""
        sizes = [self.disk.size if self.disk else None, self.known.size if self.known else None]
        return max((s for s in sizes if s is not None), default=None)


@dataclass(frozen=True)
class Log:
    """What all sides say of one log."""

    traced: Traced
    files: list[TracedFile]  # by position; those that no agent has read come last
    state: AgentState | None
    spooled: Spooled
    losses: list[Loss] = field(default_factory=list)
    looked_ns: int = 0  # when the store was asked

    @property
    def stored(self) -> StoredInstance | None:
        """The store's side."""
        return self.traced.stored

    @property
    def key(self) -> str:
        """The name of the log in the agent's state."""
        place = self.traced.place
        return place.instance.key if place is not None else ""

    @property
    def collected(self) -> int | None:
        """Position up to which the agent has read; None where that is not known."""
        return self.state.collected(self.key) if self.state is not None else None

    @property
    def settled(self) -> int | None:
        """Position up to which the agent is done: what lies behind may still be on its way."""
        if self.state is None or (collected := self.collected) is None:
            return None
        waiting = [e[0] for e in self.spooled.extents]
        held = self.state.held.get(self.key)
        return min([collected, *waiting, *([held] if held is not None else [])])

    def file_at(self, position: int) -> TracedFile | None:
        """The file that a position lies in."""
        for file in self.files:
            if file.known is not None and file.known.base <= position < self.window(file).end:
                return file
        return None

    def window(self, file: TracedFile) -> Range:
        """The positions of a file."""
        assert file.known is not None
        base = file.known.base
        bases = [f.known.base for f in self.files if f.known is not None and f.known.base > base]
        end = min(bases, default=base + max(file.size or 0, file.known.size))
        return Range(base, max(end, base))


def gather(traced: Traced, state: AgentState | None, looked_ns: int) -> Log:
    """Bring together what each side says; reads the beginnings of the files on this node.

    `looked_ns` is the time at which the store was asked.
    """
    place, stored = traced.place, traced.stored
    state = state if place is not None else None
    spooled = state.spooled(traced.labels) if state is not None else Spooled()
    told = [*_of_store(stored, state), *spooled.files]
    if state is not None and place is not None:
        told += state.known_files(place.instance.key, told)
    known = _combined(told)
    disk = files_of(place.folder, place.names_now()) if place is not None else []
    found = matched(disk, known)
    altered = placed(disk, known, found)
    found |= altered
    files = [TracedFile(None, k) for k in known if k.base not in {f.base for f in found.values()}]
    files += [TracedFile(d, found.get(d), altered=d in altered) for d in disk]
    lost = [*(stored.losses if stored is not None else []), *spooled.losses]
    losses = {(x.position, x.reason): x for x in lost}
    return Log(
        traced,
        sorted(files, key=lambda f: (f.known is None, f.known.base if f.known else 0)),
        state,
        spooled,
        [losses[k] for k in sorted(losses)],
        looked_ns,
    )


def _of_store(stored: StoredInstance | None, state: AgentState | None) -> Iterable[KnownFile]:
    if stored is None:
        return []
    ids = {f.agent_id for f in stored.files}
    # An agent that lost its state began again at position 0: its own word counts.
    mine = state.agent_id if state is not None and state.agent_id in ids else None
    return [
        KnownFile(f.base, f.size, f.fingerprint, f.fingerprint_bytes, f.device, f.inode, f.path,
                  "store")
        for f in stored.files if mine is None or f.agent_id == mine
    ]  # fmt: skip


def _combined(known: Sequence[KnownFile]) -> list[KnownFile]:
    """One for each base: the longest fingerprint, the largest size, a whole path."""
    of_base: dict[int, KnownFile] = {}
    for one in known:
        other = of_base.get(one.base)
        if other is None:
            of_base[one.base] = one
            continue
        best = max(other, one, key=lambda k: k.fingerprint_bytes)
        path = other.path if Path(other.path).is_absolute() else one.path
        of_base[one.base] = KnownFile(
            one.base, max(one.size, other.size), best.fingerprint, best.fingerprint_bytes,
            best.device, best.inode, path, other.source,
        )  # fmt: skip
    return [of_base[base] for base in sorted(of_base)]


def report(log: Log, containers_dir: Path) -> LogReport:
    """The log as it is shown; raises OSError where the links cannot be listed."""
    place, stored, state = log.traced.place, log.stored, log.state
    return LogReport(
        labels=log.traced.labels,
        folder=str(place.folder) if place is not None else None,
        links=links_into(place.folder, containers_dir) if place is not None else [],
        agent=None if state is None else AgentReport(
            agent_id=state.agent_id, collected=log.collected,
            spooled_records=log.spooled.records, holds_back=log.key in state.held,
        ),
        records=stored.records if stored is not None else None,
        stream_ids={s.stream_id: s.labels.get("stream", "") for s in stored.streams}
        if stored is not None else {},
        files=[_file(log, f) for f in log.files],
        losses=log.losses,
        gaps_searched=stored.gaps_searched if stored is not None else True,
    )  # fmt: skip


def _file(log: Log, file: TracedFile) -> FileReport:
    disk, known = file.disk, file.known
    seen = FileReport(
        path=file.path or "?",
        on_disk=disk is not None,
        compressed=disk is not None and disk.name.gz,
        disk_bytes=disk.disk_bytes if disk is not None else None,
        size=file.size,
        device=disk.device if disk is not None else None,
        inode=disk.inode if disk is not None else None,
        altered=file.altered,
        error=disk.error if disk is not None else "",
        collected=0 if known is None and log.state is not None else None,
    )
    if known is None:
        return seen
    window, collected = log.window(file), log.collected
    read = None if collected is None else max(min(collected, window.end) - window.start, 0)
    return msgspec.structs.replace(
        seen,
        base=known.base,
        base_from=known.source,
        collected=read,
        spooled=_spooled_in(log, window) if log.state is not None else None,
        stored=_stored_in(log, known),
        missing=_missing(log, window),
    )


def _spooled_in(log: Log, window: Range) -> int:
    """Records that wait of these positions; a segment that lies across files is divided evenly."""
    extents = [Range(first, last + 1) for first, last in log.spooled.extents]
    if not extents:
        return 0
    lengths = sum(e.end - e.start for e in extents)
    inside = sum(r.end - r.start for e in extents for r in within([e], window))
    return round(log.spooled.records * inside / lengths)


def _stored_in(log: Log, known: KnownFile) -> int | None:
    if log.stored is None:
        return None
    return sum(f.records for f in log.stored.files if f.base == known.base)


def _missing(log: Log, window: Range) -> list[Missing] | None:
    """What of a file is in no record, as far as places of records tell."""
    stored = log.stored
    if stored is None:
        return None
    lost = [(Range(x.position, x.position + x.size_bytes), x.reason) for x in log.losses]
    found = [(r, reason) for one, reason in lost for r in within([one], window)]
    due = Range(window.start, min(window.end, _due(log, stored)))
    left = without(without([due], _covered(log, stored)), [one for one, _ in lost])
    first = min((s.first_position for s in stored.streams if s.records), default=0)
    found += [(r, "not stored") for r in left if r.end - r.start > _WIDE_BYTES or r.start < first]
    return [
        Missing(start=r.start - window.start, end=r.end - window.start, reason=reason)
        for r, reason in sorted(found)
    ]


def _due(log: Log, stored: StoredInstance) -> int:
    """Position up to which everything should be stored, however soon it was asked for."""
    written_ns = max((f.disk.mtime_ns for f in log.files if f.disk is not None), default=0)
    if log.settled is not None and log.looked_ns - written_ns > ARRIVAL_NS:
        return log.settled
    return max((s.last_position for s in stored.streams if s.records), default=0)


def _covered(log: Log, stored: StoredInstance) -> list[Range]:
    """Positions that lie between neighbouring records."""
    streams = [s for s in stored.streams if s.records]
    if not streams:
        return []
    start = min(s.first_position for s in streams)
    last = max(s.last_position for s in streams)
    gaps = [Range(_line_end(log, g.after), g.until) for g in stored.gaps]
    return joined(without([Range(start, _line_end(log, last))], gaps))


def _line_end(log: Log, position: int) -> int:
    """Behind the line at a position, where it can be read; else just behind its first byte."""
    file = log.file_at(position)
    if file is None or file.disk is None or file.known is None or file.disk.name.gz:
        return position + 1  # a compressed file would have to be read up to there
    try:
        with opened(file.disk.path, gz=False) as source:
            line = line_at(source, position - file.known.base, _LINE_BYTES)
    except OSError:
        line = None
    return position + 1 if line is None else file.known.base + line.end
