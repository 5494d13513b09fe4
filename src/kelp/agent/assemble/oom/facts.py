"""From the joined lines of a report to its kills, and from a kill to a record's attributes.

The names are in docs/reference/oom.md. What is not there stands in the body, and is read out of it
again by `kelp oom`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

from kelp.agent.assemble.oom.burst import event_in
from kelp.agent.assemble.traces.lane import Row
from kelp.base.oom.assemble import Assembler
from kelp.base.oom.calendar import Calendar, Stamp
from kelp.base.oom.events import Killed, Sharing
from kelp.base.oom.kill import Kill
from kelp.base.oom.line import KernelLine, peel
from kelp.base.problems import PROBLEM

REASON = "OOMKilling"  # as the node problem detector calls it


class Names(Struct, frozen=True):
    """Of a pod and a container; empty where nobody knows them."""

    namespace: str = ""
    pod: str = ""
    container: str = ""


# (pod uid, container id) → their names
WhoIs = Callable[[str | None, str | None], Names]


# How the lines of a source stand: the kernel's text alone, or behind prefixes of a file.
Reading = Callable[[Row], KernelLine]


def bare_line(row: Row) -> KernelLine:
    """A row of the kernel's own log, or of the journal's copy of it: the text alone.

    What user space writes there has a facility, and is no kernel line.
    """
    text = row.body.decode("utf-8", "backslashreplace")
    stamp = Stamp("epoch_us", str(row.timestamp // 1000))
    return KernelLine(text, stamp=stamp, told=True, foreign=_of_user_space(row))


def _of_user_space(row: Row) -> bool:
    return row.marks.get("syslog.facility", "kern") != "kern"


def line_in_file(row: Row) -> KernelLine:
    """A row of a plain file, its prefixes taken off."""
    return peel(row.body.decode("utf-8", "backslashreplace"))


def kills_of_rows(rows: Sequence[Row], read: Reading, zone: tzinfo | None) -> list[Kill]:
    """The kills that the rows of one report tell of, in their order."""
    now = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=rows[-1].timestamp // 1000)
    assembler = Assembler(Calendar(zone=zone, not_after=now))
    kills = [kill for row in rows for line in _pieces(row, read) for kill in assembler.feed(line)]
    return kills + assembler.end()


def _pieces(row: Row, read: Reading) -> list[KernelLine]:
    line = read(row)
    if "\n" not in line.text:
        return [line]
    return [KernelLine(t, stamp=line.stamp, told=line.told) for t in line.text.split("\n")]


def divided(
    rows: Sequence[Row], kills: Sequence[Kill], read: Reading
) -> list[tuple[list[Row], Kill]]:
    """The rows by kill: all up to the second victim's line with the first, and so on."""
    parts: list[tuple[list[Row], Kill]] = [([], kills[0])]
    later = {k.pid: k for k in kills[1:] if k.pid is not None and k.pid != kills[0].pid}
    for row in rows:
        event = event_in(read(row).text)
        # A message of several lines may name two; it is the first one's record.
        if isinstance(event, (Killed, Sharing)) and event.pid in later and parts[-1][0]:
            parts.append(([], later.pop(event.pid)))
        parts[-1][0].append(row)
    return parts


def attributes(kill: Kill, who_is: WhoIs) -> dict[str, str]:
    """What a record says of its kill; what the kernel did not say is left out."""
    names = who_is(kill.pod_uid, kill.container_id)
    memory = kill.memory
    values: dict[str, object] = {
        PROBLEM: REASON,
        "oom_outcome": kill.outcome,
        "oom_constraint": kill.constraint,
        "oom_global": kill.global_,
        "oom_pid": kill.pid,
        "oom_process": kill.process,
        "oom_uid": kill.uid,
        "oom_score_adj": kill.oom_score_adj,
        "oom_total_vm_bytes": kill.total_vm_bytes,
        "oom_anon_rss_bytes": kill.anon_rss_bytes,
        "oom_file_rss_bytes": kill.file_rss_bytes,
        "oom_shmem_rss_bytes": kill.shmem_rss_bytes,
        "oom_task_cgroup": kill.task_cgroup,
        "oom_cgroup": kill.oom_cgroup,
        "oom_group_cgroup": kill.group_cgroup,
        "oom_limit_scope": kill.limit_scope,
        "oom_limit_bytes": memory.limit_bytes if memory else None,
        "oom_usage_bytes": memory.usage_bytes if memory else None,
        "oom_failcnt": memory.failcnt if memory else None,
        "oom_pod_uid": kill.pod_uid,
        "oom_container_id": kill.container_id,
        "oom_qos_class": kill.qos_class,
        "oom_runtime": kill.runtime,
        "oom_unit": kill.unit,
        "oom_namespace": names.namespace,
        "oom_pod": names.pod,
        "oom_container": names.container,
        "oom_trigger": kill.trigger.process if kill.trigger else None,
    }
    return {name: _text(value) for name, value in values.items() if value not in (None, "")}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
