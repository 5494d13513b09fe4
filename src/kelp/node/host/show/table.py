"""Aligned columns of text that is ready to be shown.

The command line's own tables align values by their types; those here are figures with a fixed
number of decimals, which only their maker knows to be numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kelp.node.host.owner import Owner
from kelp.node.text import printable

NONE = "-"


def aligned(
    columns: Sequence[str], rows: Iterable[Sequence[object]], width: int | None = None
) -> Iterator[str]:
    """The header and the rows. A column whose name begins with `>` is aligned to the right.

    None is shown as `-`. Lines are cut at `width` columns; None: not at all.
    """
    names = [c.removeprefix(">") for c in columns]
    right = [c.startswith(">") for c in columns]
    cells = [names, *([cell(v) for v in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    for row in cells:
        padded = (
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        )
        yield "  ".join(padded).rstrip()[:width]


def cell(value: object) -> str:
    """One value's text, harmless to a terminal."""
    return NONE if value is None or value == "" else printable(value)


def fixed(value: float | None, digits: int = 1) -> str:
    """A number with so many decimals."""
    return NONE if value is None else f"{value:.{digits}f}"


def short(count: float | None) -> str:
    """Bytes as `top -e` and `ls -h` have them: 1.5G, 213M, 0."""
    if count is None:
        return NONE
    value, units = float(count), "BKMGTP"
    for unit in units:
        if abs(value) < 1000 or unit == units[-1]:
            break
        value /= 1024
    text = f"{value:.1f}" if 0 < value < 10 and unit != "B" else f"{value:.0f}"
    return text if unit == "B" else text + unit


def seconds(value: float | None) -> str:
    """A time as top's TIME+, in larger units from a day on: 0:01.23, 12:00:01, 3d04h."""
    if value is None:
        return NONE
    minutes, rest = divmod(value, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours >= 24:
        return f"{hours // 24}d{hours % 24:02}h"
    if hours:
        return f"{hours}:{minutes:02}:{int(rest):02}"
    return f"{minutes}:{int(rest):02}.{int(rest * 100) % 100:02}"


def whose(owner: Owner) -> str:
    """namespace/pod, else the pod's uid, else the service."""
    if owner.pod:
        return f"{owner.namespace}/{owner.pod}"
    return owner.pod_uid or owner.unit or NONE


def container(owner: Owner) -> str:
    """The container's name, else the beginning of its id, as the runtimes' tools print it."""
    return owner.container or (owner.container_id or NONE)[:12]
