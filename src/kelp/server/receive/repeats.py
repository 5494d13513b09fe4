"""Pushes that came lately, so that one that is sent again is known.

A sender whose answer was lost sends the same bytes once more. An agent's segments have numbers, a
push of another protocol has none; but an entry that equals one that is there (labels, time, line)
is dropped by Loki, so a push of the same bytes may be passed over as a whole. Known are pushes of
the last KEEP_S seconds, longer than Promtail, Alloy and the OpenTelemetry Collector try; at most
MOST of them.

In memory, and in two small files: what was stored is written to them before the journal's frames,
which know their own fingerprints, are deleted. A fingerprint must not be on disk before its frame
is safe, or a crash would make a push that is lost look like one that was taken.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections import OrderedDict, deque
from pathlib import Path

from kelp.base.clock import Clock

KEEP_S = 1800
MOST = 50_000
_ENTRY = struct.Struct("<16sq")  # fingerprint, time in nanoseconds


class Repeats:
    """Safe to use from several threads; `save` is for one of them."""

    def __init__(self, directory: Path, clock: Clock, key: bytes = b"") -> None:
        """`key` of the store: what lies on disk must not tell who knows a body that it was here."""
        self._files = (directory / "pushes.0", directory / "pushes.1")
        self._clock = clock
        self._key = hashlib.blake2b(key, person=b"kelp pushes").digest() if key else b""
        self._known: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # number of the frame, ns
        self._lock = threading.Lock()
        self._unsaved: deque[tuple[int, bytes, int]] = deque()
        for path in reversed(self._files):
            self._load(path)

    def fingerprint(self, tenant: str, kind: str, body: bytes) -> bytes:
        """Names what was sent: to whom, in which encoding, and the bytes."""
        head = f"{len(tenant)} {tenant} {kind}\n".encode()
        return hashlib.blake2b(head + body, digest_size=16, key=self._key).digest()

    def number_of(self, fingerprint: bytes) -> int | None:
        """The journal's number of the push that was the same; 0: stored before; None: it is new."""
        with self._lock:
            found = self._known.get(fingerprint)
        if found is None or found[1] < self._oldest_ns():
            return None
        return found[0]

    def note(self, fingerprint: bytes, number: int) -> None:
        """A push is in the journal under that number, durable or not."""
        now_ns = self._clock.now_ns()
        with self._lock:
            self._remember(fingerprint, number, now_ns)
            self._unsaved.append((number, fingerprint, now_ns))

    def save(self, through: int) -> None:
        """Make those up to that number durable; their frames may go then. Raises OSError."""
        with self._lock:
            due = [(f, at_ns) for number, f, at_ns in self._unsaved if number <= through]
        if not due:
            return
        self._turn_over()
        fd = os.open(self._files[0], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(fd).st_size
            os.ftruncate(fd, size - size % _ENTRY.size)  # what a full disk has cut
            os.write(fd, b"".join(_ENTRY.pack(*entry) for entry in due))
            os.fsync(fd)
        finally:
            os.close(fd)
        with self._lock:
            while self._unsaved and self._unsaved[0][0] <= through:
                self._unsaved.popleft()

    def forget(self) -> None:
        """Know none: what was deleted may be pushed again, and then is to be stored."""
        with self._lock:
            self._known.clear()
            self._unsaved.clear()
        for path in self._files:
            path.unlink(missing_ok=True)

    def _turn_over(self) -> None:
        """A file whose first entry is old takes the other's place, and with that ends."""
        current, former = self._files
        try:
            with current.open("rb") as file:
                head = file.read(_ENTRY.size)
        except FileNotFoundError:
            return
        if len(head) < _ENTRY.size or _ENTRY.unpack(head)[1] < self._oldest_ns():
            current.replace(former)

    def _load(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        whole = len(data) - len(data) % _ENTRY.size  # a crash may have cut the last one
        for fingerprint, at_ns in _ENTRY.iter_unpack(data[:whole]):
            self._remember(fingerprint, 0, at_ns)

    def _remember(self, fingerprint: bytes, number: int, at_ns: int) -> None:
        self._known[fingerprint] = number, at_ns
        self._known.move_to_end(fingerprint)
        oldest_ns = self._oldest_ns()
        while len(self._known) > MOST or next(iter(self._known.values()))[1] < oldest_ns:
            self._known.popitem(last=False)
            if not self._known:
                break

    def _oldest_ns(self) -> int:
        return self._clock.now_ns() - KEEP_S * 1_000_000_000
