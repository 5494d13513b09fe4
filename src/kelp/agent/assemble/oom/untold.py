"""Kills that only a counter tells of, as records: of whom, and that nothing more is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.oom.facts import REASON, WhoIs
from kelp.base.cgroup import locate
from kelp.base.problems import PROBLEM
from kelp.model.entries import Entries
from kelp.model.lines import NO_STREAM, Lines
from kelp.model.severity import ERROR

SOURCE = "memory.events"


class Untold(Protocol):
    """What the collector gives; see kelp.agent.collect.oomcounts."""

    @property
    def pod_uid(self) -> str:
        """Empty where the pod is gone."""

    @property
    def container_id(self) -> str:
        """Empty where the container is gone."""

    @property
    def cgroup(self) -> str:
        """Whose counter rose."""

    @property
    def count(self) -> int:
        """To what."""

    @property
    def seen_ns(self) -> int:
        """When it was seen."""


class UntoldKillAssembler:
    """Nothing is kept."""

    def __init__(self, who_is: WhoIs) -> None:
        self._who_is = who_is

    def assemble(self, entries: Entries[Untold], /) -> Lines:
        """A record a kill, each an error."""
        rows: Sequence[Untold] = entries.rows
        count = len(rows)
        return Lines(
            instances=entries.instances,
            instance=np.arange(count, dtype=np.int32),
            stream=np.full(count, NO_STREAM, np.uint8),
            timestamp=np.array([row.seen_ns for row in rows], np.int64),
            position=np.array(entries.positions, np.uint64),
            body=pa.array([_body(row) for row in rows], pa.binary()),
            marks={i: self._marks(row) for i, row in enumerate(rows)},
            observed_ns=entries.observed_ns,
            told=np.full(count, ERROR, np.uint8),
            told_first=True,
        )

    def _marks(self, row: Untold) -> dict[str, str]:
        names, place = self._who_is(row.pod_uid, row.container_id), locate(row.cgroup)
        values = {
            PROBLEM: REASON,
            "oom_source": SOURCE,
            "oom_outcome": "killed",
            "oom_task_cgroup": row.cgroup,
            "oom_pod_uid": row.pod_uid,
            "oom_container_id": row.container_id,
            "oom_qos_class": place.qos_class or "",
            "oom_runtime": place.runtime or "",
            "oom_namespace": names.namespace,
            "oom_pod": names.pod,
            "oom_container": names.container,
        }
        return {name: value for name, value in values.items() if value}

    def expire(self, _now_ns: int, /) -> Lines | None:
        """Nothing waits."""
        return None

    def changes(self) -> dict[str, bytes | None]:
        """Nothing is kept."""
        return {}


def _body(row: Untold) -> bytes:
    where = row.cgroup if row.pod_uid else f"a pod below {row.cgroup} that is gone"
    return (
        f"{SOURCE}: a process was killed for want of memory in {where}: oom_kill is {row.count}, "
        "and no line of the kernel's told of it"
    ).encode()
