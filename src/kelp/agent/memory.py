"""Keeping a small process small: how memory is taken and given back.

Arrow's own allocator (mimalloc) and glibc's one arena a thread hold freed memory for later; an
agent that handles a batch twice a second has no later worth it. One arena, and big blocks that go
back to the kernel when freed, keep the resident size near what is in use.

Source: https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def stay_small() -> None:
    """Set the process up; call before threads are started. Does nothing where there is no glibc."""
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 256 << 10)
        mallopt(_M_TRIM_THRESHOLD, 512 << 10)
        mallopt(_M_TOP_PAD, 64 << 10)
