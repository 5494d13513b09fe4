"""Text of the node for people: harmless to a terminal, and sizes that can be read.

Names of processes, cgroups and files are chosen by whoever runs them; nothing that a terminal would
obey may come through.
"""

from __future__ import annotations

from msgspec import UNSET

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(value: object) -> str:
    r"""Text that a terminal shows and does not obey: "\x1b" for what is not printable."""
    text = "" if value is None or value is UNSET else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def size(count: int | None) -> str:
    """Bytes with a unit, three digits or so: "1.5 GiB"; "?" where unknown."""
    if count is None:
        return "?"
    value, unit = float(count), 0
    while abs(value) >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return (
        f"{value:.0f} {_UNITS[unit]}"
        if unit == 0 or value >= 100
        else f"{value:.1f} {_UNITS[unit]}"
    )
