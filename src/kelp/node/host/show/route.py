"""The table of `netstat -rn`."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.routes import Route, RouteReport
from kelp.node.host.show.table import aligned, whose

_COLUMNS = ("DESTINATION", "GATEWAY", "FLAGS", ">METRIC", ">MTU", "INTERFACE")


def lines(report: RouteReport, width: int | None = None, rows: int | None = None) -> Iterator[str]:
    """The first `rows` routes (None: all); with a column for the pod where they are of pods."""
    shown = report.routes[:rows]
    if any(r.known for r in shown):
        yield from aligned(("POD", *_COLUMNS), ((whose(r), *_row(r)) for r in shown), width)
    else:
        yield from aligned(_COLUMNS, map(_row, shown), width)


def _row(route: Route) -> tuple[object, ...]:
    return (
        route.destination,
        route.gateway,
        route.flags,
        route.metric,
        route.mtu,
        route.interface,
    )
