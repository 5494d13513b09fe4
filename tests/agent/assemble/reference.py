"""What the assembler must do, line by line and slowly, so that it can be seen to be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kelp.model.batch import (
    ATTR_INVALID_UTF8,
    ATTR_MALFORMED,
    ATTR_PARTIAL,
    ATTR_TRUNCATED,
    TRUNCATION_MARKER,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STREAMS = {"stdout": 1, "stderr": 2}


@dataclass
class Record:
    key: str
    stream: int
    timestamp: int
    position: int
    body: bytes
    marks: dict[str, str]


@dataclass
class Open:
    record: Record
    missing: int = 0
    touched_ns: int = 0


@dataclass
class Line:
    body: bytes
    timestamp: int
    stream: int = 0
    docker: bool = False
    partial: bool = False
    torn: bool = False  # of no format: what is open in its instance has lost its rest
    marks: dict[str, str] = field(default_factory=dict)


def parse_time(text: bytes) -> int | None:
    shape = rb"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
    shape += rb"(?:[Zz]|([+-])(\d\d):(\d\d))"
    match = re.fullmatch(shape, text)
    if match is None:
        return None
    try:
        moment = datetime(*map(int, match.groups()[:6]), tzinfo=UTC)
    except ValueError:
        return None
    if not 1678 <= moment.year <= 2261:
        return None
    if match[8]:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 23 or minutes > 59:
            return None
        shift = timedelta(hours=hours, minutes=minutes)
        moment += shift if match[8] == b"-" else -shift
    whole = (moment - EPOCH) // timedelta(seconds=1)
    return whole * 10**9 + int((match[7] or b"").ljust(9, b"0"))


def read_line(line: bytes, observed_ns: int) -> Line:
    parts = line.split(b" ", 3)
    has_stream = len(parts) >= 3 and parts[1] in (b"stdout", b"stderr")
    if has_stream and re.fullmatch(rb"\S{1,64}", parts[0]):
        return read_cri(parts, line, observed_ns)
    if line.startswith(b"{"):
        return read_docker(line, observed_ns)
    return Line(line, observed_ns, torn=True, marks={ATTR_MALFORMED: "cri"})


def read_cri(parts: list[bytes], line: bytes, observed_ns: int) -> Line:
    stream = STREAMS[parts[1].decode()]
    tag = parts[2].split(b":", 1)[0]
    if tag in (b"P", b"F"):
        found = Line(parts[3] if len(parts) > 3 else b"", 0, stream, partial=tag == b"P")
    else:
        body = line[len(parts[0]) + 1 + len(parts[1]) + 1 :]
        found = Line(body, 0, stream, marks={ATTR_MALFORMED: "cri"})
    return with_time(found, parts[0], observed_ns, "cri")


def with_time(found: Line, text: bytes, observed_ns: int, form: str) -> Line:
    time = parse_time(text)
    found.timestamp = observed_ns if time is None else time
    if time is None:
        found.marks[ATTR_MALFORMED] = form
        found.marks["kelp.timestamp_text"] = text.decode(errors="backslashreplace")
    return found


def read_docker(line: bytes, observed_ns: int) -> Line:
    malformed = Line(line, observed_ns, docker=True, torn=True, marks={ATTR_MALFORMED: "docker"})
    try:
        value = json.loads(line.decode(errors="surrogateescape"))
    except ValueError:
        return malformed
    attrs = value.get("attrs", {})
    texts = [value.get(k, "") for k in ("log", "stream", "time")]
    if "log" not in value or not all(isinstance(t, str) for t in texts):
        return malformed
    if not isinstance(attrs, dict) or not all(isinstance(v, str) for v in attrs.values()):
        return malformed
    complete = "time" in value and texts[1] in STREAMS
    if not complete and (
        value.keys() - {"log", "stream", "time", "attrs"} or texts[1] not in ("", *STREAMS)
    ):
        return malformed
    body = as_bytes(texts[0], raw=not is_utf8(line))
    texts, attrs = [text_of(t) for t in texts], {text_of(k): text_of(v) for k, v in attrs.items()}
    marks = {"docker.attrs." + k: v for k, v in attrs.items()}
    whole = body.endswith(b"\n")
    body = body[:-1] if whole else body
    found = Line(body, 0, STREAMS.get(texts[1], 0), True, not whole, marks=marks)
    if not texts[2] or not texts[1]:
        found.marks[ATTR_MALFORMED] = "docker"
    if not texts[2]:
        found.timestamp = observed_ns
        return found
    return with_time(found, texts[2].encode(), observed_ns, "docker")


def is_utf8(line: bytes) -> bool:
    return line == line.decode(errors="ignore").encode()


def text_of(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def as_bytes(text: str, *, raw: bool) -> bytes:
    """Half a surrogate pair is no text; it may be a byte of the line that is none."""
    return b"".join(
        bytes([ord(c) - 0xDC00]) if raw and "\udc80" <= c <= "\udcff" else text_of(c).encode()
        for c in text
    )


def cut(body: bytes, missing: int) -> tuple[bytes, dict[str, str]]:
    """Take away the bytes of a character that has lost its end, then add the marker."""
    kept = body
    for back in (1, 2, 3):
        tail = body[-back:] if back <= len(body) else b""
        if not tail or tail[0] & 0xC0 == 0x80:
            continue
        if tail[0] >= 0xC0 and back < (4 if tail[0] >= 0xF0 else 3 if tail[0] >= 0xE0 else 2):
            kept = body[:-back]
        break
    return kept + TRUNCATION_MARKER, {ATTR_TRUNCATED: str(missing + len(body) - len(kept))}


class ReferenceAssembler:
    def __init__(self, limit: int, timeout_s: float) -> None:
        self.limit = limit
        self.timeout_ns = int(timeout_s * 1e9)
        self.open: dict[tuple[str, int, bool], Open] = {}

    def line(
        self, key: str, position: int, line: bytes, cut_bytes: int, observed_ns: int
    ) -> list[Record]:
        """One line without its newline; the record that it ends, if it ends one."""
        found = read_line(line, observed_ns)
        ended = self.end_all(lambda lane: lane[0] == key) if found.torn else []
        lane = (key, found.stream, found.docker)
        entry = self.open.pop(lane, None)
        if entry is None:
            entry = Open(Record(key, found.stream, found.timestamp, position, b"", {}))
        record = entry.record
        room = 0 if entry.missing else self.limit - len(record.body)
        record.body += found.body[:room]
        entry.missing += len(found.body[room:]) + cut_bytes
        record.marks.update(found.marks)
        entry.touched_ns = observed_ns
        if found.partial:
            self.open[lane] = entry
            return ended
        return [*ended, self.finish(entry)]

    def finish(self, entry: Open) -> Record:
        record = entry.record
        if entry.missing:
            record.body, marks = cut(record.body, entry.missing)
            record.marks.update(marks)
        try:
            record.body.decode()
        except UnicodeDecodeError:
            record.marks[ATTR_INVALID_UTF8] = "true"
        return record

    def expire(self, now_ns: int) -> list[Record]:
        return self.end_all(lambda lane: now_ns - self.open[lane].touched_ns >= self.timeout_ns)

    def end_all(self, which: Callable[[tuple[str, int, bool]], bool]) -> list[Record]:
        records = [self.finish(self.open.pop(lane)) for lane in list(filter(which, self.open))]
        for record in records:
            record.marks[ATTR_PARTIAL] = "true"
        return records
