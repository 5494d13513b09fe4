"""Heads of CRI lines, by column: `TIMESTAMP SP (stdout|stderr) SP TAGS SP BODY`.

TAGS is `F` (the record's last or only fragment) or `P` (more follows), with room for more tags
behind a colon that no runtime has used yet. Two ways through: lines with nine digits of fraction
and `Z`, which is nine of ten that containerd writes, are told by four comparisons of words; the
others (fewer digits, an offset) by the place of their first space. What neither knows is left to
`foreign.py`.

Format: https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kelp.agent.assemble import timestamp as ts
from kelp.agent.assemble.split import Spans
from kelp.base.gather import Places, word, words
from kelp.model.lines import STDERR, STDOUT

_WINDOW_WORDS = 6  # 48 bytes: the longest time stamp, a space, a stream, a tag
_FULL_HEAD = 40  # bytes before the body where the time stamp has 30
_SPACE = ord(" ")


@dataclass(frozen=True)
class Heads:
    """What is known of each line; rows that are not `valid` hold nothing."""

    valid: npt.NDArray[np.bool_]
    timestamp: npt.NDArray[np.int64]
    stream: npt.NDArray[np.uint8]
    partial: npt.NDArray[np.bool_]
    body: Places  # where the body begins in the data


def no_heads(spans: Spans) -> Heads:
    """Heads of lines of which none is a CRI line."""
    count = len(spans.start)
    return Heads(
        valid=np.zeros(count, np.bool_),
        timestamp=np.zeros(count, np.int64),
        stream=np.zeros(count, np.uint8),
        partial=np.zeros(count, np.bool_),
        body=spans.start.copy(),
    )


def parse_heads(spans: Spans) -> Heads:
    """The heads of all lines."""
    text = words(spans.data, spans.start, _WINDOW_WORDS)
    w0, w1, w2, w3, w4 = (np.ascontiguousarray(text[:, i]) for i in range(5))
    minute, valid = ts.minutes(w0, w1)
    second, is_second = ts.seconds(w2)
    valid &= is_second
    heads = _full_heads(spans, (w2, w3, w4), minute + second)
    full = heads.valid
    full &= valid
    others = np.flatnonzero(~full & valid)
    if len(others):
        _other_heads(spans, text[others], others, heads)
        heads.timestamp[others] += minute[others] + second[others]
    return heads


def _full_heads(
    spans: Spans, tail: tuple[npt.NDArray[np.uint64], ...], at: npt.NDArray[np.int64]
) -> Heads:
    """Lines of the form `….nnnnnnnnnZ stdout F ` from byte 19 on; `at` is their whole second."""
    w2, w3, w4 = tail
    nanos, valid = ts.full_fractions(w2, w3)
    ending = np.uint64(0xFFFFFF << 40)
    valid &= (w3 & ending) == word(b"\0\0\0\0\0Z s")
    tag = np.uint64(0xFF << 48)
    partial = (w4 & tag) == np.uint64(ord("P") << 48)
    shape = np.where(partial, w4 ^ np.uint64((ord("P") ^ ord("F")) << 48), w4)
    out, err = shape == word(b"tdout F "), shape == word(b"tderr F ")
    valid &= out | err
    valid &= spans.start + _FULL_HEAD <= spans.stop
    stream = np.where(err, np.uint8(STDERR), np.uint8(STDOUT))
    return Heads(valid, at + nanos, stream, partial & valid, spans.start + _FULL_HEAD)


def _other_heads(spans: Spans, text: npt.NDArray[np.uint64], rows: Places, heads: Heads) -> None:
    """Lines of other widths, whose minute and second are good; fills in `heads` at `rows`."""
    window = text.view(np.uint8)
    is_space = window[:, 20 : ts.MAX_BYTES + 1] == _SPACE
    width = is_space.argmax(axis=1) + 20
    nanos, valid = ts.rest_of_time(window, text, width)
    valid &= is_space.any(axis=1)
    start, stop = spans.start[rows], spans.stop[rows]
    after = np.minimum(start + width + 1, len(spans.data))
    rest = words(spans.data, after, 2)
    tagged, ninth = rest[:, 0], rest[:, 1] & np.uint64(0xFF)
    kinds = [tagged == word(b"std" + s + b" " + t) for s in (b"out", b"err") for t in (b"F", b"P")]
    valid &= kinds[0] | kinds[1] | kinds[2] | kinds[3]
    valid &= np.where(ninth == _SPACE, after + 9 <= stop, after + 8 == stop)
    heads.valid[rows] = valid
    heads.timestamp[rows] = nanos
    heads.stream[rows] = np.where(kinds[2] | kinds[3], np.uint8(STDERR), np.uint8(STDOUT))
    heads.partial[rows] = (kinds[1] | kinds[3]) & valid
    heads.body[rows] = np.minimum(after + 9, stop)
