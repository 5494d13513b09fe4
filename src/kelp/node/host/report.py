"""What all reports have in common: when, over how long, and what they lack."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct


class Report(Struct, kw_only=True):
    """`time` is RFC 3339 in UTC; `interval_s` is the time over which rates are taken.

    `interval_s` is None where nothing is a rate. `notes` say what could not be read.
    """

    time: str
    interval_s: float | None = None
    notes: list[str] = []


def timestamp(now_ns: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_line(report: Report) -> str:
    """One JSON object without a line end."""
    return msgspec.json.encode(report).decode()
