"""From the lines of a saved log to kernel lines: what is more than one line of the file is joined.

Most saved logs have a kernel line in a line. The exceptions are journal exports, `journalctl -o
verbose` and `json-pretty` (an entry is many lines), /dev/kmsg (a record may be followed by lines of
its dictionary) and journalctl's short form of a message with line ends in it (the rest indented).

Formats: systemd's Journal Export Formats, journalctl(1), `Documentation/ABI/testing/dev-kmsg`.
"""

from __future__ import annotations

import re

import msgspec

from kelp.base.oom.line import KernelLine, peel
from kelp.base.oom.wrapped import from_journal, from_object

_MAX_ENTRY_LINES = 4096  # of one entry; a longer one is none, or is hostile
_MAX_FIELD_BYTES = 1 << 20
_EXPORT_START = (b"__CURSOR=", b"__REALTIME_TIMESTAMP=", b"__MONOTONIC_TIMESTAMP=", b"__SEQNUM=")
_FIELD_NAME = re.compile(rb"[A-Z0-9_]{1,64}")
_VERBOSE_START = re.compile(rb".{10,60} \[s=[0-9a-f]{1,40};[^\]]{0,400}\]")
_VERBOSE_FIELD = re.compile(rb" {1,8}([A-Z0-9_]{1,64})=(.*)")
_KMSG_DICTIONARY = re.compile(r" [A-Z][A-Z0-9_]{0,63}=")
_WANTED = frozenset(
    b"MESSAGE _TRANSPORT SYSLOG_IDENTIFIER __REALTIME_TIMESTAMP _SOURCE_REALTIME_TIMESTAMP "
    b"_SOURCE_MONOTONIC_TIMESTAMP _HOSTNAME".split()
)


class Framer:
    """Takes the lines of one file in order and gives the kernel lines in them."""

    def __init__(self) -> None:
        self._entry: _Export | _Verbose | _Pretty | None = None
        self._last: KernelLine | None = None

    def feed(self, raw: bytes) -> list[KernelLine]:
        """Take one line without its b"\\n"; the kernel lines that end with it, no others."""
        if self._entry is not None:
            done = self._entry.take(raw)
            if done is None:
                return []
            self._entry = None
            if done.used:
                return done.lines
            return [*done.lines, *self.feed(raw)]
        return self._start(raw.rstrip(b"\r"))

    def end(self) -> list[KernelLine]:
        """The kernel lines of an entry that was unfinished where the file ends."""
        entry, self._entry, self._last = self._entry, None, None
        return entry.end() if entry is not None else []

    def _start(self, raw: bytes) -> list[KernelLine]:
        first = raw[:1]
        if first == b"_" and raw.startswith(_EXPORT_START):
            self._entry = _Export(raw)
            return []
        stripped = raw.strip()
        if stripped in (b"{", b"[{"):
            self._entry = _Pretty(raw)
            return []
        if first == b"{" or raw.startswith((b"data: {", b"\x1e{")):
            return self._seen(_json_line(raw))
        if b" [s=" in raw[:80] and _VERBOSE_START.fullmatch(raw):
            self._entry = _Verbose()
            return []
        return self._text(raw)

    def _text(self, raw: bytes) -> list[KernelLine]:
        line = peel(raw.decode("utf-8", "backslashreplace"))
        last = self._last
        if line.bare and last is not None and not last.bare and line.text[:1] in (" ", "\t"):
            if _KMSG_DICTIONARY.match(line.text):
                return []
            line.stamp, line.boot_us, line.host = last.stamp, last.boot_us, last.host
            line.caller, line.told, line.foreign = last.caller, last.told, last.foreign
            line.bare = False
            return [] if line.foreign else [line]
        self._last = line
        if line.foreign:
            return []
        return _split(line) if "\n" in line.text else [line]

    def _seen(self, lines: list[KernelLine]) -> list[KernelLine]:
        self._last = None
        return [line for line in lines if not line.foreign]


class _Done(msgspec.Struct):
    lines: list[KernelLine]
    used: bool = True  # the line that ended the entry is part of it


class _Export:
    """One entry of a journal export: FIELD=text, or FIELD, a 64-bit length and that many bytes."""

    def __init__(self, raw: bytes) -> None:
        self._fields: dict[str, str] = {}
        self._count = 0
        self._name: bytes | None = None
        self._head = b""
        self._value = bytearray()
        self._left = 0
        self.take(raw)

    def take(self, raw: bytes) -> _Done | None:
        if self._name is not None:
            self._binary(raw + b"\n")
            return None
        self._count += 1
        name, equals, value = raw.partition(b"=")
        if equals:
            self._put(name, value)
        elif not raw.strip():
            return _Done(from_journal(self._fields))
        elif _FIELD_NAME.fullmatch(raw):
            self._name, self._head, self._value, self._left = raw, b"", bytearray(), 0
        return _Done([]) if self._count > _MAX_ENTRY_LINES else None

    def end(self) -> list[KernelLine]:
        return from_journal(self._fields)

    def _binary(self, raw: bytes) -> None:
        if len(self._head) < 8:
            self._head, raw = self._head + raw[: 8 - len(self._head)], raw[8 - len(self._head) :]
            if len(self._head) < 8:
                return
            self._left = int.from_bytes(self._head, "little") + 1  # its line end
        if self._name in _WANTED and len(self._value) < _MAX_FIELD_BYTES:
            self._value += raw[: self._left]
        self._left -= len(raw)
        if self._left <= 0:
            self._put(self._name or b"", bytes(self._value[:-1]))
            self._name = None

    def _put(self, name: bytes, value: bytes) -> None:
        if name in _WANTED:
            self._fields[name.decode()] = value.decode("utf-8", "backslashreplace")


class _Verbose:
    """One entry of `journalctl -o verbose`: indented fields under a line with the cursor."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._open: str | None = None
        self._count = 0

    def take(self, raw: bytes) -> _Done | None:
        self._count += 1
        if not raw.startswith(b" ") or self._count > _MAX_ENTRY_LINES:
            return _Done(self.end(), used=False)
        field = _VERBOSE_FIELD.fullmatch(raw)
        if field is None:
            if self._open:  # more lines of a value, indented under it
                self._fields[self._open] += "\n" + _decoded(raw.strip())
            return None
        self._open = field[1].decode() if field[1] in _WANTED else None
        if self._open:
            self._fields[self._open] = _decoded(field[2])
        return None

    def end(self) -> list[KernelLine]:
        return from_journal(self._fields)


class _Pretty:
    """One JSON object over several lines, from "{" to the "}" at the same indentation."""

    def __init__(self, raw: bytes) -> None:
        self._indent = raw[: len(raw) - len(raw.lstrip())]
        self._closing = self._indent + b"}"
        self._lines = [b"{"]
        self._bytes = 0

    def take(self, raw: bytes) -> _Done | None:
        self._bytes += len(raw)
        if len(self._lines) > _MAX_ENTRY_LINES or self._bytes > _MAX_FIELD_BYTES:
            return _Done([])
        if raw.startswith(self._closing) and raw[len(self._closing) :].strip(b", ]\r\n\t") == b"":
            return _Done(_json_line(b"\n".join([*self._lines, b"}"])))
        if raw[len(self._indent) : len(self._indent) + 1] not in (b" ", b"\t"):
            return _Done([], used=False)  # what is inside is indented further: this is no object
        self._lines.append(raw)
        return None

    def end(self) -> list[KernelLine]:
        return []


def _json_line(raw: bytes) -> list[KernelLine]:
    try:
        found = msgspec.json.decode(raw[raw.index(b"{") :])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []
    return [line for line in from_object(found) if not line.foreign]


def _split(line: KernelLine) -> list[KernelLine]:
    return [msgspec.structs.replace(line, text=piece) for piece in line.text.split("\n")]


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
