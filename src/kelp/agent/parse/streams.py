"""Which format each stream has, from samples of its lines.

A few lines of a stream that is new are looked at in every batch, until most of them agree; later
again whenever the stream has doubled, so that a banner before the first JSON, or a program that
changes its mind, does not decide for ever. What is found is a checkpoint: after a restart a stream
keeps its labels.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kelp.agent.parse.named import NamedFormats
from kelp.base.formats import is_format, recognise
from kelp.model.lines import STREAM_NAMES, Lines

_MAX_STREAMS = 20_000

_SAMPLE = 16  # lines of a stream and a batch
_REMEMBERED = 64  # votes that count; older ones weigh less and less
_UNDECIDED_BELOW = 64  # lines of a stream that are sampled in every batch


@dataclass
class _Stream:
    """One stream's votes; `named` where somebody said what it is."""

    format: str = ""
    named: bool = False
    votes: Counter[str] = field(default_factory=Counter)
    seen: int = 0  # lines
    next_look: int = 0  # after how many lines

    def vote(self, names: Sequence[str]) -> None:
        """Count what some lines are, and change the format if most are of another."""
        if sum(self.votes.values()) >= _REMEMBERED:
            self.votes = Counter({name: n // 2 for name, n in self.votes.items()})
        self.votes.update(names)
        best, count = self.votes.most_common(1)[0] if self.votes else ("", 0)
        total = sum(self.votes.values())
        # Lines of no format do not speak as loudly against one as lines of another.
        if 4 * count > 3 * total if not best else 2 * count > total:
            self.format = best


class StreamFormats:
    """The formats of streams, those of the last `max_streams` of them."""

    def __init__(
        self,
        named: NamedFormats,
        checkpoints: Mapping[str, bytes],
        *,
        recognises: bool = True,
        max_streams: int = _MAX_STREAMS,
    ) -> None:
        self._named = named
        self._recognises = recognises
        self._max_streams = max_streams
        self._stored = {key: name.decode(errors="replace") for key, name in checkpoints.items()}
        self._streams: OrderedDict[str, _Stream] = OrderedDict(
            (key, _restored(name)) for key, name in self._stored.items() if is_format(name)
        )
        self._changes: dict[str, bytes | None] = {}

    def of(self, lines: Lines) -> list[str]:
        """(instances * 3,): see Parsed.formats."""
        names = len(STREAM_NAMES)
        number = lines.instance.astype(np.int64) * names + lines.stream
        counts = np.bincount(number, minlength=len(lines.instances) * names)
        formats = [""] * len(counts)
        due = []
        for n in np.flatnonzero(counts).tolist():
            stream = self._stream(lines, n)
            stream.seen += int(counts[n])
            if self._recognises and not stream.named and stream.seen > stream.next_look:
                due.append(n)
            formats[n] = stream.format
        if due:
            self._look(lines, number, due, formats)
        return formats

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call."""
        changes, self._changes = self._changes, {}
        return changes

    def _look(
        self, lines: Lines, number: npt.NDArray[np.int64], due: list[int], formats: list[str]
    ) -> None:
        """Sample the streams of these numbers, and put what they are into `formats`."""
        order = np.argsort(number, kind="stable")
        begins = np.searchsorted(number[order], due)
        ends = np.searchsorted(number[order], due, side="right")
        for n, begin, end in zip(due, begins.tolist(), ends.tolist(), strict=True):
            rows = order[np.unique(np.linspace(begin, end - 1, _SAMPLE).astype(np.int64))]
            stream = self._stream(lines, n)
            stream.vote([recognise(body) for body in _single(lines, rows)])
            stream.next_look = stream.seen if stream.seen < _UNDECIDED_BELOW else 2 * stream.seen
            formats[n] = stream.format
            self._keep(_key(lines, n), stream.format)

    def _stream(self, lines: Lines, number: int) -> _Stream:
        key = _key(lines, number)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
        else:
            self._streams.move_to_end(key)
        # Asked each time: annotations come when the API server is asked, and may change.
        name = self._named.of(lines.instances[number // len(STREAM_NAMES)])
        stream.named = name is not None
        if name is not None:
            stream.format = name
        self._forget()
        return stream

    def _keep(self, key: str, name: str) -> None:
        if self._stored.get(key, "") != name:
            self._stored[key] = name
            self._changes[key] = name.encode() if name else None

    def _forget(self) -> None:
        while len(self._streams) > self._max_streams:
            key, _ = self._streams.popitem(last=False)
            self._keep(key, "")
            self._stored.pop(key, None)


def _restored(name: str) -> _Stream:
    """A stream of an earlier run, whose lines are looked at again."""
    return _Stream(format=name, votes=Counter({name: _SAMPLE}))


def _key(lines: Lines, number: int) -> str:
    instance, stream = divmod(number, len(STREAM_NAMES))
    return f"{lines.instances[instance].key}/{STREAM_NAMES[stream]}"


def _single(lines: Lines, rows: npt.NDArray[np.int64]) -> list[bytes]:
    """The bodies of these rows; those that were joined of several lines say nothing."""
    bodies = (lines.body[row].as_py() for row in rows.tolist())
    return [body for body in bodies if body and b"\n" not in body]
