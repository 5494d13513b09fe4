"""How long the node has been up, and its load averages."""

from __future__ import annotations

from msgspec import Struct

from kelp.node.host.reading import Notes, Roots, read_text


class Load(Struct, frozen=True):
    """Runnable and uninterruptible tasks, averaged over 1, 5 and 15 minutes."""

    load1: float
    load5: float
    load15: float


def read_load(roots: Roots, notes: Notes | None = None) -> Load | None:
    """None where it cannot be read."""
    numbers = _floats(read_text(roots.proc / "loadavg", notes))
    return Load(*numbers[:3]) if len(numbers) >= 3 else None


def read_uptime_s(roots: Roots, notes: Notes | None = None) -> float | None:
    """Seconds since boot, time suspended included."""
    numbers = _floats(read_text(roots.proc / "uptime", notes))
    return numbers[0] if numbers else None


def _floats(data: str | None) -> list[float]:
    found = []
    for word in (data or "").split():
        try:
            found.append(float(word))
        except ValueError:
            break
    return found
