"""Entries as a tar.gz that is made while it is read; the manifest comes last: it tells the rest.

Formats: https://www.rfc-editor.org/rfc/rfc1952 and POSIX.1-2001 (pax).
"""

from __future__ import annotations

import io
import logging
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.redact import REDACTED, Redactor
from kelp.node.bundle.entry import MAX_FILE_BYTES, AbsentError, Entry

_log = logging.getLogger(__name__)

MANIFEST = "MANIFEST.json"
_CUT = b"[cut: the file was longer than %d bytes]\n"


class Held(Struct, frozen=True):
    """A file that is in the archive. `redacted`: so often a secret was taken out."""

    name: str
    bytes: int
    redacted: int
    cut: bool


class Missing(Struct, frozen=True):
    """A file that is not, and why."""

    name: str
    reason: str


class Manifest(Struct, kw_only=True):
    """What is in the archive. `failed` should be there and is not; `absent` this node has not."""

    about: dict[str, Any]
    files: list[Held] = []
    failed: list[Missing] = []
    absent: list[Missing] = []


class Archive:
    """One bundle. `folder` holds all its files; `about` goes into the manifest as it is."""

    def __init__(
        self, folder: str, about: dict[str, Any], redactor: Redactor, clock: Clock, time_s: float
    ) -> None:
        """After `time_s` no further entry is begun; the manifest says so."""
        self._folder = folder
        self._redactor = redactor
        self._clock = clock
        self._end = clock.monotonic() + time_s
        self._sink = _Sink()
        self._tar = tarfile.open(mode="w|gz", fileobj=self._sink)  # noqa: SIM115 - closed in write
        self._manifest = Manifest(about=redactor.value(about))

    def write(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """The archive's bytes, piece by piece, as the entries are made."""
        for entry in entries:
            content = self._content(entry)
            if content is not None:
                self._add(entry.name, content)
            yield self._sink.take()
        self._add(MANIFEST, msgspec.json.format(msgspec.json.encode(self._manifest), indent=2))
        self._tar.close()
        yield self._sink.take()

    def _content(self, entry: Entry) -> bytes | None:
        """What goes into the archive; None where there is nothing, which is noted."""
        if self._clock.monotonic() > self._end:
            self._manifest.failed.append(Missing(entry.name, "the time for the bundle was over"))
            return None
        try:
            content, cut = _bounded(entry, entry.make())
            content = self._redacted(entry.name, content)
        except AbsentError as e:
            self._manifest.absent.append(Missing(entry.name, self._redactor.text(str(e))))
            return None
        except (KelpError, OSError) as e:
            self._manifest.failed.append(Missing(entry.name, self._redactor.text(str(e))))
            return None
        except Exception as e:  # noqa: BLE001 - one file must not cost the others
            _log.warning("a file of the bundle failed", extra={"file": entry.name}, exc_info=True)
            reason = self._redactor.text(f"{type(e).__name__}: {e}")
            self._manifest.failed.append(Missing(entry.name, reason))
            return None
        count = content.count(REDACTED.encode())
        self._manifest.files.append(Held(entry.name, len(content), count, cut))
        return content

    def _redacted(self, name: str, content: bytes) -> bytes:
        if name.endswith(".json"):
            value = self._redactor.value(msgspec.json.decode(content))
            return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
        if name.endswith(".jsonl"):
            values = (msgspec.json.decode(line) for line in content.splitlines())
            redacted = (msgspec.json.encode(self._redactor.value(v)) for v in values)
            return b"".join(line + b"\n" for line in redacted)
        return self._redactor.data(content)

    def _add(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(f"{self._folder}/{name}")
        info.size = len(content)
        info.mtime = self._clock.now_ns() // 1_000_000_000
        info.mode = 0o644
        self._tar.addfile(info, io.BytesIO(content))


def _bounded(entry: Entry, content: bytes) -> tuple[bytes, bool]:
    """At most MAX_FILE_BYTES, in whole lines; JSON cannot be cut, its makers bound it."""
    if len(content) <= MAX_FILE_BYTES or entry.name.endswith(".json"):
        return content, False
    if entry.keep_end:
        kept = content[-MAX_FILE_BYTES:].partition(b"\n")[2]
        return (kept if entry.name.endswith(".jsonl") else _CUT % MAX_FILE_BYTES + kept), True
    kept = content[:MAX_FILE_BYTES].rpartition(b"\n")[0] + b"\n"
    return (kept if entry.name.endswith(".jsonl") else kept + _CUT % MAX_FILE_BYTES), True


class _Sink(io.BytesIO):
    """Where the tar is written to, and taken from."""

    def take(self) -> bytes:
        """What was written since the last time."""
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data
