"""Reading a node's logs through the API server, and writing them as they come.

A journal's entries are held one at a time, save where the last ones are wanted of those before a
time: kubelets do not end where they are told to (see kelp.kube.nodelogs), so the end is found here.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import click
import msgspec
import pyarrow as pa
import re2

from kelp.base.backoff import Backoff
from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.base.severity import detect_severity
from kelp.cli.terminal import harmless
from kelp.cli.times import format_utc_ns
from kelp.kube.access import find_access
from kelp.kube.client import Answer, KubeClient, LineSplitter
from kelp.kube.errors import ApiError, AwayError
from kelp.kube.follow import Follower, Place
from kelp.kube.journal_text import TextEntry
from kelp.kube.nodelogs import (
    MAX_LINE_BYTES,
    IsFolderError,
    LogQuery,
    file_path,
    listing,
    query_journal,
    read_file,
)
from kelp.kube.reading import JournalReading, complaint, in_a_file
from kelp.model.severity import level_of

T = TypeVar("T")

FOLLOW_EVERY_S = 2.0
_FOLLOW_TAIL = 10
_WAIT_MAX_S = 30.0
_BATCH = 1000
_PAGE_BYTES = 16 << 20
_WIDEST_US = 14 * 3600 * 1_000_000  # what a node's clock can be behind UTC, and two hours
_GZIP = 47  # zlib's window bits for a gzip or zlib header


@dataclass(frozen=True)
class Wanted:
    """The options of `kelp node logs`; times in nanoseconds since the epoch."""

    node: str
    path: str = ""
    units: tuple[str, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None
    pattern: str = ""
    boot: int | None = None
    follow: bool = False
    output: str = "text"

    def check(self) -> None:
        """Raises KelpError for what does not go together."""
        if bool(self.path) == bool(self.units):
            raise KelpError(
                "expected -u UNIT for a service's journal, or a path below /var/log; got "
                + ("both" if self.path else "neither")
            )
        timed = self.since_ns is not None or self.until_ns is not None
        if self.path and (timed or self.boot is not None or self.follow):
            raise KelpError(
                "expected --tail and -g alone with a path; --since, --until, --boot and -f are for "
                "services (-u)"
            )
        if self.follow and self.until_ns is not None:
            raise KelpError("expected --until or -f; got both")
        if timed and (self.since_ns or 0) > (self.until_ns or sys.maxsize):
            raise KelpError("expected --until to be after --since; got an earlier time")


def show(
    wanted: Wanted,
    kubeconfig: str = "",
    context: str = "",
    clock: Clock | None = None,
) -> None:
    """Write what is wanted to standard output; raises KelpError."""
    wanted.check()
    client = KubeClient(find_access(os.environ, kubeconfig=kubeconfig, context=context))
    clock = clock or SystemClock()
    if wanted.path:
        _File(client, wanted).show()
    elif wanted.follow:
        _Journal(client, wanted, clock).follow()
    else:
        _Journal(client, wanted, clock).show()


class _Journal:
    """Entries of one or several units."""

    def __init__(self, client: KubeClient, wanted: Wanted, clock: Clock) -> None:
        self._client, self._wanted, self._clock = client, wanted, clock
        self._told: set[str] = set()
        self._written = 0

    def show(self) -> None:
        wanted = self._wanted
        until = wanted.until_ns is not None
        query = LogQuery(
            wanted.units,
            since_us=None if wanted.since_ns is None else wanted.since_ns // 1000,
            tail=None if until else wanted.tail,
            boot=wanted.boot,
            pattern=wanted.pattern,
        )
        notes = self._read(query)
        if not self._written and query.since_us and not complaint(notes):
            # A node whose clock is behind UTC takes the time for a later one.
            self._read(replace(query, since_us=max(query.since_us - _WIDEST_US, 0)))
        if not self._written:
            self._raise_for(notes)

    def _raise_for(self, notes: list[str]) -> None:
        """What the notes say of why there is nothing, as an error."""
        wanted = self._wanted
        if in_a_file(notes):
            unit = wanted.units[0].removesuffix(".service")
            raise KelpError(
                f"expected a service with a journal; {wanted.node} keeps {unit} in a file: name "
                f"that, kelp node logs {wanted.node} /var/log/{unit}.log"
            )
        if text := complaint(notes):
            raise KelpError(f"{wanted.node} has no such log: {text}")
        self._tell("no entries")

    def _read(self, query: LogQuery) -> list[str]:
        """Write an answer; its notes."""
        with query_journal(self._client, self._wanted.node, query) as answer:
            reading = JournalReading(answer, self._clock.now_ns())
            self._write(self._fitting(reading.entries()))
        if self._written:
            for note in reading.notes:
                self._tell(note)
        if reading.error is not None:
            raise reading.error
        if reading.stopped:
            self._tell(
                "the kubelet stopped after 30 s, and more may follow: narrow it down (--since)"
            )
        return reading.notes

    def _fitting(self, entries: Iterable[TextEntry]) -> Iterable[TextEntry]:
        wanted = self._wanted
        start_us = (wanted.since_ns or 0) // 1000
        end_us = sys.maxsize if wanted.until_ns is None else wanted.until_ns // 1000
        fitting = (e for e in entries if start_us <= e.time_us <= end_us)
        if wanted.until_ns is None or wanted.tail is None:
            return fitting
        return deque(fitting, wanted.tail)

    def follow(self) -> None:
        """Until it is interrupted."""
        wanted = self._wanted
        since_us = None if wanted.since_ns is None else wanted.since_ns // 1000
        tail = wanted.tail if wanted.tail is not None or since_us is not None else _FOLLOW_TAIL
        follower = Follower(Place(), since_us or 0)
        base = LogQuery(wanted.units, boot=wanted.boot, pattern=wanted.pattern)
        notes = self._follow_on(follower, replace(base, since_us=since_us, tail=tail))
        if not follower.begun:
            self._raise_for(notes)
            follower = Follower(Place(), since_us or self._clock.now_ns() // 1000)
        backoff = Backoff(FOLLOW_EVERY_S, _WAIT_MAX_S, draw=lambda: 1.0)
        while True:
            sys.stdout.flush()
            self._clock.sleep(backoff.next_s() if backoff.failures else FOLLOW_EVERY_S)
            try:
                self._follow_on(follower, replace(base, since_us=follower.since_us()))
                backoff.reset()
            except (AwayError, ApiError) as e:
                if isinstance(e, ApiError) and e.status < 429:
                    raise
                backoff.next_s()
                self._tell(f"{e}; trying again")

    def _follow_on(self, follower: Follower, query: LogQuery) -> list[str]:
        with query_journal(self._client, self._wanted.node, query) as answer:
            reading = JournalReading(answer, self._clock.now_ns())
            entries = list(reading.entries())
        taken = follower.take(entries, query.since_us or 0)
        if taken.lost:
            self._tell("the journal was vacuumed or replaced; what came in between is missing")
        self._write(taken.entries)
        if reading.error is not None and not entries:
            raise reading.error
        return reading.notes

    def _write(self, entries: Iterable[TextEntry]) -> None:
        if self._wanted.output == "json":
            unit = self._wanted.units[0] if len(self._wanted.units) == 1 else None
            for batch in _batches(entries):
                levels = _levels([e.message for e in batch])
                for entry, level in zip(batch, levels, strict=True):
                    _print(msgspec.json.encode(self._object(entry, unit, level)))
                    self._written += 1
            return
        for entry in entries:
            self._written += 1
            for line in entry.raw:
                _print(line)

    def _object(self, entry: TextEntry, unit: str | None, level: str | None) -> object:
        return {
            "time": format_utc_ns(entry.time_us * 1000),
            "node": self._wanted.node,
            "unit": unit,
            "host": entry.host or None,
            "identifier": entry.identifier,
            "pid": int(entry.pid) if entry.pid else None,
            "severity": level,
            "message": entry.message.decode(errors="replace"),
        }

    def _tell(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            click.echo(f"kelp: note: {note}", err=True)


class _File:
    """A file's lines, or a folder's names."""

    def __init__(self, client: KubeClient, wanted: Wanted) -> None:
        self._client, self._wanted = client, wanted
        self._fits = _matching(wanted.pattern)

    def show(self) -> None:
        path = self._wanted.path
        try:
            self._show(path)
        except IsFolderError:
            self._show(path + "/")

    def _show(self, path: str) -> None:
        with read_file(self._client, self._wanted.node, path) as answer:
            if path.endswith("/") or not file_path(path):
                lines: Iterable[bytes] = [n.encode() for n in listing(answer.read(_PAGE_BYTES))]
            else:
                lines = _lines(answer, gz=path.endswith(".gz"))
            fitting = (line for line in lines if self._fits(line))
            tail = self._wanted.tail
            self._write(fitting if tail is None else deque(fitting, tail))

    def _write(self, lines: Iterable[bytes]) -> None:
        if self._wanted.output == "text":
            for line in lines:
                _print(line)
            return
        for batch in _batches(lines):
            for line, level in zip(batch, _levels(batch), strict=True):
                text = line.decode(errors="replace")
                _print(
                    msgspec.json.encode(
                        {
                            "node": self._wanted.node,
                            "file": f"/var/log/{file_path(self._wanted.path)}",
                            "severity": level,
                            "message": text,
                        }
                    )
                )


def _matching(pattern: str) -> Callable[[bytes], object]:
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern.encode(), options).search
    except re2.error as e:
        reason = e.args[0].decode() if isinstance(e.args[0], bytes) else e
        raise KelpError(
            f'expected a regular expression of RE2 for a file; got "{pattern}": {reason}'
        ) from None
    return search if pattern else lambda _: True


def _lines(answer: Answer, *, gz: bool) -> Iterator[bytes]:
    if not gz:
        yield from answer.lines(MAX_LINE_BYTES)
        return
    splitter = LineSplitter()
    inflate = zlib.decompressobj(_GZIP)
    try:
        for block in answer.blocks():
            data = inflate.decompress(block)
            while inflate.eof and inflate.unused_data:
                following = inflate.unused_data
                inflate = zlib.decompressobj(_GZIP)
                data += inflate.decompress(following)
            yield from splitter.feed(data)
    except zlib.error as e:
        raise KelpError(f"expected gzip in a file called .gz; {e}") from e
    if splitter.held:
        yield splitter.rest()


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _levels(bodies: list[bytes]) -> list[str | None]:
    numbers, _ = detect_severity(pa.array(bodies, pa.binary()))
    return [level_of(n) if n else None for n in numbers.to_pylist()]


def _print(line: bytes) -> None:
    text = harmless(line) if sys.stdout.isatty() else line
    sys.stdout.buffer.write(text + b"\n")
