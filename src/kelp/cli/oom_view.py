"""Kills on the screen, and as JSON; and what stands around them, where somebody knows.

What containers have written is shown without what a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kelp.base.oom import Kill
from kelp.node.oom.render import details, json_line, summary, tasks
from kelp.node.text import printable

if TYPE_CHECKING:  # they come with the HTTP client, which a saved log does without
    from kelp.cli.oom_stored import Around, Line, Restart
    from kelp.node.oom.stored import StoredKill

_NONE_STORED = "no event about it is stored"


@dataclass(frozen=True)
class View:
    """How kills are shown."""

    output: str
    with_details: bool
    with_tasks: bool

    @property
    def is_json(self) -> bool:
        """An object a line, and nothing else."""
        return self.output == "json"

    def kill(self, kill: Kill) -> Iterator[str]:
        """One kill, of a saved log."""
        if self.is_json:
            yield json_line(kill).decode()
            return
        yield summary(kill)
        yield from self._more(kill)

    def known(self, known: StoredKill, around: Around | None, now_ns: int) -> Iterator[str]:
        """One kill with what is known beside it."""
        if around is None:
            yield from self.kill(known.kill)
        elif self.is_json:
            yield _object(known, around)
        else:
            yield _headline(known)
            yield from self._more(known.kill)
            yield from _around(around, now_ns)

    def _more(self, kill: Kill) -> Iterator[str]:
        yield from details(kill) if self.with_details else ()
        yield from tasks(kill) if self.with_tasks else ()


def _headline(known: StoredKill) -> str:
    names = "/".join(n for n in (known.namespace, known.pod, known.container) if n)
    counted = "told by memory.events alone" if known.counted_only else ""
    return "  ".join(p for p in (summary(known.kill), printable(names), counted) if p)


def _around(around: Around, now_ns: int) -> Iterator[str]:
    if around.lines:
        yield "    last lines before it:"
        yield from _lines(around.lines, now_ns)
    if around.restarts:
        yield f"    restarted since: {', '.join(_restarts(around.restarts, now_ns))}"
    if around.events is not None:
        yield "    events:" if around.events else f"    events: {_NONE_STORED}"
        yield from _lines(around.events, now_ns)


def _lines(lines: Sequence[Line], now_ns: int) -> Iterator[str]:
    from kelp.cli.times import format_clock  # noqa: PLC0415 - comes with the server's parsers

    for line in lines:
        first, *more = line.text.split("\n")
        yield f"        {format_clock(line.time_ns, now_ns)}  {printable(first)}"
        yield from (f"            {printable(text)}" for text in more)


def _restarts(restarts: Sequence[Restart], now_ns: int) -> Iterator[str]:
    from kelp.cli.times import format_clock  # noqa: PLC0415 - comes with the server's parsers

    for restart in restarts:
        yield f"{restart.container}#{restart.restart} at {format_clock(restart.first_ns, now_ns)}"


def _object(known: StoredKill, around: Around) -> str:
    """The kill's own fields, and beside them the names and what stands around it."""
    from kelp.cli.times import format_utc_ns  # noqa: PLC0415 - comes with the server's parsers

    def lines(found: Sequence[Line]) -> list[dict[str, str]]:
        return [{"time": format_utc_ns(line.time_ns), "text": line.text} for line in found]

    found = {
        **msgspec.to_builtins(known.kill),
        "namespace": known.namespace or None,
        "pod": known.pod or None,
        "container": known.container or None,
        "counted_only": known.counted_only,
        "lines_before": lines(around.lines),
        "restarts": [
            {"restart": r.restart, "container": r.container, "first": format_utc_ns(r.first_ns)}
            for r in around.restarts
        ],
    }
    if around.events is not None:
        found["events"] = lines(around.events)
    return msgspec.json.encode(found).decode()
