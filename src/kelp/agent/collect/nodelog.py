"""NodeLogCollector: journals of nodes that no agent runs on, through the API server.

Each unit of each node is asked for every `poll_interval_s` by a few threads; what is new in an
answer is told by kelp.kube.follow, and its place is the checkpoint, so that each entry is given out
once and in the node's order. The pipeline's thread never waits for the API server.

A journal that was vacuumed behind the last entry is a loss, of unknown size. Of a node that is gone
the place is kept for a week, in case that it comes back.

Left out: several agents that share the work. Two with the same nodes collect everything twice.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from kelp.agent.collect.fetching import Fetched, Fetchers
from kelp.agent.collect.journalctl import unit_name
from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.glob import is_pattern, matcher
from kelp.base.settings import Agent
from kelp.kube.client import KubeClient
from kelp.kube.errors import AccessError, ApiError, AwayError
from kelp.kube.follow import Follower, Place
from kelp.kube.journal_text import TextEntry
from kelp.kube.nodelogs import DisabledError, LogQuery, query_journal
from kelp.kube.reading import JournalReading, complaint
from kelp.kube.reflector import list_all
from kelp.model.entries import Entries
from kelp.model.loss import Loss, SourceFile
from kelp.model.raw import Instance
from kelp.model.stream import DATASET_NODE
from kelp.wire.journal_export import Entry

SOURCE = "node_logs"
NODES_EVERY_S = 60.0
FORGET_AFTER_S = 7 * 86_400
"""When the place of a node is forgotten that is no longer there."""

MAX_ANSWER_BYTES = 16 << 20
"""A cut answer in which there was nothing new is asked for again with more room, up to this."""

_WAIT_MAX_S = 300.0
_NODES = ""  # the key of the question for the nodes themselves

_log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    """Of one question for a journal."""

    entries: list[TextEntry]
    asked_us: int
    whole: bool
    size: int
    error: KelpError | None  # why there is no more


class _Journal:
    """One unit of one node."""

    def __init__(self, node: str, unit: str, follower: Follower, instance: Instance) -> None:
        self.node, self.unit = node, unit
        self.follower, self.instance = follower, instance
        self.backoff: Backoff | None = None  # while it cannot be read
        self.limit = 0
        self.complained = ""
        self.wanted = True


class NodeLogCollector:
    """For one thread. `client` is closed with it."""

    def __init__(
        self,
        settings: Agent,
        client: KubeClient,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        metrics: CollectMetrics,
    ) -> None:
        self._settings = settings
        self._wanted = settings.node_logs
        self._client, self._clock, self._metrics = client, clock, metrics
        self._start_us = clock.now_ns() // 1000 - int(self._wanted.lookback_s * 1e6)
        self._places = self._restored(checkpoints)  # of journals that are not read now
        self._journals: dict[str, _Journal] = {}
        self._due: list[tuple[float, str]] = []  # a heap
        self._fetchers: Fetchers[str] = Fetchers(self._wanted.max_concurrent, "node-logs", _size)
        self._nodes_at = float("-inf")
        self._nodes_asked = False
        self._nodes_complained = ""
        self._fits = [matcher(pattern) for pattern in self._wanted.nodes]
        self._named = not any(is_pattern(pattern) for pattern in self._wanted.nodes)
        self._changed: dict[str, bytes | None] = {}
        self._losses: list[Loss] = []
        metrics.source_up.labels(SOURCE).set(0)

    def _restored(self, checkpoints: Mapping[str, bytes]) -> dict[str, Place]:
        places = {}
        for key, data in checkpoints.items():
            try:
                places[key] = msgspec.json.decode(data, type=Place)
            except msgspec.DecodeError:
                self._metrics.bad_checkpoints.inc()
                _log.error(
                    "a node's journal is read again, for its checkpoint cannot be used",
                    extra={"journal": key},
                )
        return places

    # What the pipeline asks for.

    def poll(self) -> Entries[Entry] | None:
        """The new entries of one answer; None where there is none yet."""
        self._ask()
        while (fetched := self._fetchers.take()) is not None:
            if fetched.key == _NODES:
                self._take_nodes(fetched)
                continue
            entries = self._take(self._journals[fetched.key], fetched)
            if entries is not None:
                return entries
        return None

    def discover(self) -> None:
        """Nothing: what is not read waits in the nodes' journals."""

    def changes(self) -> dict[str, bytes | None]:
        """See kelp.agent.pipeline.Collector."""
        changes, self._changed = self._changed, {}
        return changes

    def source_files(self) -> list[SourceFile]:
        """None: they are other nodes' files."""
        return []

    def losses(self) -> list[Loss]:
        """See kelp.agent.pipeline.Collector."""
        losses, self._losses = self._losses, []
        return losses

    def backlog_bytes(self) -> int:
        """Enough to come again at once where answers wait."""
        return self._settings.max_read_bytes if self._fetchers.waiting else 0

    def close(self) -> None:
        """End; what is under way is cut."""
        self._fetchers.stop()
        self._client.close()

    # Which nodes there are.

    def _take_nodes(self, fetched: Fetched[str]) -> None:
        self._nodes_asked = False
        self._nodes_at = self._clock.monotonic() + NODES_EVERY_S
        if fetched.error is not None:
            self._failed(fetched.error)
            if str(fetched.error) != self._nodes_complained:
                self._nodes_complained = str(fetched.error)
                _log.warning(
                    "the nodes cannot be listed; those that are known are read on",
                    extra={"error": self._nodes_complained},
                )
            return
        self._nodes_complained = ""
        self._know([name for name in fetched.value if any(fits(name) for fits in self._fits)])

    def _know(self, nodes: Sequence[str]) -> None:
        """These are the nodes to read."""
        keys = {f"{node}/{unit}": (node, unit) for node in nodes for unit in self._wanted.units}
        now_s = self._clock.now_ns() // 1_000_000_000
        for key, (node, unit) in keys.items():
            if key not in self._journals:
                self._add(key, node, unit)
            self._journals[key].wanted = True
        for key in self._journals.keys() - keys.keys():
            self._journals[key].wanted = False
        for key in [k for k in self._places if k not in keys]:
            self._gone(key, self._places[key], now_s)

    def _add(self, key: str, node: str, unit: str) -> None:
        place = self._places.pop(key, Place())
        if place.gone_s:
            place = msgspec.structs.replace(place, gone_s=0)
        labels = {
            "dataset": DATASET_NODE,
            "cluster": self._settings.cluster,
            "node": node,
            "unit": unit_name(unit),
        }
        instance = Instance(f"{SOURCE}:{key}", {k: v for k, v in labels.items() if v})
        self._journals[key] = _Journal(node, unit, Follower(place, self._start_us), instance)
        heapq.heappush(self._due, (self._clock.monotonic(), key))

    def _gone(self, key: str, place: Place, now_s: int) -> None:
        if not place.gone_s:
            self._places[key] = place = msgspec.structs.replace(place, gone_s=now_s)
            self._changed[key] = msgspec.json.encode(place)
        elif now_s - place.gone_s > FORGET_AFTER_S:
            del self._places[key]
            self._changed[key] = None

    # Asking, and what comes of it.

    def _ask(self) -> None:
        now = self._clock.monotonic()
        if now >= self._nodes_at and not self._nodes_asked and self._fetchers.free:
            if self._named:
                self._nodes_at = float("inf")
                self._know(self._wanted.nodes)
            else:
                self._nodes_asked = True
                self._fetchers.ask(_NODES, self._node_names)
        while self._due and self._due[0][0] <= now and self._fetchers.free:
            _, key = heapq.heappop(self._due)
            journal = self._journals[key]
            if journal.wanted:
                self._fetchers.ask(key, self._question(journal))
            else:  # its node is gone
                place = self._journals.pop(key).follower.place
                if place.tail:
                    self._places[key] = place

    def _node_names(self) -> list[str]:
        return [m.name for m in list_all(self._client, "/api/v1/nodes", {}, "list nodes")[0]]

    def _question(self, journal: _Journal) -> Callable[[], _Answer]:
        limit = journal.limit or self._settings.max_read_bytes
        query = LogQuery([journal.unit], since_us=journal.follower.since_us())
        return partial(self._read, journal.node, query, limit)

    def _read(self, node: str, query: LogQuery, limit: int) -> _Answer:
        """On a thread of the fetchers; raises KelpError."""
        with query_journal(self._client, node, query) as answer:
            reading = JournalReading(answer, self._clock.now_ns(), limit)
            entries = list(reading.entries())
        error: KelpError | None = reading.error
        if not entries and error is None and reading.notes:
            told = complaint(reading.notes)
            error = _NoJournalError(told) if told else _StrangeError(reading.notes[0])
        return _Answer(entries, query.since_us or 0, reading.whole, reading.size, error)

    def _take(self, journal: _Journal, fetched: Fetched[str]) -> Entries[Entry] | None:
        answer: _Answer | None = fetched.value
        error = fetched.error or (answer.error if answer is not None else None)
        self._note(journal, error)
        entries: list[TextEntry] = []
        if answer is not None and not (error is not None and not answer.entries):
            entries = self._new(journal, answer)
        more = bool(entries) and answer is not None and not answer.whole and error is None
        wait_s = self._wanted.poll_interval_s if error is None else self._wait_s(journal)
        due = self._clock.monotonic() + (0.0 if more else wait_s)
        heapq.heappush(self._due, (due, fetched.key))
        if not entries or answer is None:
            return None
        self._changed[fetched.key] = msgspec.json.encode(journal.follower.place)
        self._metrics.source_records.labels(SOURCE).inc(len(entries))
        first = journal.follower.place.next - len(entries)
        return Entries(
            [self._row(e) for e in entries],
            [journal.instance] * len(entries),
            range(first, first + len(entries)),
            answer.size,
            self._clock.now_ns(),
        )

    def _new(self, journal: _Journal, answer: _Answer) -> list[TextEntry]:
        before = journal.follower.place
        taken = journal.follower.take(answer.entries, answer.asked_us, whole=answer.whole)
        if taken.lost:
            self._lost(journal, before, taken.entries)
        if taken.entries or answer.whole:
            journal.limit = 0
        else:
            limit = 2 * (journal.limit or self._settings.max_read_bytes)
            journal.limit = min(limit, max(MAX_ANSWER_BYTES, self._settings.max_read_bytes))
        return taken.entries

    def _lost(self, journal: _Journal, before: Place, after: Sequence[TextEntry]) -> None:
        loss = Loss(
            labels=journal.instance.labels,
            position=before.next,
            size_bytes=0,
            start_ns=before.time_us * 1000,
            end_ns=max(before.time_us, after[0].time_us) * 1000,
            reason="rotated_away",
        )
        self._losses.append(loss)
        self._metrics.count_loss(loss)
        _log.warning(
            "a node's journal was vacuumed before it was read to its end",
            extra={"node": journal.node, "unit": journal.unit},
        )

    def _row(self, entry: TextEntry) -> Entry:
        """As if journald had given it, so that one assembler does for both."""
        message = entry.message
        limit = self._settings.max_record_bytes
        fields = {
            "MESSAGE": message[:limit],
            "SYSLOG_IDENTIFIER": entry.identifier.encode(),
            "_SOURCE_REALTIME_TIMESTAMP": b"%d" % entry.time_us,
        }
        if entry.pid:
            fields["_PID"] = entry.pid.encode()
        cut = {"MESSAGE": len(message) - limit} if len(message) > limit else {}
        return Entry(fields, cut=cut, size=entry.size)

    def _note(self, journal: _Journal, error: Exception | None) -> None:
        if error is None:
            if journal.backoff is not None:
                _log.info(
                    "a node's journal is read again",
                    extra={"node": journal.node, "unit": journal.unit},
                )
            journal.backoff, journal.complained = None, ""
            self._metrics.source_up.labels(SOURCE).set(1)
            return
        self._failed(error)
        if str(error) != journal.complained:
            journal.complained = str(error)
            _log.warning(
                "a node's journal cannot be read; it is asked for again",
                extra={"node": journal.node, "unit": journal.unit, "error": str(error)},
            )

    def _wait_s(self, journal: _Journal) -> float:
        if journal.backoff is None:
            longest = max(_WAIT_MAX_S, self._wanted.poll_interval_s)
            journal.backoff = Backoff(self._wanted.poll_interval_s, longest, draw=lambda: 1.0)
        return journal.backoff.next_s()

    def _failed(self, error: Exception) -> None:
        self._metrics.source_failures.labels(SOURCE, _reason(error)).inc()
        if all(j.backoff is not None for j in self._journals.values()):
            self._metrics.source_up.labels(SOURCE).set(0)


class _NoJournalError(KelpError):
    """The node has no such unit, or its journal cannot be read there."""


class _StrangeError(KelpError):
    """An answer of which no line was understood."""

    def __init__(self, line: str) -> None:
        super().__init__(f'expected lines as of journalctl --output=short-precise; got "{line}"')


def _size(value: object) -> int:
    return value.size if isinstance(value, _Answer) else 0


def _reason(error: Exception) -> str:
    if isinstance(error, ApiError):
        return "denied" if error.status in (401, 403) else "refused"
    kinds = (
        (AwayError, "away"),
        (AccessError, "unusable"),
        (DisabledError, "disabled"),
        (_NoJournalError, "absent"),
        (_StrangeError, "malformed"),
        (KelpError, "refused"),
    )
    return next((name for kind, name in kinds if isinstance(error, kind)), "failed")
