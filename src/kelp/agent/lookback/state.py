"""An agent's state, read beside the running agent: how far it has read, and what waits.

The spool's index belongs to the agent alone (SQLite's exclusive mode), so it is copied with its
write-ahead log and the copy is opened. A copy counts where neither file was changed otherwise than
by appending to the log meanwhile; appended commits are taken whole or not at all, by their
checksums.

Format of the log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.collect.checkpoint import Checkpoint, CheckpointError, FileMark, decode
from kelp.agent.lookback.files import KnownFile
from kelp.agent.spool import DamageError, Vault
from kelp.base.errors import KelpError
from kelp.base.settings import Agent
from kelp.model.lines import Lines
from kelp.model.loss import Loss, SourceFile
from kelp.model.stored import instance_labels
from kelp.wire.segment import SegmentError, decode_segment, read_header

_COPIES = 20  # attempts at a copy that no write of the agent fell into
_WAL_HEADER_BYTES = 32
_END_OF_TIME = 1 << 62

# Under these names collectors of files, and assemblers of containers' logs, commit.
_COLLECT = ("collect", "containers.collect", "files.collect")
_ASSEMBLE = ("assemble", "containers.assemble")

_PLAIN = b"\xff\xff\xff\xff"  # how a segment that is not sealed begins: an Arrow IPC stream

Extent = tuple[int, int]  # positions of the first and the last record


@dataclass(frozen=True)
class Spooled:
    """What waits in the spool of one instance: an extent for each segment, and what travels."""

    records: int = 0
    extents: tuple[Extent, ...] = ()
    files: tuple[KnownFile, ...] = ()
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True)
class AgentState:
    """One agent's state at a moment."""

    agent_id: str
    logs: Mapping[str, Checkpoint]  # by the instance's key
    segments: Mapping[int, Path] = field(default_factory=dict)  # that wait
    # By the instance's key: the lowest position of a record whose rest has not come.
    held: Mapping[str, int] = field(default_factory=dict)
    vault: Vault = field(default_factory=Vault)

    def known_files(self, key: str, told: Iterable[KnownFile] = ()) -> list[KnownFile]:
        """The files of a log that have a position, oldest first; not those of `told`.

        Positions follow from sizes, the files being read one after the other. Where one that still
        exists was followed by some that do not, that goes wrong, unless `told` has it.
        """
        log = self.logs.get(key)
        bases = {(f.fingerprint, f.fingerprint_bytes): f.base for f in told}
        return [] if log is None else list(_known(log, bases))

    def collected(self, key: str) -> int | None:
        """Position up to which a log was read and made durable; None where it is not known."""
        log = self.logs.get(key)
        if log is None:
            return None
        return log.base + log.offset if log.current is not None else log.next_base

    def spooled(self, labels: Mapping[str, str]) -> Spooled:
        """What waits of an instance. Segments that are delivered meanwhile are passed over."""
        wanted = instance_labels(labels)
        looked = (self._of(seq, path, wanted) for seq, path in self.segments.items())
        found = [s for s in looked if s is not None]
        return Spooled(
            sum(s.records for s in found),
            tuple(e for s in found for e in s.extents),
            tuple(f for s in found for f in s.files),
            tuple(x for s in found for x in s.losses),
        )

    def _of(self, seq: int, path: Path, wanted: dict[str, str]) -> Spooled | None:
        try:
            with pa.memory_map(str(path)) as mapped:
                stored = memoryview(mapped.read_buffer())
                if stored[:4] != _PLAIN:
                    stored = memoryview(bytes(stored))  # which the cipher wants
                data = self.vault.get_segment(stored, self.agent_id, seq)
                return _of_segment(data, wanted)
        except (OSError, SegmentError, DamageError):
            return None


def read_state(folder: Path, agent: Agent) -> AgentState:
    """The state in a spool's folder; raises KelpError where there is none that can be read."""
    vault = Vault.of_key_file(agent.spool.encryption_key_file, agent.spool.encrypt)
    with tempfile.TemporaryDirectory(prefix="kelp-trace-") as temporary:
        copy = Path(temporary) / "index.sqlite"
        try:
            _copy(folder / "index.sqlite", copy)
            return _state(copy, folder, agent, vault)
        except FileNotFoundError:
            raise KelpError(f"no agent keeps its state in {folder}") from None
        except OSError as e:
            raise KelpError(
                f"the agent's state in {folder} cannot be read: {e.strerror or e}; "
                "run as the user that runs the agent"
            ) from e
        except sqlite3.DatabaseError as e:
            raise KelpError(f"the agent's state in {folder} cannot be read: {e}") from e


def _copy(index: Path, copy: Path, attempts: int = _COPIES) -> None:
    """Copy the index with its log; raises OSError, KelpError."""
    log = index.with_name(index.name + "-wal")
    for _ in range(attempts):
        before = _stamp(index, log)
        copy.write_bytes(index.read_bytes())
        appended = log.read_bytes() if log.exists() else b""
        if _stamp(index, log) == before:
            copy.with_name(copy.name + "-wal").write_bytes(appended)
            return
    raise KelpError(f"the agent's state in {index.parent} changes too fast to be copied; try again")


def _stamp(index: Path, log: Path) -> tuple[int, int, bytes]:
    """Changes whenever the database file is written to, or the log begun anew."""
    status = index.stat()
    try:
        with log.open("rb") as file:
            header = file.read(_WAL_HEADER_BYTES)
    except FileNotFoundError:
        header = b""
    return status.st_mtime_ns, status.st_size, header


def _state(copy: Path, folder: Path, agent: Agent, vault: Vault) -> AgentState:
    db = sqlite3.connect(copy)
    try:
        meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
        seqs = [row[0] for row in db.execute("SELECT seq FROM segments ORDER BY seq")]
        rows = db.execute("SELECT stage, key, value FROM checkpoints").fetchall()
    finally:
        db.close()
    values: dict[str, dict[str, bytes]] = {}
    for stage, key, stored in rows:
        values.setdefault(stage, {})[key] = vault.get_value(stored, stage, key)
    logs = {key: value for stage in _COLLECT for key, value in values.get(stage, {}).items()}
    held = [_held(agent, values.get(stage, {})) for stage in _ASSEMBLE]
    return AgentState(
        agent_id=meta.get("agent_id", ""),
        logs=dict(_decoded(logs)),
        segments={seq: folder / "segments" / f"{seq:020d}.segment" for seq in seqs},
        held={key: position for of_stage in held for key, position in of_stage.items()},
        vault=vault,
    )


def _decoded(logs: Mapping[str, bytes]) -> Iterator[tuple[str, Checkpoint]]:
    for key, value in logs.items():
        try:
            yield key, decode(value)
        except CheckpointError:
            continue  # of a newer Kelp, or damaged: the agent says so itself


def _known(log: Checkpoint, told: Mapping[tuple[str, int], int]) -> Iterator[KnownFile]:
    """Files are read one after the other, so that each begins where the one before it ends."""
    end = log.base if log.current is not None else log.next_base
    done = []
    for mark in reversed(log.done):
        end = told.get((mark.digest, mark.length), end - mark.size)
        if end < 0:
            break
        if (mark.digest, mark.length) not in told:
            done.append(_known_file(mark, end, mark.size))
    yield from reversed(done)
    if log.current is not None:
        yield _known_file(log.current, log.base, max(log.current.size, log.offset))


def _known_file(mark: FileMark, base: int, size: int) -> KnownFile:
    return KnownFile(
        base, size, mark.digest, mark.length, mark.device, mark.inode, mark.name, "checkpoint"
    )


def _held(agent: Agent, checkpoints: Mapping[str, bytes]) -> dict[str, int]:
    """Records in the making: fragments whose rest has not come, lines that may be a trace's."""
    settings = msgspec.structs.replace(agent, partial_timeout_s=0, trace_timeout_s=0)
    assembler = RecordAssembler(settings, checkpoints)
    held: dict[str, int] = {}
    # What is loaded waits from the first call on, so it takes a second one.
    for now_ns in (0, _END_OF_TIME):
        lines = assembler.expire(now_ns)
        for key, position in _places(lines) if lines is not None else ():
            held[key] = min(position, held.get(key, position))
    return held


def _places(lines: Lines) -> Iterator[tuple[str, int]]:
    for instance, position in zip(lines.instance.tolist(), lines.position.tolist(), strict=True):
        yield lines.instances[instance].key, position


def _of_segment(data: memoryview, wanted: dict[str, str]) -> Spooled | None:
    """What a segment has of an instance; its records are read only where there are some."""
    header = read_header(data)
    files = [_travelling(f) for f in header.files if instance_labels(f.labels) == wanted]
    lost = [x for x in header.losses if instance_labels(x.labels) == wanted]
    of_it = any(instance_labels(labels) == wanted for labels in header.streams)
    positions = _positions(data, wanted) if of_it else np.empty(0, np.uint64)
    if not (len(positions) or files or lost):
        return None
    extents = ((int(positions.min()), int(positions.max())),) if len(positions) else ()
    return Spooled(len(positions), extents, tuple(files), tuple(lost))


def _positions(data: memoryview, wanted: dict[str, str]) -> npt.NDArray[np.uint64]:
    """Positions of an instance's records in a segment."""
    found = [np.empty(0, np.uint64)]
    for batch in decode_segment(data).log_batches():
        ids = [i for i, s in batch.streams.items() if instance_labels(s.labels) == wanted]
        mine = np.isin(batch.records["stream_id"].to_numpy(), np.array(ids, np.uint64))
        found.append(batch.records["position"].to_numpy()[mine])
    return np.concatenate(found)


def _travelling(file: SourceFile) -> KnownFile:
    return KnownFile(
        file.base, file.size, file.fingerprint, file.fingerprint_bytes, file.device, file.inode,
        file.path, "spool",
    )  # fmt: skip
