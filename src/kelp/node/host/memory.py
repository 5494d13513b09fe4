"""/proc/meminfo, and the memory figures of `top` and `free`.

Format: https://docs.kernel.org/filesystems/proc.html#meminfo
"""

from __future__ import annotations

from msgspec import Struct

from kelp.node.host.reading import Notes, Roots, read_text

_KIB = 1024


class Memory(Struct, frozen=True):
    """Bytes, as procps 4 shows them: `used` is what new programs cannot have.

    `buff_cache` holds buffers, page cache and reclaimable slab. Kernels before 3.14 do not tell
    what is available; there `available_bytes` is None, and `used` all but free and buff_cache.
    """

    total_bytes: int
    free_bytes: int
    used_bytes: int
    buff_cache_bytes: int
    available_bytes: int | None
    swap_total_bytes: int
    swap_free_bytes: int
    swap_used_bytes: int


def read_meminfo(roots: Roots, notes: Notes | None = None) -> dict[str, int]:
    """Each line's value in bytes (those without a unit as they are); empty if unreadable."""
    return parse_meminfo(read_text(roots.proc / "meminfo", notes) or "")


def parse_meminfo(data: str) -> dict[str, int]:
    """Lines that have another form are passed over. Counts (HugePages_Total) have no unit."""
    found = {}
    for line in data.splitlines():
        name, _, rest = line.partition(":")
        value = rest.split()
        if value and value[0].isdecimal():
            found[name.strip()] = int(value[0]) * (_KIB if value[1:] == ["kB"] else 1)
    return found


def summarise(meminfo: dict[str, int]) -> Memory:
    """What `top` says of it."""

    def get(*names: str) -> int:
        return sum(meminfo.get(n, 0) for n in names)

    total, free = get("MemTotal"), get("MemFree")
    cache = get("Buffers", "Cached", "SReclaimable")
    available = meminfo.get("MemAvailable")
    used = total - (available if available is not None else free + cache)
    return Memory(
        total_bytes=total,
        free_bytes=free,
        # In a container `available` can be above the total; procps falls back to free then too.
        used_bytes=used if used >= 0 else max(total - free, 0),
        buff_cache_bytes=cache,
        available_bytes=available,
        swap_total_bytes=get("SwapTotal"),
        swap_free_bytes=get("SwapFree"),
        swap_used_bytes=max(get("SwapTotal") - get("SwapFree"), 0),
    )
