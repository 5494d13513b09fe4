"""LogCollector: log files of a node, as batches of raw bytes; PodLogCollector: the containers'.

It joins the parts of this folder and holds what they do not know of each other: the tree of
folders, the logs in each, which of them are busy, and what has changed since the pipeline last
committed. One thread at a time may use it; `wake` alone may be called from anywhere.

A crash costs nothing as long as the pipeline commits `changes()` together with the records made of
what `poll()` has given out: a collector made of the last committed checkpoints goes on exactly
behind them.
"""

from __future__ import annotations

import os
import select
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from prometheus_client import CollectorRegistry

from kelp.agent.collect.batch import BatchBuilder, fair_shares
from kelp.agent.collect.checkpoint import encode
from kelp.agent.collect.copies import without_copies
from kelp.agent.collect.descriptors import Descriptors
from kelp.agent.collect.filetree import FileTree
from kelp.agent.collect.handling import Handler
from kelp.agent.collect.instancelog import InstanceLog
from kelp.agent.collect.links import LinkTree
from kelp.agent.collect.logfile import MIN_READ_BYTES, LogFile
from kelp.agent.collect.logs import Logs
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.reconcile import Outcome, Reconciler
from kelp.agent.collect.schedule import IDLE_AFTER_S, UNWATCHED_LOOK_S, Schedule, grown
from kelp.agent.collect.tree import Container, Folder, Pod, PodTree, Tree
from kelp.agent.collect.watch import Watcher
from kelp.base.clock import Clock
from kelp.base.settings import Agent
from kelp.model.loss import Loss, SourceFile
from kelp.model.raw import RawBatch

Token: TypeAlias = Folder | InstanceLog

_PASSES = 64  # over the busy logs in one poll, until one gives a piece


class _Ready(NamedTuple):
    """A log with something to read: so many bytes of that file, and whether more may follow."""

    log: InstanceLog
    file: LogFile
    size: int
    last: bool


class LogCollector:
    """Reads the files of `tree` from where `checkpoints` say, else from the oldest file there is.

    `checkpoints` are those committed last, by key.
    """

    def __init__(
        self,
        settings: Agent,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        tree: Tree,
        metrics: CollectMetrics,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.metrics = self._metrics = metrics
        self._tree = tree
        self._watcher: Watcher[Token] = Watcher(self._metrics, enabled=settings.inotify)
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._descriptors = Descriptors(settings.max_open_files)
        self._handler = Handler(clock, self._descriptors, self._metrics, self._report)
        self._schedule = Schedule(self._watcher.watch_file)
        self._logs = Logs(checkpoints, Reconciler(self._handler), self._metrics, clock)
        self._container_of: dict[InstanceLog, Container] = {}
        self._dirty: dict[Container, None] = {}
        self._unsettled: dict[Container, None] = {}
        self._next_scan = self._next_look = float("-inf")
        self._more = False
        self._losses: list[Loss] = []
        self._changed: dict[InstanceLog, None] = {}
        self._read_files: dict[LogFile, InstanceLog] = {}

    def poll(self) -> RawBatch | None:
        """What there is to read now, from all files, fairly; None where there is nothing.

        At most `max_read_bytes`, and beside that one line that is longer than a file's share, up to
        `max_record_bytes`. A longer line is a piece of its own: its first `max_record_bytes` bytes,
        without newline, and in `cut_bytes` how many followed (the newline not counted).
        """
        self._discover()
        batch: RawBatch | None = None
        for _ in range(_PASSES):
            ready = self._ready()
            if ready:
                batch = self._read(ready)
            if batch is not None or not (self._reconcile_dirty() or ready):
                break
        if batch is not None:
            self._more = self._more or any(r.last or r.file.readable for r in ready)
        self._metrics.opened(id(self), len(self._descriptors))
        if batch is not None:
            self._metrics.read_bytes.inc(len(batch.data))
        return batch

    def discover(self) -> None:
        """Find new files, open them and see how large all are, without reading on.

        `poll` does this too. Where reading has to wait (the spool is full), this alone keeps a
        hold on files that are rotated away and deleted in the meantime.
        """
        self._discover()
        now = self._clock.monotonic()
        for log in self._schedule.busy():
            for file in log.files:
                if not file.done and file.fd >= 0 and not file.measure(now):
                    self._dirty[self._container_of[log]] = None
        self._reconcile_dirty()

    def _discover(self) -> None:
        now = self._clock.monotonic()
        self._take_events()
        if now >= self._next_scan:
            self._scan()
            # A pods folder that is not there yet has no watch to tell of it.
            interval = self._settings.scan_interval_s
            self._next_scan = now + (min(interval, 1.0) if self._tree.root.gone else interval)
        if now >= self._next_look:
            self._next_look = now + UNWATCHED_LOOK_S
            self._look_at_unwatched(now)
        self._reconcile_dirty()

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something to read, after `wake`, or after `timeout_s`."""
        if self._more:
            return
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        if self._watcher.fileno() >= 0:
            poll.register(self._watcher.fileno(), select.POLLIN)
        ready = poll.poll(max(timeout_s, 0) * 1000)
        if any(fd == self._wake_fd for fd, _ in ready):
            os.eventfd_read(self._wake_fd)

    def wake(self) -> None:
        """End a `wait`, the present one or the next; from any thread or signal handler."""
        os.eventfd_write(self._wake_fd, 1)

    def changes(self) -> dict[str, bytes | None]:
        """Checkpoints of all that `poll` has given out since the last call; None: delete it."""
        changes: dict[str, bytes | None] = {}
        for log in self._changed:
            changes[log.instance.key] = encode(log.checkpoint())
            log.changed = False
        changes |= self._logs.forgotten
        self._changed, self._logs.forgotten = {}, {}
        return changes

    def source_files(self) -> list[SourceFile]:
        """Files that bytes were given out from since the last call."""
        files, self._read_files = self._read_files, {}
        return [log.source_file(file) for file, log in files.items()]

    def losses(self) -> list[Loss]:
        """What was found to be lost since the last call; part of the same commit as `changes`."""
        losses, self._losses = self._losses, []
        return losses

    def backlog_bytes(self) -> int:
        """Bytes that are there and were not given out yet, as far as known."""
        return sum(log.unread for log in self._schedule.busy())

    def close(self) -> None:
        """Give descriptors and watches back; commits nothing. May be called again."""
        self._descriptors.close_all()
        self._watcher.close()
        if self._wake_fd >= 0:
            os.close(self._wake_fd)
            self._wake_fd = -1

    # What there is: folders and logs.

    def _take_events(self) -> None:
        tokens, overflowed = self._watcher.read()
        if overflowed:
            self._next_scan = float("-inf")
        for token in tokens:
            if isinstance(token, InstanceLog):
                self._wake_log(token)
            elif isinstance(token, Container):
                self._dirty[token] = None
            elif isinstance(token, Pod):
                self._read_pod(token)
            else:
                self._read_root()

    def _wake_log(self, log: InstanceLog) -> None:
        if log in self._container_of:
            self._schedule.wake(log)

    def _scan(self) -> None:
        """Look at every folder, whatever inotify has told; unchanged ones cost a stat."""
        self._metrics.scans.inc()
        if self._tree.away():
            return
        now_ns = self._clock.now_ns()
        if self._tree.root.changed(now_ns) or not self._tree.root.watched:
            self._read_root()
        for pod in list(self._tree.pods.values()):
            if pod.changed(now_ns) or not pod.watched:
                self._read_pod(pod)
            for container in list(pod.containers.values()):
                if container.changed(now_ns) or not container.watched:
                    self._watch_container(container)
        for log in self._container_of:
            file = log.current
            if file is not None and grown(file):
                self._schedule.wake(log)
        self._reconcile_dirty()
        if self._tree.pods:
            self._take_vanished()
        self._metrics.known(id(self), self._logs.known_files())

    def _take_vanished(self) -> None:
        for log in self._logs.vanished(self._tree):
            log.advance(self._clock.now_ns(), self._report)

    def _read_root(self) -> None:
        # Watched before it is read: what comes in between is then told twice rather than never.
        root = self._tree.root
        root.watched = root.watched or self._watcher.watch_folder(str(root.path), root)
        for pod in self._tree.read_root():
            self._read_pod(pod)

    def _read_pod(self, pod: Pod) -> None:
        if not pod.gone:
            pod.watched = self._watcher.watch_folder(str(pod.path), pod)
        for container in self._tree.read_pod(pod):
            self._watch_container(container)

    def _watch_container(self, container: Container) -> None:
        if not container.gone and not container.watched:
            container.watched = self._watcher.watch_folder(str(container.path), container)
        self._dirty[container] = None

    def _watch_behind(self, container: Container) -> None:
        """Watch the folders that links lead to; what came before the watch is looked for again."""
        for folder in container.behind.values():
            if not folder.watched:
                folder.watched = self._watcher.watch_folder(str(folder.path), container)
                if folder.watched:
                    self._dirty[container] = None

    def _look_at_unwatched(self, now: float) -> None:
        self._dirty |= self._unsettled
        self._unsettled = {}
        self._schedule.look_at_unwatched(now)
        if self._tree.away():
            return
        now_ns = self._clock.now_ns()
        for pod in list(self._tree.pods.values()):
            if not pod.watched and pod.changed(now_ns):
                self._read_pod(pod)
            for container in pod.containers.values():
                if not container.watched and container.changed(now_ns):
                    self._dirty[container] = None
        if not self._tree.root.watched and self._tree.root.changed(now_ns):
            self._read_root()

    def _reconcile_dirty(self) -> bool:
        """Look at the folders whose names changed; whether there were any."""
        if not self._dirty or self._tree.away():
            return False
        dirty, self._dirty = self._dirty, {}
        for container in dirty:
            self._reconcile(container)
        return True

    def _reconcile(self, container: Container) -> None:
        logs, outcome = self._logs.reconcile(container)
        self._watch_behind(container)
        if outcome is Outcome.UNSETTLED:
            self._unsettled[container] = None
        if any(file.gone for log in logs for file in log.files):
            self._descriptors.give_up_held(self._settings.max_held_bytes)
        for log in logs:
            self._note(log)
            if log.instance.key in self._logs.forgotten and not log.files:
                self._drop(log)
            else:
                self._container_of[log] = container
                self._schedule.wake(log)

    def _drop(self, log: InstanceLog) -> None:
        self._container_of.pop(log, None)
        self._schedule.forget(log)
        self._changed.pop(log, None)

    def _note(self, log: InstanceLog) -> None:
        if log.changed:
            self._changed[log] = None

    def _report(self, loss: Loss) -> None:
        self._losses.append(loss)
        self._metrics.count_loss(loss)

    # What to read of it.

    def _ready(self) -> list[_Ready]:
        """Logs with something to read, in the order of their turns; enough of them for a batch."""
        now, now_ns = self._clock.monotonic(), self._clock.now_ns()
        ready: list[_Ready] = []
        least = 0
        self._more = False
        for log in self._schedule.busy():
            item = self._look(log, now, now_ns)
            if item is None:
                continue
            ready.append(item)
            least += min(item.size, MIN_READ_BYTES)
            # More than these would be opened for nothing, or closed again before their turn.
            if least >= self._settings.max_read_bytes or len(ready) >= self._descriptors.limit:
                self._more = True
                break
        return ready

    def _look(self, log: InstanceLog, now: float, now_ns: int) -> _Ready | None:
        """What can be read of a log now; in passing its finished files are left behind."""
        while (file := log.advance(now_ns, self._report)) is not None:
            if file.fd < 0 and not log.closed(file) and file.ended and not grown(file):
                self._schedule.rest(log)  # closed for being idle, and still so
                break
            if not self._refresh(log, file, now):
                break
            last = log.finished(file, now, now_ns)
            size = file.readable
            if last and file.ended:
                log.finish(file, now_ns, self._report)
                continue
            if size or last:
                return _Ready(log, file, size or file.unread, last)
            if not log.closed(file) and file.quiet_s(now, now_ns) > IDLE_AFTER_S:
                self._schedule.rest(log)
            break
        self._note(log)
        if file is None:
            self._schedule.rest(log)
            if self._container_of[log].gone:
                self._dirty[self._container_of[log]] = None  # to be forgotten
        return None

    def _refresh(self, log: InstanceLog, file: LogFile, now: float) -> bool:
        container = self._container_of[log]
        if file.fd < 0 and not self._handler.reopen(file):
            self._schedule.forget(log)  # until its folder was looked at
            (self._unsettled if file.path.exists() else self._dirty)[container] = None
            return False
        file.refresh(now)
        if file.suspect:
            self._dirty[container] = None
        return not file.suspect

    def _read(self, ready: list[_Ready]) -> RawBatch | None:
        shares = fair_shares([r.size for r in ready], self._settings.max_read_bytes)
        long = next((i for i, r in enumerate(ready) if r.file.want > shares[i]), None)
        if long is not None:
            shares[long] = ready[long].file.want
        builder = BatchBuilder(sum(shares))
        for share, item in zip(shares, ready, strict=True):
            if share:
                self._read_piece(builder, item, share)
                self._schedule.served(item.log)
        return builder.build(self._clock.now_ns())

    def _read_piece(self, builder: BatchBuilder, item: _Ready, share: int) -> None:
        log, file = item.log, item.file
        if file.fd < 0 and not self._refresh(log, file, self._clock.monotonic()):
            return  # closed for another's sake since it was found ready
        room = builder.room(share)
        try:
            piece = file.read(room, self._settings.max_record_bytes, last=item.last)
        except OSError:
            self._metrics.open_failures.inc()
            self._schedule.forget(log)
            self._unsettled[self._container_of[log]] = None
            return
        if file.suspect:
            self._dirty[self._container_of[log]] = None
        if piece is None:
            return
        assert file.base is not None
        builder.add(piece, file.base + file.offset, log.instance)
        file.give_out(piece, room)
        log.stamp = file.read_stamp
        self._descriptors.grown(file)
        self._changed[log] = None
        self._read_files[file] = log


class PodLogCollector(LogCollector):
    """Reads `settings.pods_dir`; `registry` takes the stage's metrics."""

    def __init__(
        self,
        settings: Agent,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        registry: CollectorRegistry | None = None,
    ) -> None:
        metrics = CollectMetrics(registry or CollectorRegistry())
        # Absolute, but with its links unresolved: labels name the path that people know.
        root = Path(os.path.abspath(settings.pods_dir))  # noqa: PTH100
        tree = PodTree(root, metrics, settings.node, settings.cluster)
        super().__init__(settings, clock, checkpoints, tree, metrics)


class LinkedLogCollector(LogCollector):
    """Reads what links in `settings.containers_dir` lead to, where `pods_dir` does not have it."""

    def __init__(
        self,
        settings: Agent,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        metrics: CollectMetrics,
    ) -> None:
        root, pods = (
            Path(os.path.abspath(folder))  # noqa: PTH100 - links unresolved, as above
            for folder in (settings.containers_dir, settings.pods_dir)
        )
        tree = LinkTree(root, pods, metrics, settings.node, settings.cluster)
        super().__init__(settings, clock, checkpoints, tree, metrics)


class FileLogCollector(LogCollector):
    """Reads the plain files that `settings.files` names, without copies of other sources.

    `metrics` are those of all collectors.
    """

    def __init__(
        self,
        settings: Agent,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        metrics: CollectMetrics,
    ) -> None:
        settings = without_copies(settings)
        tree = FileTree(settings.files, settings.node, settings.cluster)
        super().__init__(settings, clock, checkpoints, tree, metrics)
