"""The lines of `vmstat`."""

from __future__ import annotations

from kelp.node.host.vmstat import VmstatReport

_WIDTHS = {
    "r": 3,
    "b": 3,
    "swpd": 9,
    "free": 10,
    "buff": 9,
    "cache": 10,
    "si": 6,
    "so": 6,
    "bi": 7,
    "bo": 7,
    "in": 7,
    "cs": 7,
    "us": 3,
    "sy": 3,
    "id": 3,
    "wa": 3,
    "st": 3,
    "gu": 3,
}


def heading() -> str:
    """The columns' names, under vmstat's own."""
    return " ".join(name.rjust(width) for name, width in _WIDTHS.items())


def line(report: VmstatReport) -> str:
    """One report; whole numbers, as vmstat has them."""
    return " ".join(
        f"{getattr(report, 'in_' if name == 'in' else name):.0f}".rjust(width)
        for name, width in _WIDTHS.items()
    )
