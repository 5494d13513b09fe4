"""A file of a bundle."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kelp.base.errors import KelpError

MAX_FILE_BYTES = 8 << 20


class AbsentError(KelpError):
    """There is nothing to tell here: no such command, no such file. Not a failure."""


class Entry(Struct, frozen=True):
    """`make` gives the content; raises AbsentError, or KelpError or OSError where it fails.

    `name` is a path below the bundle's folder. JSON (`.json`, `.jsonl`) is redacted by its values,
    everything else as text. `keep_end`: of what is too long the end counts, as in a log.
    """

    name: str
    make: Callable[[], bytes]
    keep_end: bool = False
