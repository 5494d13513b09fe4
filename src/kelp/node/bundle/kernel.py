"""The kernel's own log, and the OOM kills in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from kelp.base.clock import Clock
from kelp.base.oom import Calendar, Kill, kills_in
from kelp.node.bundle.entry import Entry
from kelp.node.oom.kmsg import boot_time, records
from kelp.node.oom.render import details, json_line, summary
from kelp.wire.kmsg import parse_record

_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def kernel_entries(kmsg: Path, clock: Clock) -> Iterator[Entry]:
    """`kernel/kmsg.txt`, and `kernel/oom.jsonl` and `.txt` with the kills."""
    yield Entry("kernel/kmsg.txt", lambda: b"".join(_lines(kmsg)), keep_end=True)
    yield Entry("kernel/oom.jsonl", lambda: b"".join(_as_json(kmsg, clock)), keep_end=True)
    yield Entry("kernel/oom.txt", lambda: b"".join(_as_text(kmsg, clock)), keep_end=True)


def _lines(kmsg: Path) -> Iterator[bytes]:
    """As dmesg prints them, with the level; what is no record stays as it is."""
    for data in records(kmsg):
        record = parse_record(data)
        if record is None:
            yield data.rstrip(b"\n") + b"\n"
            continue
        seconds = f"[{record.stamp_us / 1e6:12.6f}] {_LEVELS[record.level]:<7} "
        yield seconds.encode() + record.text + b"\n"


def _kills(kmsg: Path, clock: Clock) -> Iterator[Kill]:
    now = datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
    calendar = Calendar(zone=UTC, not_after=now, boot=boot_time(clock))
    lines = (line for record in records(kmsg) for line in record.rstrip(b"\n").split(b"\n"))
    return kills_in(lines, calendar)


def _as_json(kmsg: Path, clock: Clock) -> Iterator[bytes]:
    for kill in _kills(kmsg, clock):
        yield json_line(kill) + b"\n"


def _as_text(kmsg: Path, clock: Clock) -> Iterator[bytes]:
    count = 0
    for kill in _kills(kmsg, clock):
        count += 1
        for line in (summary(kill), *details(kill)):
            yield line.encode("utf-8", "backslashreplace") + b"\n"
    if not count:
        yield b"No kill by the kernel in its log.\n"
