"""Keeping a small process small: what is not loaded, and how memory is taken and given back.

Measured with 10,000 lines a second over 100 files: pyarrow loads pandas where it is installed, at
the first array (15 MB and 0.3 s); Arrow's own allocator (mimalloc) keeps 8 MB more than glibc's
malloc. glibc in turn keeps an arena a thread, which one arena for all avoids.

Source: https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Numbers of glibc's malloc.h. Blocks from the threshold on are mapped, and unmapped when freed;
# below it, what is free at the heap's end goes back to the kernel from the trim threshold on. Lower
# numbers save little memory and cost page faults, higher ones the reverse.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_THRESHOLD_BYTES = 32 << 20

_MADV_DONTNEED = 4  # asm-generic/mman-common.h


def stay_small() -> None:
    """Set this process up for the agent alone; before numpy and pyarrow are loaded."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.meta_path.insert(0, _NoPandas())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _THRESHOLD_BYTES)
    _one_thread_for_arrow()


class _NoPandas:
    """An importer that knows no pandas; pyarrow then does without."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """See importlib.abc.MetaPathFinder."""
        if name == "pandas":
            raise ModuleNotFoundError("the agent does without pandas", name=name)


def _one_thread_for_arrow() -> None:
    import pyarrow as pa  # noqa: PLC0415 - reads the environment set above when it is loaded

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def forget_startup() -> None:
    """Give back what only starting needed: free heap, and pages of code that were run once.

    Loading libraries touches some 30 MB of their files (relocation, initializers). Unmapping pages
    of a file that this process never changed loses nothing: what is needed again comes back from
    the page cache. Does nothing where the kernel does not tell what was changed.
    """
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):
        libc.malloc_trim(0)
    with suppress(OSError):
        for begin, end in _unchanged_file_ranges(Path("/proc/self/smaps").read_text()):
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def _unchanged_file_ranges(smaps: str) -> Iterator[tuple[int, int]]:
    """Mappings of files that are private, read-only, and without a page that differs from the file.

    Format: https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html
    """
    candidate: tuple[int, int] | None = None
    for line in smaps.splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):
            begin, _, end = fields[0].partition("-")
            is_file = len(fields) == 6 and fields[5].startswith("/") and fields[4] != "0"
            read_only = fields[1] in ("r--p", "r-xp")
            candidate = (int(begin, 16), int(end, 16)) if is_file and read_only else None
        elif fields[0] == "Anonymous:" and candidate and fields[1] == "0":
            yield candidate
