"""The logs in container folders: made when a file is found, forgotten when nothing is left.

A log begins where its checkpoint says, if there is one. What the checkpoints know and no folder
shows any more is told as lost.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from kelp.agent.collect.checkpoint import Checkpoint, CheckpointError, decode, encode
from kelp.agent.collect.instancelog import InstanceLog
from kelp.agent.collect.listing import Listing, Names
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.paths import Naming
from kelp.agent.collect.reconcile import Outcome, Reconciler
from kelp.agent.collect.tree import Container, Tree
from kelp.base.clock import Clock

_LISTINGS = 8  # a rename may hide a name from a listing, and a rotation is several of them

_log = logging.getLogger(__name__)


class Logs:
    """Every known log, by container folder and restart.

    `forgotten` holds the checkpoints to delete (None) of logs that are no more; whoever commits
    takes them out.
    """

    def __init__(
        self,
        checkpoints: Mapping[str, bytes],
        reconciler: Reconciler,
        metrics: CollectMetrics,
        clock: Clock,
    ) -> None:
        self._reconciler = reconciler
        self._clock = clock
        self._metrics = metrics
        self._by_folder: dict[Path, dict[str, InstanceLog]] = {}
        self._standing: dict[Path, Container] = {}  # the last one seen under a path
        self.forgotten: dict[str, bytes | None] = {}
        self._waiting: dict[str, dict[str, bytes]] = defaultdict(dict)
        for key, data in checkpoints.items():
            container, _, restart = key.rpartition("/")
            self._waiting[container][restart] = data

    def known_files(self) -> int:
        """How many files are known."""
        return sum(len(log.files) for logs in self._by_folder.values() for log in logs.values())

    def reconcile(self, container: Container) -> tuple[list[InstanceLog], Outcome]:
        """Bring the logs of a folder in line with its files: all of them, forgotten ones too."""
        if not container.gone:
            self._standing[container.path] = container
        elif self._standing.get(container.path) is not container:
            return [], Outcome.SETTLED  # a static pod's, which has come again under this path
        for count in range(1, _LISTINGS + 1):
            listing = Listing(container, self._clock)
            names = listing.names
            if names is None:
                return [], Outcome.UNSETTLED
            logs = self._logs_of(container, names)
            outcomes = self._reconcile_all(container, logs, listing, final=count == _LISTINGS)
            if Outcome.RACED not in outcomes:
                break
        assert names is not None
        touched = list(logs.values())
        for log in touched:
            if not log.files and not names.get(log.restart):
                self._forget(container, log)
        unsettled = Outcome.UNSETTLED in outcomes and bool(logs)
        return touched, Outcome.UNSETTLED if unsettled else Outcome.SETTLED

    def _reconcile_all(
        self,
        container: Container,
        logs: Mapping[str, InstanceLog],
        listing: Listing,
        *,
        final: bool,
    ) -> set[Outcome]:
        rank = container.naming.rank
        names = listing.names or {}
        newest = max(map(rank, names), default=0)
        outcomes = set()
        for restart, log in logs.items():
            log.over = rank(restart) < newest
            log.folder_gone = container.gone
            moved = partial(listing.moved, restart)
            found = names.get(restart, [])
            outcomes.add(self._reconciler.reconcile(log, found, moved=moved, final=final))
        return outcomes

    def _logs_of(self, container: Container, names: Names) -> dict[str, InstanceLog]:
        logs = self._by_folder.setdefault(container.path, {})
        naming = container.naming
        waiting = self._waiting.get(naming.key, {})
        stored = {r: waiting.pop(r) for r in list(waiting) if naming.knows(r)}
        if not waiting:
            self._waiting.pop(naming.key, None)
        for restart in sorted(names.keys() | stored.keys(), key=lambda r: (naming.rank(r), r)):
            if restart not in logs:
                logs[restart] = log = self._make(container.path, naming, restart)
                self._restore(log, stored.get(restart))
                self.forgotten.pop(log.instance.key, None)
        return logs

    def _make(self, folder: Path, naming: Naming, restart: str) -> InstanceLog:
        return InstanceLog(naming.instance(folder, restart), folder, restart, naming.parse)

    def _restore(self, log: InstanceLog, data: bytes | None) -> bool:
        """Whether the checkpoint tells of files, rather than of a position alone."""
        if data is None:
            return False
        try:
            checkpoint = decode(data)
            log.restore(checkpoint)
            return bool(log.files)
        except CheckpointError as e:
            self._metrics.bad_checkpoints.inc()
            _log.error(
                "a log is read again from its oldest file, for its checkpoint cannot be used",
                extra={"log": log.instance.key, "error": e},
            )
            return True

    def _forget(self, container: Container, log: InstanceLog) -> None:
        logs = self._by_folder.get(container.path, {})
        if logs.pop(log.restart, None) is None:
            return
        if not logs:
            del self._by_folder[container.path]
            if container.gone:
                self._standing.pop(container.path, None)
        tombstone = _tombstone(container.naming, log)
        self.forgotten[log.instance.key] = tombstone
        if tombstone is not None:
            self._waiting[container.naming.key][log.restart] = tombstone

    def vanished(self, tree: Tree) -> list[InstanceLog]:
        """Logs that are known by their checkpoints alone: their folders are gone.

        To be called when the whole tree was read. They come out forgotten, with all that was not
        read of them lost.
        """
        gone = []
        for key, stored in list(self._waiting.items()):
            place = tree.place(key)
            if place is None or place[0].exists():
                continue
            folder, naming = place
            for restart, data in list(stored.items()):
                log = self._make(folder, naming, restart)
                if not self._restore(log, data):
                    continue  # a tombstone
                del stored[restart]
                log.folder_gone = True
                self._reconciler.reconcile(log, [], final=True)
                self.forgotten[log.instance.key] = _tombstone(naming, log)
                gone.append(log)
        return gone


def _tombstone(naming: Naming, log: InstanceLog) -> bytes | None:
    """What is kept of a log that is gone and may come again: its position, which never repeats."""
    return encode(Checkpoint(next_base=log.next_base)) if naming.comes_again else None
