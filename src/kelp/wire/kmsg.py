r"""Records of /dev/kmsg: what one read of the device gives.

    6,339,5140900,-;NET: Registered PF_NETLINK protocol family
     SUBSYSTEM=net
     DEVICE=+net:eth0

The prefix has priority (facility and level, as in syslog), sequence number, microseconds since boot
by a clock that stands still in suspend, and flags; further parts may follow behind commas, such as
`caller=T42`. Bytes that are no printable ASCII stand as `\xNN`, in the text and in the dictionary.

Format: https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

_PREFIX = re.compile(rb"(\d{1,10}),(\d{1,20}),(\d{1,20}),([^,;]*)((?:,[^,;]*)*);")
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_MAX_STAMP_US = 1 << 60
_MAX_SEQ = 1 << 64

_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KmsgRecord:
    """One record; `flags` is "c" where a line begins that goes on, "+" where it does."""

    facility: int
    level: int  # 0 (emerg) … 7 (debug)
    seq: int
    stamp_us: int  # since boot, suspends left out
    flags: str
    text: bytes
    dictionary: dict[str, str] = field(default_factory=dict)

    def joined(self, more: KmsgRecord) -> KmsgRecord:
        """This line with what continues it."""
        return replace(
            self, text=self.text + more.text, dictionary=self.dictionary | more.dictionary
        )


@dataclass(frozen=True, slots=True)
class TimedKmsg:
    """A record with the wall time of its stamp, ns since the epoch."""

    record: KmsgRecord
    wall_ns: int


def parse_record(data: bytes) -> KmsgRecord | None:
    """None where the bytes are no record."""
    match = _PREFIX.match(data)
    if match is None:
        return None
    priority, seq, stamp_us = int(match[1]), int(match[2]), int(match[3])
    if stamp_us >= _MAX_STAMP_US or seq >= _MAX_SEQ:
        return None
    text, *lines = data[match.end() :].split(b"\n")
    dictionary = _caller(match[5])
    for line in lines:
        name, equals, value = line.lstrip(b" ").partition(b"=")
        if equals and name and line.startswith(b" "):
            dictionary[_unescaped(name).decode(errors="replace")] = _unescaped(value).decode(
                errors="replace"
            )
    return KmsgRecord(
        priority >> 3, priority & 7, seq, stamp_us, match[4].decode(errors="replace"),
        _unescaped(text), dictionary,
    )  # fmt: skip


def facility_name(number: int) -> str:
    """The name that syslog gives to a facility; its number for local and unknown ones."""
    if number < len(_FACILITIES):
        return _FACILITIES[number]
    return f"local{number - 16}" if number < 24 else str(number)


def _caller(parts: bytes) -> dict[str, str]:
    name, equals, value = parts.lstrip(b",").partition(b"=")
    return {name.decode(errors="replace"): value.decode(errors="replace")} if equals else {}


def _unescaped(text: bytes) -> bytes:
    if b"\\x" not in text:
        return text
    return _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), text)
