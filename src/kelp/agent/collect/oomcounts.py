"""OomCountCollector: kills that the cgroups' counters tell of and no line of the kernel's does.

A kernel line may be lost: to its rate limit, to a buffer that went round, to a node that allows no
look at it. The counters of the memory cgroups lose nothing, but name no process. So each rise is
held against the kills that were read meanwhile, and what stays over is given out: a kill of this
pod, of which the kernel said nothing that came here.

Counters, what was not matched yet, and the number of the next record are one checkpoint, committed
together with what was read of the kernel's lines: so each kill counts once, through restarts too.

Left out: cgroup v1's containers that are gone before they are looked at (v2's pods keep the count
of theirs), and whatever happened before the first start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.oomfiles import Counts, read_counts
from kelp.base.clock import Clock
from kelp.base.settings import Agent
from kelp.model.entries import Entries
from kelp.model.loss import Loss, SourceFile
from kelp.model.raw import Instance
from kelp.model.stream import DATASET_KERNEL

SOURCE = "memory.events"
_KEY = "counts"
_NS = 1_000_000_000

# The kernel's lines of a kill are read within seconds; a report that was begun waits for its end.
_WAIT_FOR_LINES_NS = 20 * _NS
# A kill that was read waits so long for its counter: longer than the interval, and than a restart.
_WAIT_FOR_COUNT_NS = 120 * _NS
_MAX_OPEN = 10_000

_log = logging.getLogger(__name__)

# (pod uid, container id) of the kills that were read since the last call; "" where unknown.
Told = Callable[[], Sequence[tuple[str, str]]]


class UntoldKill(msgspec.Struct, frozen=True, kw_only=True):
    """A rise by one of a counter; `pod_uid` is empty where the pod is gone already."""

    pod_uid: str
    container_id: str
    cgroup: str
    count: int  # what the counter says behind it
    seen_ns: int


class _ToldKill(msgspec.Struct, frozen=True):
    pod_uid: str
    seen_ns: int


class _State(msgspec.Struct, kw_only=True):
    """The checkpoint."""

    version: int = 1
    boot_id: str
    counts: Counts
    open: list[UntoldKill] = []
    told: list[_ToldKill] = []
    next: int = 0


class OomCountCollector:
    """For one thread."""

    def __init__(
        self,
        settings: Agent,
        clock: Clock,
        checkpoints: Mapping[str, bytes],
        metrics: CollectMetrics,
        boot_id: str,
        told: Told,
    ) -> None:
        self._root = Path(settings.sys_dir) / "fs" / "cgroup"
        self._interval_s = settings.oom_count_interval_s
        self._clock = clock
        self._metrics = metrics
        self._told = told
        labels = {
            "dataset": DATASET_KERNEL,
            "cluster": settings.cluster,
            "node": settings.node,
            "boot_id": boot_id,
            # A stream of its own, for its positions are.
            "filename": SOURCE,
        }
        self._instance = Instance(f"{SOURCE}:{boot_id}", {k: v for k, v in labels.items() if v})
        restored = self._restored(checkpoints, boot_id)
        self._known = restored is not None
        self._state = restored or _State(boot_id=boot_id, counts=Counts())
        self._due = float("-inf")
        self._changed = False

    def _restored(self, checkpoints: Mapping[str, bytes], boot_id: str) -> _State | None:
        data = checkpoints.get(_KEY)
        if data is None:
            return None
        try:
            state = msgspec.json.decode(data, type=_State)
        except msgspec.DecodeError:
            self._metrics.bad_checkpoints.inc()
            _log.error("kills are counted from now on, for the checkpoint cannot be used")
            return None
        if state.boot_id != boot_id:  # all counters began at zero again
            return _State(boot_id=boot_id, counts=Counts(), next=state.next)
        return state

    def poll(self) -> Entries[UntoldKill] | None:
        """The kills of which no line came in time; None where none."""
        now_ns = self._clock.now_ns()
        self._take_told(now_ns)
        if self._clock.monotonic() < self._due:
            return None
        self._due = self._clock.monotonic() + self._interval_s
        self._look(now_ns)
        untold = self._settle(now_ns)
        if not untold:
            return None
        self._metrics.source_records.labels(SOURCE).inc(len(untold))
        first = self._state.next
        self._state.next += len(untold)
        positions = range(first, self._state.next)
        return Entries(untold, [self._instance] * len(untold), positions, len(untold), now_ns)

    def _take_told(self, now_ns: int) -> None:
        for pod_uid, _container_id in self._told():
            self._state.told.append(_ToldKill(pod_uid, now_ns))
            self._changed = True

    def _look(self, now_ns: int) -> None:
        """Read the counters, and note what rose."""
        before, now = self._state.counts, read_counts(self._root, self._state.counts)
        self._metrics.source_up.labels(SOURCE).set(now is not None)
        if now is None or now == before:
            return
        self._changed = True
        self._state.counts = now
        if not self._known:  # what was before the first start is nobody's to tell
            self._known = True
            return
        for pod_uid, container_id, cgroup, count in now.rises_since(before):
            if len(self._state.open) < _MAX_OPEN:
                self._state.open.append(
                    UntoldKill(
                        pod_uid=pod_uid,
                        container_id=container_id,
                        cgroup=cgroup,
                        count=count,
                        seen_ns=now_ns,
                    )
                )

    def _settle(self, now_ns: int) -> list[UntoldKill]:
        """Strike out what was counted and told; what waited too long, which is left over."""
        state = self._state
        if not (state.open or state.told):
            return []
        still: list[UntoldKill] = []
        over: list[UntoldKill] = []
        for kill in state.open:
            late = now_ns - kill.seen_ns >= _WAIT_FOR_LINES_NS
            if self._strike_out(kill.pod_uid) or (late and self._strike_out("")):
                continue
            (over if late else still).append(kill)
        waiting = [t for t in state.told if now_ns - t.seen_ns < _WAIT_FOR_COUNT_NS]
        self._changed = True
        state.open, state.told = still, waiting[-_MAX_OPEN:]
        return over

    def _strike_out(self, pod_uid: str) -> bool:
        told = self._state.told
        at = next((i for i, t in enumerate(told) if t.pod_uid == pod_uid), None)
        if at is not None:
            del told[at]
        return at is not None

    def discover(self) -> None:
        """Nothing: counters stay."""

    def changes(self) -> dict[str, bytes | None]:
        """See kelp.agent.pipeline.Collector."""
        # What is committed as a record is committed as told.
        self._take_told(self._clock.now_ns())
        if not self._changed:
            return {}
        self._changed = False
        return {_KEY: msgspec.json.encode(self._state)}

    def source_files(self) -> list[SourceFile]:
        """None: counters are no log."""
        return []

    def losses(self) -> list[Loss]:
        """None."""
        return []

    def backlog_bytes(self) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Nothing is held."""
