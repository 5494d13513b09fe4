"""The Journal Export Format, as `journalctl -o export` writes it: blocks of bytes to entries.

An entry is a run of fields, ended by an empty line. A field is `NAME=value` and a newline or, where
the value has bytes that are no text, `NAME`, a newline, the value's length as 64 bits (little
endian), the value, and a newline. A name may occur several times.

Blocks may end anywhere, also inside a length. Each byte is looked at once however the blocks fall,
and what is held is bounded: values are cut at a limit, and only fields that somebody wants are
kept. What is no such stream is skipped up to the next empty line, and counted. Fields whose names
journald would not take are left out; what has no field but addresses (`__CURSOR` …) is no entry.

Format: https://systemd.io/JOURNAL_EXPORT_FORMATS/
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

MAX_LENGTH = 1 << 40
"""journald itself takes 768 MiB; a greater length is no length but other bytes."""

MAX_VALUES = 1024
"""Values of one entry at the most, as in journald; further ones are left out."""

_LENGTH_BYTES = 8
_NAME_BYTES = 256  # journald's are 64 at the most
_NAME = re.compile(rb"[A-Z_][A-Z0-9_]{0,63}")


@dataclass(eq=True, slots=True)
class Entry:
    """One entry: each field's first value, and apart from them the values that came again.

    `cut` says of how many bytes a first value was cut; `size` is the entry's own, in bytes.
    """

    fields: dict[str, bytes] = field(default_factory=dict)
    repeated: dict[str, list[bytes]] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    size: int = 0

    def text(self, name: str) -> str:
        """A field's first value as text; empty where there is none."""
        return self.fields.get(name, b"").decode(errors="replace")

    def number(self, name: str) -> int | None:
        """A field's first value as a whole number that is not negative; None where it is none."""
        value = self.fields.get(name, b"")
        return int(value) if value.isdigit() and len(value) <= 20 else None


class ExportParser:
    """State between blocks. `keep`: names of the fields to keep; None keeps all."""

    def __init__(self, max_value_bytes: int, keep: Collection[str] | None = None) -> None:
        self._limit = max_value_bytes
        self._keep = None if keep is None else frozenset(keep)
        self.malformed = 0  # places where the stream was none, and was skipped
        self._buffer = bytearray()
        self._at = 0  # the first byte that is not taken yet
        self._searched = 0  # no newline before this
        self._entry = Entry()
        self._values = 0
        self._filled = False  # the entry has something but addresses
        self._name = ""
        self._value = bytearray()
        self._missing = 0  # bytes cut of the present value
        self._left = -1  # bytes of a binary value still to come; -1: in no binary value
        self._long_text = False  # in a text value beyond the limit
        self._lost = False  # skipping to the next empty line

    @property
    def inside(self) -> bool:
        """Whether an entry has begun and not ended: at the end of the stream it is cut off."""
        return bool(self._entry.size or self._buffer)

    def feed(self, block: bytes | bytearray | memoryview) -> list[Entry]:
        """The entries that end in this block."""
        self._buffer += block
        found: list[Entry] = []
        while self._step(found):
            pass
        del self._buffer[: self._at]
        self._searched = max(self._searched - self._at, 0)
        self._at = 0
        return found

    def _step(self, found: list[Entry]) -> bool:
        """Take one part of the buffer; whether there may be another one."""
        if self._lost:
            return self._skip_entry()
        if self._left >= 0:
            return self._take_binary()
        end = self._buffer.find(b"\n", max(self._at, self._searched))
        if end < 0:
            self._searched = len(self._buffer)
            return self._shorten()
        if self._long_text:
            return self._end_text(end)
        return self._take_line(end, found)

    def _take_line(self, end: int, found: list[Entry]) -> bool:
        line = bytes(self._buffer[self._at : end])
        if not line:
            self._advance(end + 1)
            if self._filled:
                found.append(self._entry)
            self._begin_entry()
            return True
        name, equals, value = line.partition(b"=")
        if equals:
            self._advance(end + 1)
            self._keep_value(_text_name(name), value)
            return True
        return self._begin_binary(line, end + 1)

    def _begin_binary(self, name: bytes, at: int) -> bool:
        if not _NAME.fullmatch(name):
            return self._lose()
        if len(self._buffer) < at + _LENGTH_BYTES:
            self._searched = at - 1  # the same newline again, with more behind it
            return False
        length = int.from_bytes(self._buffer[at : at + _LENGTH_BYTES], "little")
        if length > MAX_LENGTH:
            return self._lose()
        self._advance(at + _LENGTH_BYTES)
        self._name, self._left = name.decode(), length
        return True

    def _take_binary(self) -> bool:
        size = min(self._left, len(self._buffer) - self._at)
        self._take(size)
        self._left -= size
        if self._left or self._at == len(self._buffer):
            return False
        self._left = -1
        if self._buffer[self._at] != ord("\n"):
            self._drop_value()
            return self._lose()
        self._advance(self._at + 1)
        self._end_value()
        return True

    def _shorten(self) -> bool:
        """Let go of a text value that is too long to be held until its end comes."""
        pending = len(self._buffer) - self._at
        if self._long_text:
            self._take(pending)
        elif pending > self._limit + _NAME_BYTES:
            equals = self._buffer.find(b"=", self._at, self._at + _NAME_BYTES)
            if equals < 0:
                return self._lose()
            self._name = _text_name(bytes(self._buffer[self._at : equals]))
            self._advance(equals + 1)
            self._long_text = True
            self._take(len(self._buffer) - self._at)
        return False

    def _end_text(self, end: int) -> bool:
        self._take(end - self._at)
        self._advance(end + 1)
        self._long_text = False
        self._end_value()
        return True

    def _take(self, size: int) -> None:
        """Move bytes from the buffer to the value, as far as it may grow."""
        wanted = self._keep is None or self._name in self._keep
        room = min(max(self._limit - len(self._value), 0), size) if wanted else 0
        if room:
            self._value += memoryview(self._buffer)[self._at : self._at + room]
        self._missing += size - room
        self._advance(self._at + size)

    def _end_value(self) -> None:
        value, missing = bytes(self._value), self._missing
        self._drop_value()
        self._keep_value(self._name, value, missing)

    def _drop_value(self) -> None:
        self._value = bytearray()
        self._missing = 0

    def _keep_value(self, name: str, value: bytes, missing: int = 0) -> None:
        if not name:
            return
        self._values += 1
        self._filled |= not name.startswith("__")
        if self._values > MAX_VALUES or (self._keep is not None and name not in self._keep):
            return
        missing += max(len(value) - self._limit, 0)
        value = value[: self._limit]
        if name in self._entry.fields:
            self._entry.repeated.setdefault(name, []).append(value)
            return
        self._entry.fields[name] = value
        if missing:
            self._entry.cut[name] = missing

    def _advance(self, at: int) -> None:
        self._entry.size += at - self._at
        self._at = at

    def _begin_entry(self) -> None:
        self._entry = Entry()
        self._values = 0
        self._filled = False

    def _lose(self) -> bool:
        self.malformed += 1
        self._lost = True
        self._searched = 0
        self._begin_entry()
        return True

    def _skip_entry(self) -> bool:
        end = self._buffer.find(b"\n\n", self._at)
        if end < 0:
            # The last byte may be the first of the two.
            self._at = max(self._at, len(self._buffer) - 1)
            return False
        self._at = end + 2
        self._lost = False
        return True


def _text_name(name: bytes) -> str:
    """The name of a text field; empty where it can be none."""
    return name.decode() if _NAME.fullmatch(name) else ""
