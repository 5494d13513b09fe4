"""Which streams the store knows already, so that not every insert writes them all again.

A row of `streams` says that a stream had records between two times. The times are widened outwards
to whole slots, so that a stream that goes on writing needs a new row once a slot and not with each
insert; whoever looks for streams by time finds too many at the worst, never too few.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from kelp.model.stream import Stream

SLOT_NS = 600_000_000_000  # ten minutes
MAX_TIME_NS = (1 << 63) - 1
_MAX_STREAMS = 1_000_000  # about 200 bytes each


@dataclass(frozen=True)
class StreamSpan:
    """A stream of a tenant that had records from first_ns to last_ns, both included."""

    tenant: str
    stream: Stream
    first_ns: int
    last_ns: int

    def widened(self) -> StreamSpan:
        """The same in whole slots."""
        first = self.first_ns // SLOT_NS * SLOT_NS
        last = min((self.last_ns // SLOT_NS + 1) * SLOT_NS - 1, MAX_TIME_NS)
        return StreamSpan(self.tenant, self.stream, max(first, -MAX_TIME_NS), last)


class KnownStreams:
    """Remembers what was written, the most recently seen streams longest.

    Safe to call from several threads at once.
    """

    def __init__(self, max_streams: int = _MAX_STREAMS) -> None:
        self._max_streams = max_streams
        self._lock = threading.Lock()
        self._spans: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def news(self, spans: Iterable[StreamSpan]) -> list[StreamSpan]:
        """The spans, widened, that what is known does not cover."""
        with self._lock:
            return [wide for wide in (s.widened() for s in spans) if not self._covers(wide)]

    def learn(self, spans: Iterable[StreamSpan]) -> None:
        """Call it when the spans are in the store."""
        with self._lock:
            for span in spans:
                first, last = self._spans.get(span.stream.id, (span.first_ns, span.last_ns))
                self._spans[span.stream.id] = min(first, span.first_ns), max(last, span.last_ns)
                self._spans.move_to_end(span.stream.id)
            while len(self._spans) > self._max_streams:
                self._spans.popitem(last=False)

    def forget(self) -> None:
        """Know nothing: what is in the store may have been deleted."""
        with self._lock:
            self._spans.clear()

    def _covers(self, span: StreamSpan) -> bool:
        known = self._spans.get(span.stream.id)
        if known is None:
            return False
        self._spans.move_to_end(span.stream.id)
        return known[0] <= span.first_ns and span.last_ns <= known[1]
