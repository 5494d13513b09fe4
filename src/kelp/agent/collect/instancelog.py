"""The log of one container instance: its files in the order of writing, as one run of bytes.

Reading goes strictly from the oldest file to the newest, so that a position (the offset in the
whole) never depends on what is read next. A file is finished only when it can no longer grow: the
runtime writes on into a renamed file until it has reopened, and for a moment after, while it
drains what the container had written before. Which found file is which is decided in `reconcile`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from kelp.agent.collect.checkpoint import Checkpoint, FileMark
from kelp.agent.collect.fingerprint import Fingerprint
from kelp.agent.collect.lines import stamp_ns
from kelp.agent.collect.linked import name_behind
from kelp.agent.collect.logfile import LogFile
from kelp.agent.collect.paths import LogName, parse_log_name
from kelp.agent.collect.sources import PackedSource
from kelp.model.loss import Loss, SourceFile
from kelp.model.raw import Instance

GRACE_S = 1.0
"""How long a file with a successor must be quiet before it counts as finished: the runtime drains
its pipe into the old file within milliseconds of opening the new one."""

TORN_GRACE_S = 5.0
"""The same for a file that stops in the middle of a line: somebody may be writing it."""

GONE_GRACE_S = 30.0
"""The same for a deleted file without successor in a folder that still stands: somebody may have
removed it under a writer that goes on."""

MAX_DONE_MARKS = 64
"""Finished files that a checkpoint remembers at the most; the kubelet keeps 5 unless told
otherwise. What is older than all of these was finished, too."""

ReportLoss = Callable[[Loss], None]
ParseName = Callable[[str], LogName | None]


class InstanceLog:
    """Files of one instance, oldest first: finished ones that still exist, then unfinished ones."""

    def __init__(
        self, instance: Instance, folder: Path, restart: str, parse: ParseName = parse_log_name
    ) -> None:
        self.instance = instance
        self._parse = parse
        self.folder = folder
        self.restart = restart
        self.files: list[LogFile] = []
        self.next_base = 0
        self.over = False  # a later instance of the container exists
        self.folder_gone = False
        self.stamp = b""
        self.ignored: set[tuple[int, int, int]] = set()  # found files that are copies of known ones
        self.changed = False  # since the last checkpoint
        self.forgetful = False  # finished files may lie there that the checkpoint does not name

    @property
    def current(self) -> LogFile | None:
        """The file to read; None where all that exist are finished."""
        for file in self.files:
            if not file.done:
                return file
        return None

    @property
    def unread(self) -> int:
        """Bytes not given out yet, as far as known."""
        return sum(f.unread for f in self.files)

    def closed(self, file: LogFile) -> bool:
        """Whether nobody should write to the file any more (but see the graces)."""
        if file.name.gz or file.gone or self.over or self.folder_gone:
            return True
        return file is not self.files[-1]

    def finished(self, file: LogFile, now: float, now_ns: int) -> bool:
        """Whether nothing will be written to the file any more."""
        if file.name.gz:
            return True
        if not self.closed(file):
            file.closed_since = None
            return False
        self.note_closed(now)
        assert file.closed_since is not None
        grace = self._grace(file)
        if now - file.closed_since < grace:
            return False
        return file.quiet_s(now, now_ns) >= grace

    def note_closed(self, now: float) -> None:
        """From now on the graces of files run that nobody should write to any more."""
        for file in self.files:
            if file.closed_since is None and not file.done and self.closed(file):
                file.closed_since = now

    def _grace(self, file: LogFile) -> float:
        if file is self.files[-1] and not self.over and not self.folder_gone:
            return GONE_GRACE_S
        return TORN_GRACE_S if file.found_size > file.offset else GRACE_S

    def advance(self, now_ns: int, report: ReportLoss) -> LogFile | None:
        """Finish what is lost, and give the next file its base; the file to read, if any."""
        while (file := self.current) is not None:
            if file.base is None:
                file.base = self.next_base
            if not file.lost:
                return file
            self.finish(file, now_ns, report)
        return None

    def finish(self, file: LogFile, now_ns: int, report: ReportLoss) -> None:
        """The file is read to its end, or as far as it could be: what is missing is a loss."""
        assert file.base is not None
        broken = isinstance(file.source, PackedSource) and file.source.broken
        size = self._final_size(file) if file.lost or broken else file.known_size
        file.size = max(size, file.offset)
        if file.lost or broken or file.size > file.offset:
            report(self._loss(file, now_ns, "unreadable" if broken else file.lost_reason))
        file.close()
        file.done = True
        file.offset = file.size
        self.next_base = file.base + file.size
        self.changed = True

    def _final_size(self, file: LogFile) -> int:
        source = file.source
        if isinstance(source, PackedSource) and not source.cut_short:
            return max(file.size, file.found_size)
        return file.size

    def _loss(self, file: LogFile, now_ns: int, reason: str) -> Loss:
        assert file.base is not None
        after = next((f for f in self.files if not f.done and f is not file and f.head), None)
        end_ns = (stamp_ns(after.head) if after else 0) or now_ns
        return Loss(
            labels=self.instance.labels,
            position=file.base + file.offset,
            size_bytes=file.size - file.offset,
            start_ns=min(stamp_ns(self.stamp) or file.mtime_ns or end_ns, end_ns),
            end_ns=end_ns,
            reason=reason,
        )

    def checkpoint(self) -> Checkpoint:
        """Where the log is read to now."""
        current = self.current
        waiting = [f for f in self.files if not f.done and f is not current]
        begun = current is not None and current.mark.length > 0
        return Checkpoint(
            next_base=self.next_base,
            done=_marks(f for f in self.files if f.done)[-MAX_DONE_MARKS:],
            current=_mark(current) if current is not None and begun else None,
            base=(current.base or 0) if current is not None and begun else 0,
            offset=current.offset if current is not None and begun else 0,
            waiting=_marks(waiting),
            stamp=self.stamp,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Begin where `checkpoint` was made; the next reconciliation finds the files again."""
        self.next_base = checkpoint.next_base
        self.stamp = checkpoint.stamp
        self.files = [self._restored(m, done=True) for m in checkpoint.done]
        self.forgetful = len(checkpoint.done) >= MAX_DONE_MARKS
        if checkpoint.current is not None:
            current = self._restored(checkpoint.current)
            current.base, current.offset = checkpoint.base, checkpoint.offset
            current.looked = current.offset
            self.files.append(current)
        self.files += [self._restored(m) for m in checkpoint.waiting]

    def _restored(self, mark: FileMark, *, done: bool = False) -> LogFile:
        name = self._parse(mark.name) or name_behind(mark.name, self.restart)
        file = LogFile(self.folder / mark.name, name)
        file.device, file.inode = mark.device, mark.inode
        file.mark = Fingerprint(mark.length, mark.digest, mark.start)
        file.size = file.found_size = mark.size
        file.done = done
        file.offset = mark.size if done else 0
        return file

    def source_file(self, file: LogFile) -> SourceFile:
        """How a position of `file` leads back to it."""
        return SourceFile(
            path=str(file.path),
            device=file.device,
            inode=file.inode,
            fingerprint=file.mark.digest,
            fingerprint_bytes=file.mark.length,
            base=file.base or 0,
            size=file.size,
            labels=self.instance.labels,
        )


def _marks(files: Iterable[LogFile]) -> list[FileMark]:
    return [_mark(f) for f in files if f.mark.length]


def _mark(file: LogFile) -> FileMark:
    mark, size = file.mark, max(file.size, file.offset)
    return FileMark(
        mark.digest, mark.start, mark.length, size, file.device, file.inode, file.name.name
    )
