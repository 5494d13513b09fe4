r"""Lines of Docker's json-file driver, by column: bodies unwrapped, heads and ends of fixed form.

    {"log":"…\n","stream":"stdout","time":"2026-11-20T10:11:12.123456789Z"}
    {"log":"…\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-20T10:11:12.1Z"}

dockerd writes its lines by hand, always in this order and without a blank: so a line is told by
its first eight bytes and by its end, whose only unknown is how many digits the fraction has. What
stands between is the log's text as a JSON string, in one of three cases:

- no escape but the newline at its end: taken as it lies;
- no escapes but those of quotes: taken from a copy of the data without backslashes;
- others: the strings are cut out together and decoded as one JSON array of as many strings.

The first two count what is in the data as a whole, for nothing but a JSON parser could say more of
one line; where the counts do not fit, all take the third.

`attrs` (Docker's `--log-opt labels/env/tag`) are the same in all lines of a container: their text
is learned from a line that has some, and compared with the others.

Everything else, valid or not, is left to `foreign.py`, which must give the same for what is taken
here. Format: `MarshalJSONBuf` in
https://github.com/moby/moby/blob/master/daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.agent.assemble import timestamp as ts
from kelp.agent.assemble.split import Spans
from kelp.base.gather import Bytes, Places, Words, slices, windows, word, words
from kelp.model.lines import STDERR, STDOUT

ATTRS_PREFIX = "docker.attrs."
"""Before the names of Docker's attributes in those of the record."""

_OPENING = word(b'{"log":"')
_QUOTE, _BACKSLASH, _NEWLINE = ord('"'), ord("\\"), ord("\n")
_STREAMS = {STDOUT: b'","stream":"stdout",', STDERR: b'","stream":"stderr",'}
_STREAM_BYTES = 20
_TIME_KEY = word(b'"time":"')
_CLOSING_BYTES = 2  # "} behind the time
_FULL_TIME = 30  # bytes of a time with nine digits of fraction
_LEAST_TIME = 20
_TAIL = 64  # bytes at the end that are looked at; shorter lines take the slow path
_QUOTES = 12  # in a line, apart from its log and its attrs
_CHUNK = 256  # rows decoded together: one that is no string sends so many to the slow path
_MAX_TEXTS = 8  # different texts of attrs in one batch; further ones take the slow path
_MAX_TEXT_BYTES = 1024

DATA, STRIPPED, DECODED = range(3)
_NONE = np.empty(0, np.uint8)
_DENSE = 16  # with more than one backslash in so many bytes, going byte by byte is faster

_STRINGS = msgspec.json.Decoder(list[str])
_ATTRS = msgspec.json.Decoder(dict[str, str])

Flags = npt.NDArray[np.bool_]
Marks = Mapping[str, str]


@dataclass
class JsonFile:
    """What is known of n lines; of those that are not `valid` nothing.

    A body lies in buffers[source], from `body` to `end`. `marks` has the attributes of rows that
    have some.
    """

    valid: Flags
    timestamp: npt.NDArray[np.int64]
    stream: npt.NDArray[np.uint8]
    partial: Flags
    body: Places
    end: Places
    source: npt.NDArray[np.uint8]  # DATA, STRIPPED or DECODED
    buffers: list[Bytes]
    marks: dict[int, Marks]


def read_json_file(spans: Spans, rows: Places) -> JsonFile:
    """The lines at `rows`, as far as they have the one form that dockerd writes."""
    start = spans.start[rows]
    ends = _Ends.of(spans.data, start, spans.stop[rows])
    valid = ends.valid
    valid &= words(spans.data, start, 1)[:, 0] == _OPENING
    found = JsonFile(
        valid=valid,
        timestamp=ends.times(),
        stream=ends.streams(),
        partial=np.zeros(len(rows), np.bool_),
        body=start + 8,
        end=ends.time_at - 8 - _STREAM_BYTES,  # where the log's last quote is
        source=np.full(len(rows), DATA, np.uint8),
        buffers=[spans.data, _NONE, _NONE],
        marks={},
    )
    left = np.flatnonzero(valid & (found.stream == 0))
    if len(left):
        _read_attrs(spans.data, found, left, ends)
    valid &= (found.stream > 0) & (found.end >= found.body)
    _read_bodies(found, ends, all_lines=len(rows) == len(spans.start))
    return found


@dataclass
class _Ends:
    """The last bytes of lines that end with `"time":"…"}`; rows that are not `valid` do not.

    `text` has eight words a row: four bytes of the log, `","stream":"stdout",`, the time's key, and
    32 bytes from the time on, which has `width` bytes and begins at `time_at`.
    """

    valid: Flags
    text: Words
    time_at: Places
    width: Places

    @classmethod
    def of(cls, data: Bytes, start: Places, stop: Places) -> _Ends:
        """Most times have nine digits of fraction; for others the place is found first."""
        valid = stop - start >= _TAIL
        text = words(data, np.where(valid, stop - _TAIL, 0), _TAIL // 8)
        width = np.full(len(start), _FULL_TIME)
        others = np.flatnonzero(valid & (text[:, 3] != _TIME_KEY))
        if len(others):
            # Backwards from the shortest time: the last quote is the one before the time.
            last = _TAIL - _CLOSING_BYTES - _LEAST_TIME - 1
            tail = text[others].view(np.uint8)
            quotes = tail[:, last : last - _FULL_TIME + _LEAST_TIME : -1] == _QUOTE
            width[others] = _LEAST_TIME + quotes.argmax(axis=1)
            at = stop[others] - _CLOSING_BYTES - width[others] - _TAIL // 2
            text[others] = words(data, at, _TAIL // 8)
            valid[others] &= text[others, 3] == _TIME_KEY
        closing = words(data, np.maximum(stop - 3, 0), 1)[:, 0] & np.uint64(0xFFFFFF)
        valid &= closing == word(b'Z"}')
        return cls(valid, text, stop - _CLOSING_BYTES - width, width)

    def times(self) -> npt.NDArray[np.int64]:
        """ns since the epoch; rows whose time is none are no longer valid."""
        found = np.zeros(len(self.valid), np.int64)
        full = self.width == _FULL_TIME
        for rows, rest_of in ((full, _full_rest), (~full, _other_rest)):
            at = np.flatnonzero(rows & self.valid)
            if not len(at):
                continue
            text = self.text[at, 4:]
            w0, w1, w2 = (np.ascontiguousarray(text[:, i]) for i in range(3))
            minute, is_minute = ts.minutes(w0, w1)
            second, is_second = ts.seconds(w2)
            rest, is_rest = rest_of(text, self.width[at])
            found[at], self.valid[at] = minute + second + rest, is_minute & is_second & is_rest
        return found

    def streams(self) -> npt.NDArray[np.uint8]:
        """The stream that is named before the time; 0 where none is."""
        found = np.zeros(len(self.valid), np.uint8)
        for stream, name in _STREAMS.items():
            same = self.text[:, 1] == word(name[4:12])
            same &= self.text[:, 2] == word(name[12:20])
            same &= (self.text[:, 0] >> np.uint64(32)) == word(name[:4])
            found[same] = stream
        return found

    def last_two(self) -> Words:
        """The log's last two bytes, before its quote."""
        return (self.text[:, 0] >> np.uint64(16)) & np.uint64(0xFFFF)


def _full_rest(text: Words, _width: Places) -> tuple[npt.NDArray[np.int64], Flags]:
    return ts.full_fractions(text[:, 2], text[:, 3])


def _other_rest(text: Words, width: Places) -> tuple[npt.NDArray[np.int64], Flags]:
    return ts.rest_of_time(text.view(np.uint8), text, width)


def _read_attrs(data: Bytes, found: JsonFile, left: Places, ends: _Ends) -> None:
    """Rows with `"attrs":{…},` between the stream and the time's key."""
    key_at = ends.time_at - 8
    closes = words(data, key_at[left] - 2, 1)[:, 0] & np.uint64(0xFFFF)
    left = left[closes == word(b"},")]
    for _ in range(_MAX_TEXTS):
        if not len(left):
            break
        row = int(left[0])
        line = data[found.body[row] : key_at[row]].tobytes()
        begin = max(line.rfind(name + b'"attrs":{') for name in _STREAMS.values())
        text = line[begin + _STREAM_BYTES :]
        marks = _marks_of(text) if begin >= 0 else None
        if marks is None:
            left = left[1:]
            continue
        same = windows(data, np.maximum(key_at[left] - len(text), 0), len(text))
        fits = (same == np.frombuffer(text, np.uint8)).all(axis=1)
        mine = left[fits]
        found.end[mine] = key_at[mine] - len(text) - _STREAM_BYTES
        at = np.maximum(found.end[mine] - 4, 0)
        ends.text[mine, :3] = words(data, at, 3)
        found.marks |= dict.fromkeys(mine.tolist(), marks)
        left = left[~fits]
    found.stream[:] = ends.streams()


def _marks_of(text: bytes) -> Marks | None:
    """The attributes of `"attrs":{…},`; None where it is not that, or where it has an escape."""
    if len(text) > _MAX_TEXT_BYTES or b"\\" in text or not text.endswith(b"},"):
        return None
    try:
        attrs = _ATTRS.decode(text[len(b'"attrs":') : -1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return {ATTRS_PREFIX + k: v for k, v in attrs.items()}


def _read_bodies(found: JsonFile, ends: _Ends, *, all_lines: bool) -> None:
    """Take the newline off the logs that have one, and the escapes out of those that have some.

    `all_lines`: there is nothing in the data but these lines.
    """
    last_two = ends.last_two()
    # Of a quote behind a backslash nothing is known: that it is the last one least of all.
    found.valid &= (last_two >> np.uint64(8)) != _BACKSLASH
    simple = np.zeros(len(last_two), np.bool_)
    if all_lines and bool(found.valid.all()):
        simple = _take_simple(found, last_two == word(b"\\n"))
    _decode(found, np.flatnonzero(found.valid & ~simple))


def _take_simple(found: JsonFile, whole: Flags) -> Flags:
    """Settle the logs whose only escapes are of quotes; which ones they are."""
    data, own = found.buffers[DATA], int(np.count_nonzero(whole))
    is_backslash, is_quote = data == _BACKSLASH, data == _QUOTE
    backslashes, quotes = int(np.count_nonzero(is_backslash)), np.count_nonzero(is_quote)
    others, pairs = is_backslash, 0
    if backslashes > own:
        others = is_backslash.copy()
        others[:-1] &= ~is_quote[1:]
        pairs = backslashes - int(np.count_nonzero(others))
    simple = np.zeros(len(whole), np.bool_)
    if quotes - pairs != _own_quotes(found) or not _clean(data):
        return simple
    if backslashes - pairs == own:
        simple[:] = True
    else:
        simple = _counts(others, found.body, found.end) == whole
    found.partial[:] = ~whole
    found.end[simple] -= 2 * whole[simple]
    if pairs:
        _strip(found, is_backslash, np.flatnonzero(simple))
    return simple


def _own_quotes(found: JsonFile) -> int:
    """How many quotes there are in all lines, apart from those in their logs."""
    return _QUOTES * len(found.valid) + sum(4 * len(m) + 2 for m in found.marks.values())


def _clean(data: Bytes) -> bool:
    """Whether no control character but the newlines is in the data, and nothing but UTF-8."""
    if np.count_nonzero(data < ord(" ")) != np.count_nonzero(data == _NEWLINE):
        return False
    if data.max() < 0x80:
        return True
    try:
        str(memoryview(data), "utf-8")  # type: ignore[arg-type]
    except UnicodeDecodeError:
        return False
    return True


def _strip(found: JsonFile, is_backslash: Flags, rows: Places) -> None:
    """Let the bodies of these rows lie in a copy of the data that has no backslash."""
    data = found.buffers[DATA].tobytes()
    dense = np.count_nonzero(is_backslash) * _DENSE > len(data)
    stripped = data.translate(None, b"\\") if dense else data.replace(b"\\", b"")
    found.buffers[STRIPPED] = np.frombuffer(stripped, np.uint8)
    found.source[rows] = STRIPPED
    before = _before(is_backslash)
    found.body[rows] -= before(found.body[rows])
    found.end[rows] -= before(found.end[rows])


def _counts(flags: Flags, begin: Places, end: Places) -> Places:
    """How many flags are set from each `begin` up to `end`."""
    before = _before(flags)
    return before(end) - before(begin)


def _before(flags: Flags) -> Callable[[Places], Places]:
    """Says how many flags are set before each of some places."""
    bits = np.packbits(flags, bitorder="little")
    packed = np.zeros(len(bits) // 8 + 2, np.uint64)
    packed.view(np.uint8)[: len(bits)] = bits
    total = np.zeros(len(packed), np.int64)
    np.cumsum(np.bitwise_count(packed[:-1]), out=total[1:])

    def before(place: Places) -> Places:
        at = place >> 6
        below = (np.uint64(1) << (place & 63).view(np.uint64)) - np.uint64(1)
        count: Places = total[at] + np.bitwise_count(packed[at] & below)
        return count

    return before


def _decode(found: JsonFile, rows: Places) -> None:
    """Let the bodies of these rows be what JSON makes of them, or the rows not be valid."""
    if not len(rows):
        return
    # From the quote before the log up to the comma behind its last one.
    begin = found.body[rows] - 1
    strings = slices(begin, found.end[rows] + 2 - begin, found.buffers[DATA])
    arrays, good = [], []
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        texts = _decoded(strings.slice(first, len(chunk)))
        if texts is None:
            found.valid[chunk] = False
        else:
            arrays.append(pa.array(texts, pa.string()))
            good.append(chunk)
    if good:
        _take_decoded(found, np.concatenate(good), pa.concat_arrays(arrays))


def _take_decoded(found: JsonFile, rows: Places, texts: pa.StringArray) -> None:
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[: len(texts) + 1].astype(np.int64)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    whole = np.zeros(len(texts), np.bool_)
    filled = offsets[1:] > offsets[:-1]
    whole[filled] = data[offsets[1:][filled] - 1] == _NEWLINE
    found.source[rows], found.buffers[DECODED] = DECODED, data
    found.body[rows], found.end[rows] = offsets[:-1], offsets[1:] - whole
    found.partial[rows] = ~whole


def _decoded(strings: pa.BinaryArray) -> list[str] | None:
    """The strings, of which each stands with its quotes and a comma behind; None where one is none.

    The last quote of each is one for sure. So a quote inside, which would end a string too early,
    makes more strings than there are rows, or none that JSON knows.
    """
    offsets = np.frombuffer(strings.buffers()[1], np.int32)[strings.offset :][: len(strings) + 1]
    text = memoryview(strings.buffers()[2])[offsets[0] : offsets[-1] - 1]
    try:
        found = _STRINGS.decode(b"".join((b"[", text, b"]")))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if len(found) == len(strings) else None
