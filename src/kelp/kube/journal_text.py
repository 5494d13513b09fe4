"""What `journalctl --utc --output=short-precise` prints, taken apart again.

    Nov 21 04:36:11.123456 host kubelet[4242]: E1121 04:36:11.120000    4242 kubelet.go:1] first
                                               second line of the same message

A kubelet gives its node's journal in no other form: no year, no unit, no priority, no cursor; a
message with bytes that are no text is `[1.2K blob data]`. Lines of a message after its first are
indented to where the first begins. `-- Boot … --` and `-- No entries --` are journalctl's own; what
is no such line (an error of the kubelet's, journalctl's complaints) is a note.

Source: output_short in https://github.com/systemd/systemd/blob/main/src/shared/logs-show.c
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

MAX_NOTES = 20
MAX_MESSAGE_BYTES = 64 << 20

_US = 1_000_000
_MONTHS = (
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
    b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
)  # fmt: skip
_HEAD = re.compile(
    rb"(?P<month>[A-Z][a-z]{2}) (?P<day>[ 0-3]\d) (?P<clock>\d\d:\d\d:\d\d)\.(?P<us>\d{6}) "
    rb"(?:(?P<host>[^\s:\[\]]{1,255}) )?"
    rb"(?P<identifier>(?:[^\n:]|:(?! )){1,255}?)(?:\[(?P<pid>\d{1,10})\])?: "
)
_OWN = re.compile(rb"-- .* --$")
_YEARS_BACK = 9  # eight years may lie between two 29 February


@dataclass
class TextEntry:
    """One entry."""

    time_us: int  # since the epoch; the sender's own time where it gave one
    host: str
    identifier: str
    pid: str
    raw: list[bytes] = field(repr=False)  # the lines as they came
    width: int = field(repr=False)  # where the message begins in each

    @property
    def message(self) -> bytes:
        """What was written, without the indentation of its further lines."""
        return b"\n".join(line[self.width :] for line in self.raw)

    @property
    def size(self) -> int:
        """Bytes that it took, newlines included."""
        return sum(map(len, self.raw)) + len(self.raw)

    @property
    def digest(self) -> str:
        """16 hex digits for the lines as they came: the same at each reading."""
        return blake2b(b"\n".join(self.raw), digest_size=8).hexdigest()


class JournalText:
    """Lines to entries. An entry is given out when the next line shows that it is whole."""

    def __init__(self, now_ns: int) -> None:
        """`now_ns` tells the year: a time is the latest that is not more than a day after it."""
        self._limit = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC) + timedelta(days=1)
        self._open: TextEntry | None = None
        self._held_bytes = 0
        self._days: dict[bytes, int | None] = {}
        self.notes: list[str] = []

    def feed(self, line: bytes) -> Iterator[TextEntry]:
        """Take a line, without its newline; entries that are whole by it."""
        entry = self._head(line)
        if entry is None and self._goes_on(line):
            return
        whole, self._open = self._open, entry
        self._held_bytes = len(line)
        if entry is None and line and not _OWN.match(line):
            self._note(line)
        if whole is not None:
            yield whole

    def end(self, *, whole: bool = True) -> Iterator[TextEntry]:
        """The last entry, unless the text was cut short: then nobody knows whether it is whole."""
        last, self._open = self._open, None
        if last is not None and whole:
            yield last

    def _goes_on(self, line: bytes) -> bool:
        """Whether the line is one more of the present message; it then is part of it."""
        entry = self._open
        if entry is None or not line or line[: entry.width].strip(b" "):
            return False
        self._held_bytes += len(line)
        if self._held_bytes <= MAX_MESSAGE_BYTES:
            entry.raw.append(line)
        return True

    def _head(self, line: bytes) -> TextEntry | None:
        match = _HEAD.match(line)
        if match is None:
            return None
        time_us = self._time_us(match)
        if time_us is None:
            return None
        return TextEntry(
            time_us,
            (match["host"] or b"").decode(errors="replace"),
            match["identifier"].decode(errors="replace"),
            (match["pid"] or b"").decode(),
            [line],
            match.end(),
        )

    def _time_us(self, match: re.Match[bytes]) -> int | None:
        day = match["month"] + match["day"]
        if day not in self._days:
            self._days[day] = self._day_s(match["month"], int(match["day"]))
        day_s = self._days[day]
        hour, minute, second = map(int, match["clock"].split(b":"))
        if day_s is None or hour > 23 or minute > 59 or second > 60:
            return None
        return (day_s + hour * 3600 + minute * 60 + second) * _US + int(match["us"])

    def _day_s(self, month: bytes, day: int) -> int | None:
        for year in range(self._limit.year, self._limit.year - _YEARS_BACK, -1):
            try:
                found = datetime(year, _MONTHS.index(month) + 1, day, tzinfo=UTC)
            except ValueError:
                continue
            if found <= self._limit:
                return int(found.timestamp())
        return None

    def _note(self, line: bytes) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(line.decode(errors="replace")[:500])
