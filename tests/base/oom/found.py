"""Kills in lines, for tests."""

from datetime import UTC, datetime

from kelp.base.oom import Calendar, kills_in

WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)


def calendar(**changes):
    return Calendar(**{"zone": UTC, "not_after": WRITTEN, **changes})


def kills(lines, **changes):
    raw = (line if isinstance(line, bytes) else line.encode() for line in lines)
    return list(kills_in(raw, calendar(**changes)))


def only(lines, **changes):
    (kill,) = kills(lines, **changes)
    return kill
