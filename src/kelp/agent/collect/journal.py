"""JournalCollector: what the node's units write to journald, each entry once.

The checkpoint is the cursor of the last entry. A new journalctl begins *at* that entry rather than
behind it, which shows whether it is still there: if so it is left out, if not the journal was
vacuumed up to somewhere behind it, and that is told as a loss. (`--after-cursor` leaves out the
nearest entry instead, in older journalctls, and says nothing.)

A journalctl that ends is started again, each time after a longer wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from kelp.agent.collect.books import Books, instance_of
from kelp.agent.collect.cursor import Place
from kelp.agent.collect.journalctl import (
    ALWAYS,
    FIELDS,
    Journalctl,
    arguments,
    installed,
    unit_name,
)
from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.base.glob import matcher
from kelp.base.settings import Agent
from kelp.model.entries import Entries
from kelp.model.loss import Loss, SourceFile
from kelp.model.raw import Instance
from kelp.model.stream import DATASET_KERNEL, DATASET_NODE
from kelp.wire.journal_export import Entry, ExportParser

SOURCE = "journal"
_MAX_UNITS = 1000  # remembered; a pattern may fit the units of every session
_WAIT_FIRST_S, _WAIT_MAX_S = 1.0, 60.0

_log = logging.getLogger(__name__)


class JournalCollector:
    """For one thread. `boot_s` gives the time of the boot, seconds since the epoch."""

    def __init__(
        self,
        settings: Agent,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        metrics: CollectMetrics,
        boot_s: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._journal = settings.journal
        self._clock = clock
        self._metrics = metrics
        self._boot_s = boot_s
        self._wanted = [matcher(unit_name(u)) for u in self._journal.units]
        self._filter = f"{','.join(sorted(self._journal.units))};kernel={self._journal.kernel}"
        self._books = Books(SOURCE, Place, checkpoints, metrics)
        self._place = self._books.restored or Place()
        self._instances: dict[str, Instance | None] = {}
        self._child: Journalctl | None = None
        self._parser = self._new_parser()
        self._at_cursor = False  # the next entry should be the last one again
        self._skip_until_us = 0
        self._choose_fields = True
        self._backoff = Backoff(_WAIT_FIRST_S, _WAIT_MAX_S, draw=lambda: 1.0)
        self._start_at = float("-inf")
        self._complained = ""
        self._last_bytes = 0
        self._off = not installed(self._journal.command)
        if self._off:
            self._books.failed("absent")
            _log.info(
                "the journal is not collected: there is no journalctl here",
                extra={"command": self._journal.command},
            )

    def _new_parser(self) -> ExportParser:
        return ExportParser(self._settings.max_record_bytes, [*ALWAYS, *FIELDS])

    def poll(self) -> Entries[Entry] | None:
        """What came since the last time, up to `max_read_bytes`; None where nothing of use did."""
        self._last_bytes = 0
        rows: list[Entry] = []
        instances: list[Instance] = []
        positions: list[int] = []
        for entry in self._read():
            position = self._take(entry)
            instance = self._instance_of(entry)
            if position is not None and instance is not None:
                rows.append(entry)
                instances.append(instance)
                positions.append(position)
        if not rows:
            return None
        self._books.gave(len(rows))
        size = sum(e.size for e in rows)
        return Entries(rows, instances, positions, size, self._clock.now_ns())

    def _read(self) -> list[Entry]:
        child = self._running()
        found: list[Entry] = []
        if child is None:
            return found
        malformed = self._parser.malformed
        while self._last_bytes < self._settings.max_read_bytes:
            block = child.read()
            if block is None:
                self._ended(child)
                break
            if not block:
                break
            self._last_bytes += len(block)
            found += self._parser.feed(block)
        if self._parser.malformed > malformed:
            self._books.failed("malformed", self._parser.malformed - malformed)
        if found:
            self._backoff.reset()
        return found

    def _running(self) -> Journalctl | None:
        """The child, started if it is time to."""
        if self._child is None and not self._off and self._clock.monotonic() >= self._start_at:
            words = arguments(
                self._journal, self._place, self._boot_s(), choose_fields=self._choose_fields
            )
            self._at_cursor = bool(self._place.cursor)
            self._skip_until_us = 0 if self._at_cursor else self._place.realtime_us
            self._parser = self._new_parser()
            try:
                self._child = Journalctl(words)
                self._books.up(True)
            except OSError as e:
                self._failed("start", str(e))
        return self._child

    def _ended(self, child: Journalctl) -> None:
        """Go on with a new one: at once where the old one could not do what it was asked."""
        self._child = None
        complaint = child.complaint()
        status = child.stop()
        if "output-fields" in complaint and self._choose_fields:
            self._choose_fields = False  # before systemd 236
            return
        if "cursor" in complaint.lower() and self._at_cursor:
            self._vacuumed(self._clock.now_ns())
            self._place = Place(
                realtime_us=self._place.realtime_us, next=self._place.next, filter=self._filter
            )
            return
        self._failed("ended", complaint or f"exit status {status}")

    def _failed(self, reason: str, complaint: str) -> None:
        wait_s = self._backoff.next_s()
        self._start_at = self._clock.monotonic() + wait_s
        self._books.up(False)
        self._books.failed(reason)
        if complaint != self._complained:
            self._complained = complaint
            _log.warning(
                "journalctl ended; it is started again",
                extra={"error": complaint, "wait_s": wait_s},
            )

    def _take(self, entry: Entry) -> int | None:
        """Count an entry as given out; its position, None where it was given out before."""
        cursor = entry.text("__CURSOR")
        realtime_us = entry.number("__REALTIME_TIMESTAMP") or 0
        if self._at_cursor:
            self._at_cursor = False
            if cursor == self._place.cursor:
                return None
            if self._filter == self._place.filter:
                self._vacuumed(realtime_us * 1000)
        if self._skip_until_us and realtime_us <= self._skip_until_us:
            return None
        self._skip_until_us = 0
        position = self._place.next or realtime_us
        self._place = Place(
            cursor=cursor, realtime_us=realtime_us, next=position + 1, filter=self._filter
        )
        self._books.reach(self._place)
        return position

    def _vacuumed(self, end_ns: int) -> None:
        """What came behind the last entry is gone; nobody knows how much it was."""
        start_ns = self._place.realtime_us * 1000
        self._books.lose(
            self._labels(DATASET_NODE), self._place.next, start_ns, max(start_ns, end_ns)
        )
        self._books.reach(self._place)
        _log.warning("the journal was vacuumed before it was read to its end")

    def _instance_of(self, entry: Entry) -> Instance | None:
        """The unit that wrote it, or that systemd writes of; None where nobody wants it."""
        if entry.fields.get("_TRANSPORT") == b"kernel":
            return self._remembered("") if self._journal.kernel else None
        unit = entry.text("UNIT") if entry.fields.get("_PID") == b"1" else ""
        unit = unit or entry.text("_SYSTEMD_UNIT")
        return self._remembered(unit) if unit else None

    def _remembered(self, unit: str) -> Instance | None:
        if unit not in self._instances:
            if len(self._instances) >= _MAX_UNITS:
                self._instances.clear()
            wanted = not unit or any(fits(unit) for fits in self._wanted)
            self._instances[unit] = self._new_instance(unit) if wanted else None
        return self._instances[unit]

    def _new_instance(self, unit: str) -> Instance:
        labels = self._labels(DATASET_NODE if unit else DATASET_KERNEL)
        return instance_of(SOURCE, unit, labels | {"unit": unit})

    def _labels(self, dataset: str) -> dict[str, str]:
        settings = self._settings
        labels = {"dataset": dataset, "cluster": settings.cluster, "node": settings.node}
        return {k: v for k, v in labels.items() if v}

    def discover(self) -> None:
        """Nothing: what is not read waits in the journal."""

    def changes(self) -> dict[str, bytes | None]:
        """See kelp.agent.pipeline.Collector."""
        return self._books.changes()

    def source_files(self) -> list[SourceFile]:
        """None: a journal's files hold entries of all units, in no order of bytes."""
        return self._books.source_files()

    def losses(self) -> list[Loss]:
        """See kelp.agent.pipeline.Collector."""
        return self._books.losses()

    def backlog_bytes(self) -> int:
        """What was read at once, for as much is likely to come again."""
        return self._last_bytes

    def close(self) -> None:
        """Stop journalctl."""
        if self._child is not None:
            self._child.stop()
            self._child = None
