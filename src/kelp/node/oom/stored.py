"""A kill as the store has it, back as a Kill: the body holds the kernel's words, the attributes
what the agent read in them.

Of a group each further victim's record has its own line alone; what the report said of all stands
in its attributes. A kill that only a counter told of has no words of the kernel's at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from kelp.base.oom.assemble import Assembler
from kelp.base.oom.calendar import Calendar
from kelp.base.oom.kill import Kill, Usage
from kelp.base.oom.line import KernelLine, peel


class StoredKill(Struct, kw_only=True):
    """A kill and where its record stands; names are empty where nobody knew them."""

    kill: Kill
    time_ns: int
    namespace: str = ""
    pod: str = ""
    container: str = ""
    counted_only: bool = False  # by the cgroup's counter; no line of the kernel's came


def stored_kill(
    body: str, attributes: Mapping[str, str], time_ns: int, labels: Mapping[str, str]
) -> StoredKill:
    """What a record of the dataset `kernel` with the problem OOMKilling tells."""
    counted_only = "oom_source" in attributes
    in_file = bool(labels.get("filename"))
    kill = Kill() if counted_only else _read(body, attributes, in_file=in_file)
    _fill(kill, attributes)
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=time_ns // 1000)
    kill.time = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    kill.node = kill.node or labels.get("node") or None
    return StoredKill(
        kill=kill,
        time_ns=time_ns,
        namespace=attributes.get("oom_namespace", ""),
        pod=attributes.get("oom_pod", ""),
        container=attributes.get("oom_container", ""),
        counted_only=counted_only,
    )


def _read(body: str, attributes: Mapping[str, str], *, in_file: bool) -> Kill:
    """The kill that the body's lines tell of, by its pid where they tell of several."""
    assembler = Assembler(Calendar(not_after=datetime.fromtimestamp(0, UTC)))
    found: list[Kill] = []
    for text in body.split("\n"):
        found += assembler.feed(peel(text) if in_file else KernelLine(text, told=True))
    found += assembler.end()
    pid = attributes.get("oom_pid")
    return next((k for k in found if str(k.pid) == pid), found[0] if found else Kill())


# Attribute → the field of Kill that it fills where the body left it open, and how it is read.
_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "oom_constraint": ("constraint", str),
    "oom_global": ("global_", lambda text: text == "true"),
    "oom_pid": ("pid", int),
    "oom_process": ("process", str),
    "oom_uid": ("uid", int),
    "oom_score_adj": ("oom_score_adj", int),
    "oom_total_vm_bytes": ("total_vm_bytes", int),
    "oom_anon_rss_bytes": ("anon_rss_bytes", int),
    "oom_file_rss_bytes": ("file_rss_bytes", int),
    "oom_shmem_rss_bytes": ("shmem_rss_bytes", int),
    "oom_task_cgroup": ("task_cgroup", str),
    "oom_cgroup": ("oom_cgroup", str),
    "oom_group_cgroup": ("group_cgroup", str),
    "oom_limit_scope": ("limit_scope", str),
    "oom_pod_uid": ("pod_uid", str),
    "oom_container_id": ("container_id", str),
    "oom_qos_class": ("qos_class", str),
    "oom_runtime": ("runtime", str),
    "oom_unit": ("unit", str),
}


def _fill(kill: Kill, attributes: Mapping[str, str]) -> None:
    for attribute, (name, read) in _FIELDS.items():
        if attribute in attributes and getattr(kill, name) is None:
            setattr(kill, name, _value(read, attributes[attribute]))
    if kill.outcome == "unknown":
        kill.outcome = attributes.get("oom_outcome", "unknown")  # type: ignore[assignment]  # ours
    kill.oom_group = kill.oom_group or kill.group_cgroup is not None
    usage = _value(int, attributes.get("oom_usage_bytes", ""))
    if kill.memory is None and usage is not None:
        limit = _value(int, attributes.get("oom_limit_bytes", ""))
        failcnt = _value(int, attributes.get("oom_failcnt", "")) or 0
        kill.memory = Usage(usage, limit, failcnt)


def _value(read: Callable[[str], Any], text: str) -> Any:
    """None for what is no such value: anyone may push records with these attributes."""
    try:
        return read(text)
    except ValueError:
        return None
