"""What is broken, by the rules of `kelp problems`, in the kernel's log and in those of the units.

A summary for whoever opens the bundle first: each reason once a source, with how often, when first
and last, and an example. The store knows more (`kelp problems`); this is of the node alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from kelp.base.errors import KelpError
from kelp.base.problems import FINDERS, PROBLEM, Where
from kelp.base.settings import Journal
from kelp.node.bundle.commands import UNITS, journal_tail
from kelp.node.bundle.entry import Entry
from kelp.node.host.show.table import aligned
from kelp.node.oom.kmsg import records
from kelp.wire.kmsg import parse_record

_COLUMNS = ("SOURCE", "REASON", ">COUNT", "FIRST", "LAST", "EXAMPLE")
_EXAMPLE_CHARS = 300
# `Nov 21 05:12:50.938123 host kubelet[99]: what it says`
_JOURNAL_TIME_CHARS = 22


class Found(Struct):
    """One reason in one source. Times are as the source writes them."""

    source: str
    reason: str
    count: int
    first: str
    last: str
    example: str
    facts: dict[str, str]


def problem_entries(kmsg: Path, journal: Journal) -> Iterator[Entry]:
    """`problems.jsonl` and `problems.txt`."""
    yield Entry("problems.jsonl", partial(_as_json, kmsg, journal))
    yield Entry("problems.txt", partial(_as_text, kmsg, journal))


def _as_json(kmsg: Path, journal: Journal) -> bytes:
    return b"".join(msgspec.json.encode(f) + b"\n" for f in _found(kmsg, journal)[0])


def _as_text(kmsg: Path, journal: Journal) -> bytes:
    found, missing = _found(kmsg, journal)
    rows = ((f.source, f.reason, f.count, f.first, f.last, f.example) for f in found)
    lines = [*aligned(_COLUMNS, rows)] if found else ["Nothing is known to be broken."]
    lines += [f"not looked at: {m}" for m in missing]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _found(kmsg: Path, journal: Journal) -> tuple[list[Found], list[str]]:
    """What is broken, the most frequent first, and the sources that could not be read."""
    found: list[Found] = []
    missing: list[str] = []
    try:
        found += summarise("kernel", "kernel", _kernel_lines(kmsg))
    except KelpError as e:
        missing.append(str(e))
    for unit in UNITS:
        try:
            found += summarise(unit, "node", _journal_lines(journal_tail(journal, unit)))
        except KelpError as e:
            missing.append(f"{unit}: {e}")
    return sorted(found, key=lambda f: (-f.count, f.source, f.reason)), missing


def summarise(source: str, where: Where, lines: Iterable[tuple[str, bytes]]) -> list[Found]:
    """Reasons among lines, each a time and what is said."""
    found: dict[str, Found] = {}
    for time, line in lines:
        problem = FINDERS[where].of(line)
        if problem is None:
            continue
        reason = problem.attributes[PROBLEM]
        known = found.get(reason)
        if known is None:
            example = line.decode("utf-8", "backslashreplace")[:_EXAMPLE_CHARS]
            facts = {k: v for k, v in problem.attributes.items() if k != PROBLEM}
            found[reason] = Found(source, reason, 1, time, time, example, facts)
        else:
            known.count, known.last = known.count + 1, time
    return list(found.values())


def _kernel_lines(kmsg: Path) -> Iterator[tuple[str, bytes]]:
    for data in records(kmsg):
        record = parse_record(data)
        if record is not None:
            yield f"{record.stamp_us / 1e6:.6f}", record.text


def _journal_lines(data: bytes) -> Iterator[tuple[str, bytes]]:
    for line in data.splitlines():
        yield line[:_JOURNAL_TIME_CHARS].decode(errors="replace"), line.partition(b"]: ")[2] or line
