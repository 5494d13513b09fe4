"""An append-only log of frames on disk: what the inbox has taken and the store has not.

Frames are numbered from 1 without end. They are appended to files of a bounded size, each named by
its first frame, and made durable together: one fsync serves all who wait at that moment, so a
hundred senders cost hardly more than one. Whole files go when all their frames have been dropped.

A frame: magic, length and CRC-32 of the content, number; then the content, sealed where there is a
Seal. A crash can leave half a frame at the end of a file; nobody was told that it was durable, so
it is cut off.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kelp.base.errors import KelpError
from kelp.base.files import fsync_dir
from kelp.server.receive.seal import Seal, SealError

log = logging.getLogger(__name__)

_HEAD = struct.Struct("<4sIIQ")
_PLAIN, _SEALED = b"KLP1", b"KLS1"
_SUFFIX = ".journal"


class JournalError(Exception):
    """The journal's disk failed: nothing more can be made durable until the server is restarted."""


@dataclass(frozen=True)
class _Place:
    file: Path
    offset: int
    length: int


class Journal:
    """Must be given a directory of its own. Safe to call from several threads at once.

    `visit` is called with the number and content of each frame that lies there already. New frames
    are numbered from `first_number` at the least. Raises KelpError where the frames are sealed
    otherwise than by `seal`, and OSError.
    """

    def __init__(
        self,
        directory: Path,
        visit: Callable[[int, bytes], None],
        *,
        first_number: int = 1,
        seal: Seal | None = None,
        file_bytes: int = 64 << 20,
    ) -> None:
        self._directory = directory
        self._seal = seal
        self._file_bytes = file_bytes
        self._places: OrderedDict[int, _Place] = OrderedDict()
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._state = threading.Condition()
        self._syncing = False
        self._failure: OSError | None = None
        self._fd = -1
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._recover(visit)
        self._written = max([first_number - 1, *self._places])
        self._synced = self._written
        self._end = 0

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        with self._state:
            return sum(self._sizes.values())

    @property
    def synced(self) -> int:
        """The newest frame that is durable; 0 at the very beginning."""
        return self._synced

    @property
    def written(self) -> int:
        """The newest frame, durable or not."""
        return self._written

    def numbers(self) -> list[int]:
        """The frames there are, in order."""
        with self._state:
            return list(self._places)

    def append(self, content: bytes) -> int:
        """Write a frame, not yet durable; gives its number. Raises OSError: then nothing is there.

        Raises JournalError where the disk failed before.
        """
        with self._state:
            self._check()
            number = self._written + 1
            payload = self._seal.close(content, _bound(number)) if self._seal else content
            magic = _SEALED if self._seal else _PLAIN
            head = _HEAD.pack(magic, len(payload), zlib.crc32(payload), number)
            self._roll(number)
            file = next(reversed(self._sizes))
            self._write(head, payload)
            self._places[number] = _Place(file, self._end, len(payload))
            self._end += len(head) + len(payload)
            self._sizes[file] = self._end
            self._written = number
            return number

    def sync(self, number: int) -> None:
        """Return when the frame is durable. Raises JournalError."""
        with self._state:
            while self._synced < number:
                self._check()
                if self._syncing:
                    self._state.wait()
                    continue
                self._syncing = True
                target, fd = self._written, self._fd
                self._state.release()
                failure = _fsync(fd)
                self._state.acquire()
                self._syncing = False
                if failure:
                    self._failure = failure
                else:
                    self._synced = max(self._synced, target)
                self._state.notify_all()

    def read(self, number: int) -> bytes:
        """The content of a frame; raises KeyError for a number that is not there, OSError."""
        return self._opened(self.raw(number)[_HEAD.size :], number)

    def raw(self, number: int) -> bytes:
        """A frame as it lies on disk, sealed where the journal is; raises KeyError, OSError."""
        with self._state:
            place = self._places[number]
        with place.file.open("rb") as f:
            f.seek(place.offset)
            return f.read(_HEAD.size + place.length)

    def content_of(self, raw: bytes) -> bytes:
        """The content of a frame that `raw` gave; raises KelpError where it is none of ours."""
        if len(raw) < _HEAD.size:
            raise KelpError(f"expected a frame; got {len(raw)} bytes")
        _, _, crc, number = _HEAD.unpack(raw[: _HEAD.size])
        payload = raw[_HEAD.size :]
        if zlib.crc32(payload) != crc:
            raise KelpError("expected a whole frame; its checksum does not fit")
        return self._probe(self._directory, payload, number)

    def drop_through(self, number: int) -> None:
        """Forget all frames up to that number; files without any other go."""
        with self._state:
            for old in [n for n in self._places if n <= number]:
                del self._places[old]
            needed = {place.file for place in self._places.values()}
            for file in [f for f in self._sizes if f not in needed]:
                if file == next(reversed(self._sizes)) and self._fd >= 0:
                    self._end_file()
                self._sizes.pop(file)
                file.unlink(missing_ok=True)

    def would_drop_file(self, number: int) -> bool:
        """Whether drop_through(number) would delete a file."""
        with self._state:
            last_of = {place.file: n for n, place in self._places.items()}
            return any(last_of.get(file, 0) <= number for file in self._sizes)

    def close(self) -> None:
        """Close the file. Frames stay."""
        with self._state:
            self._end_file()

    def _check(self) -> None:
        if self._failure:
            raise JournalError(f"the inbox's disk failed: {self._failure}") from self._failure

    def _roll(self, number: int) -> None:
        """Begin a new file where there is none, or the current one is full and durable."""
        if self._fd >= 0 and (self._end < self._file_bytes or self._syncing):
            return
        if self._fd >= 0 and (failure := _fsync(self._fd)):
            self._failure = failure
            self._check()
        self._end_file()
        file = self._directory / f"{number:020d}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = os.open(file, flags, 0o600)
        self._end = 0
        self._sizes[file] = 0
        fsync_dir(self._directory)

    def _end_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _write(self, head: bytes, payload: bytes) -> None:
        """Write all or nothing."""
        try:
            views = [memoryview(head), memoryview(payload)]
            while views:
                written = os.writev(self._fd, views)
                while views and written >= len(views[0]):
                    written -= len(views.pop(0))
                if views:
                    views[0] = views[0][written:]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
                os.lseek(self._fd, self._end, os.SEEK_SET)
            raise

    def _opened(self, payload: bytes, number: int) -> bytes:
        return self._seal.open(payload, _bound(number)) if self._seal else payload

    def _recover(self, visit: Callable[[int, bytes], None]) -> None:
        files = sorted(self._directory.glob(f"*{_SUFFIX}"))
        for file in files:
            end = 0
            for number, place, content in self._frames(file):
                visit(number, content)
                self._places[number] = place
                end = place.offset + _HEAD.size + place.length
            if end < file.stat().st_size:
                _cut(file, end, newest=file == files[-1])
            self._sizes[file] = end

    def _frames(self, file: Path) -> Iterator[tuple[int, _Place, bytes]]:
        expected = _SEALED if self._seal else _PLAIN
        with file.open("rb") as f:
            while len(head := f.read(_HEAD.size)) == _HEAD.size:
                magic, length, crc, number = _HEAD.unpack(head)
                offset = f.tell() - _HEAD.size
                payload = f.read(length)
                if len(payload) < length or zlib.crc32(payload) != crc:
                    return
                if magic != expected:
                    raise _sealed_otherwise(file, magic)
                yield number, _Place(file, offset, length), self._probe(file, payload, number)

    def _probe(self, file: Path, payload: bytes, number: int) -> bytes:
        try:
            return self._opened(payload, number)
        except SealError as e:
            raise KelpError(
                f"expected an inbox encrypted with this store's key; {file} is {e}: "
                "set store.encryption_key_file as it was"
            ) from e


def _cut(file: Path, end: int, *, newest: bool) -> None:
    """Cut off what is no frame. In an older file it was durable once, so it is kept aside."""
    rest = file.stat().st_size - end
    if newest:
        log.warning("cut %d bytes of a half-written frame from %s", rest, file)
    else:
        aside = file.with_suffix(".damaged")
        aside.write_bytes(file.read_bytes()[end:])
        log.error("%s is damaged after %d bytes; the other %d are in %s", file, end, rest, aside)
    os.truncate(file, end)


def _sealed_otherwise(file: Path, magic: bytes) -> KelpError:
    have = "encrypted" if magic == _SEALED else "not encrypted"
    return KelpError(
        f"store.encryption_key_file: {file} is {have}, unlike the store; start the server once "
        "with the settings it had, so that the inbox becomes empty"
    )


def _bound(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _fsync(fd: int) -> OSError | None:
    try:
        os.fsync(fd)
    except OSError as e:
        return e
    return None
