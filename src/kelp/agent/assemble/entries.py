"""What journald and the kernel gave, as columns: bodies, times, severities and attributes.

Both are slow compared with containers (hundreds of records a second), and come as records with
fields of their own; here a loop over them is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.counting import counted
from kelp.agent.assemble.truncate import cut
from kelp.agent.assemble.utf8 import invalid_rows
from kelp.model.batch import ATTR_INVALID_UTF8
from kelp.model.entries import Entries
from kelp.model.lines import Lines
from kelp.model.severity import NUMBER_OF_PRIORITY
from kelp.wire.journal_export import Entry
from kelp.wire.kmsg import TimedKmsg, facility_name

_MAX_NS = (1 << 63) - 1

# Names are OpenTelemetry's where it has one:
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/
_OF_FIELD = {
    "_PID": "process.pid",
    "_COMM": "process.executable.name",
    "_EXE": "process.executable.path",
    "_CMDLINE": "process.command_line",
    "_UID": "process.user.id",
    "TID": "thread.id",
    "CODE_FILE": "code.file.path",
    "CODE_LINE": "code.line.number",
    "CODE_FUNC": "code.function.name",
    "CONTAINER_ID_FULL": "container.id",
    "CONTAINER_NAME": "container.name",
    "SYSLOG_IDENTIFIER": "syslog.identifier",
    "_BOOT_ID": "boot.id",
    "MESSAGE_ID": "journal.message_id",
}


@dataclass
class _Rows:
    bodies: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    marks: dict[int, dict[str, str]] = field(default_factory=dict)


class JournalAssembler:
    """Entries are whole: there is nothing to keep between batches."""

    def assemble(self, entries: Entries[Entry], /) -> Lines:
        """A record an entry; severity by PRIORITY where the message does not say it."""
        rows = _Rows()
        for number, entry in enumerate(entries.rows):
            body, marks = _body(entry)
            marks |= _attributes(entry)
            rows.bodies.append(body)
            rows.times.append(_time(entry) or entries.observed_ns)
            rows.told.append(_severity(entry))
            rows.marks[number] = marks
        return _lines(entries, rows, told_first=False)

    def expire(self, _now_ns: int) -> Lines | None:
        """Nothing waits."""
        return None

    def changes(self) -> dict[str, bytes | None]:
        """Nothing is kept."""
        return {}


class KernelAssembler:
    """The collector has joined what belongs together: there is nothing to keep."""

    def assemble(self, entries: Entries[TimedKmsg], /) -> Lines:
        """A record for each; severity by the kernel's own level, whatever the text says."""
        rows = _Rows()
        for number, timed in enumerate(entries.rows):
            record = timed.record
            rows.bodies.append(record.text)
            rows.times.append(timed.wall_ns)
            rows.told.append(NUMBER_OF_PRIORITY[record.level])
            marks = {f"kernel.{k.lower()}": v for k, v in record.dictionary.items()}
            if record.facility:
                marks["syslog.facility"] = facility_name(record.facility)
            if marks:
                rows.marks[number] = marks
        return _lines(entries, rows, told_first=True)

    def expire(self, _now_ns: int) -> Lines | None:
        """Nothing waits."""
        return None

    def changes(self) -> dict[str, bytes | None]:
        """Nothing is kept."""
        return {}


def _body(entry: Entry) -> tuple[bytes, dict[str, str]]:
    messages = [entry.fields.get("MESSAGE", b""), *entry.repeated.get("MESSAGE", [])]
    body = b"\n".join(messages)
    missing = entry.cut.get("MESSAGE", 0)
    return cut(body, missing) if missing else (body, {})


def _attributes(entry: Entry) -> dict[str, str]:
    marks = {}
    for name, attribute in _OF_FIELD.items():
        if name in entry.fields:
            marks[attribute] = _joined(entry, name)
    facility = entry.number("SYSLOG_FACILITY")
    if facility is not None and "SYSLOG_FACILITY" not in entry.repeated:
        marks["syslog.facility"] = facility_name(facility)
    elif "SYSLOG_FACILITY" in entry.fields:
        marks["syslog.facility"] = _joined(entry, "SYSLOG_FACILITY")
    return marks


def _joined(entry: Entry, name: str) -> str:
    values = [entry.fields[name], *entry.repeated.get(name, [])]
    return ", ".join(v.decode(errors="replace") for v in values)


def _time(entry: Entry) -> int:
    """When the sender wrote it, else when journald took it; ns, 0 where neither says."""
    for name in ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"):
        micros = entry.number(name)
        if micros and micros * 1000 <= _MAX_NS:
            return micros * 1000
    return 0


def _severity(entry: Entry) -> int:
    priority = entry.number("PRIORITY")
    known = priority is not None and priority < len(NUMBER_OF_PRIORITY)
    return NUMBER_OF_PRIORITY[priority] if known and priority is not None else 0


def _lines(entries: Entries[Entry] | Entries[TimedKmsg], rows: _Rows, *, told_first: bool) -> Lines:
    body = pa.array(rows.bodies, pa.binary())
    for row in invalid_rows(body):
        rows.marks.setdefault(row, {})[ATTR_INVALID_UTF8] = "true"
    return counted(
        Lines(
            instances=entries.instances,
            instance=np.arange(len(rows.bodies), dtype=np.int32),
            stream=np.zeros(len(rows.bodies), np.uint8),
            timestamp=np.array(rows.times, np.int64),
            position=np.array(entries.positions, np.uint64),
            body=body,
            marks=rows.marks,
            observed_ns=entries.observed_ns,
            told=np.array(rows.told, np.uint8),
            told_first=told_first,
        )
    )
