"""inotify as a hint where to look; never as the only way to find something out.

Folders are watched for names that come and go. A file is watched only while it is idle, and for
one change (`IN_ONESHOT`): a busy file would send an event for each line, and is looked at anyway.
Where the kernel gives no instance or no further watches, the caller falls back to looking.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Hashable
from typing import Generic, TypeVar

from inotify_simple import INotify, flags

from kelp.agent.collect.metrics import CollectMetrics

_FOLDER = (
    flags.CREATE | flags.MOVED_FROM | flags.MOVED_TO | flags.DELETE
    | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
)  # fmt: skip
_FILE = flags.MODIFY | flags.ONESHOT

_REASONS = {errno.EMFILE: "max_user_instances", errno.ENOSPC: "max_user_watches"}

_log = logging.getLogger(__name__)

T = TypeVar("T", bound=Hashable)


class Watcher(Generic[T]):
    """Watches, each with a token of the caller's that its events carry."""

    def __init__(self, metrics: CollectMetrics, *, enabled: bool = True) -> None:
        self._metrics = metrics
        self._tokens: dict[int, T] = {}
        self._warned: set[str] = set()
        self._inotify = self._start() if enabled else None

    def _start(self) -> INotify | None:
        try:
            return INotify(nonblocking=True)
        except OSError as e:
            self._failed(e)
            return None

    def fileno(self) -> int:
        """Readable when there are events; -1 where inotify is not to be had."""
        return self._inotify.fileno() if self._inotify is not None else -1

    def watch_folder(self, path: str, token: T) -> bool:
        """Whether names that come and go in the folder will be told."""
        return self._add(path, _FOLDER, token)

    def watch_file(self, path: str, token: T) -> bool:
        """Whether the file's next change will be told, once."""
        return self._add(path, _FILE, token)

    def _add(self, path: str, mask: int, token: T) -> bool:
        if self._inotify is None:
            return False
        try:
            self._tokens[self._inotify.add_watch(path, mask)] = token
        except (FileNotFoundError, NotADirectoryError):
            return False  # gone already: the scan finds that out
        except OSError as e:
            self._failed(e)
            return False
        return True

    def read(self) -> tuple[list[T], bool]:
        """Tokens of what changed, and whether events were dropped, so that anything may have."""
        if self._inotify is None:
            return [], False
        tokens: dict[T, None] = {}
        overflowed = False
        for event in self._inotify.read(timeout=0):
            token = self._tokens.get(event.wd)
            if event.mask & flags.Q_OVERFLOW:
                overflowed = True
            elif token is not None:
                tokens[token] = None
            if event.mask & flags.IGNORED:
                self._tokens.pop(event.wd, None)
        return list(tokens), overflowed

    def close(self) -> None:
        """Give all watches back."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _failed(self, error: OSError) -> None:
        reason = _REASONS.get(error.errno or 0, "other")
        self._metrics.inotify_failures.labels(reason).inc()
        if reason not in self._warned:
            self._warned.add(reason)
            _log.warning(
                "inotify gives no further watch: files are found by scanning, later than usual; "
                "raise the limit in /proc/sys/fs/inotify",
                extra={"limit": reason, "error": os.strerror(error.errno or 0)},
            )
