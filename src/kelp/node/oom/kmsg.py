"""The kernel's own ring buffer, /dev/kmsg, read from its oldest record to its newest.

The device gives one record a read and says EAGAIN where there is no more (opened with O_NONBLOCK),
EPIPE where records were overwritten while we read. Records carry time since boot by the scheduler's
clock, which like CLOCK_MONOTONIC stands still while the machine is suspended: wall times from
before a suspend come out too late by its length.

Left out: waiting for records to come. Format: `Documentation/ABI/testing/dev-kmsg`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kelp.base.clock import Clock
from kelp.base.errors import KelpError

KMSG = Path("/dev/kmsg")
_RECORD_BYTES = 8192  # PRINTK_MESSAGE_MAX is 2048 since 6.4, CONSOLE_EXT_LOG_MAX 8192 before


def records(path: Path = KMSG) -> Iterator[bytes]:
    """The records in the buffer, each with the lines of its dictionary.

    Raises KelpError if this process may not read them.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        raise KelpError(
            f"{path}: cannot read the kernel's log: {e.strerror}. Run as root, or read a saved "
            "log: journalctl -k -o export | kelp oom --file -"
        ) from e
    try:
        yield from _until_empty(fd)
    finally:
        os.close(fd)


def _until_empty(fd: int) -> Iterator[bytes]:
    while True:
        try:
            record = os.read(fd, _RECORD_BYTES)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # overwritten; the next read is at the oldest record that is left
        if not record:
            return
        yield record


def boot_time(clock: Clock) -> datetime:
    """When this machine's monotonic clock was at zero."""
    now = timedelta(microseconds=clock.now_ns() // 1000)
    return datetime.fromtimestamp(0, UTC) + now - timedelta(seconds=clock.monotonic())
