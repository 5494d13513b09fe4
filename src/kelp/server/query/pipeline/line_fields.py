"""What the line of a format holds: the one evaluator of fields.

A format is a description (kelp.base.formats), and this is what reads lines by it, one at a time: in
queries where SQL cannot, in `kelp parse`, and for Logs Drilldown. sql.format_fields says the same
in SQL, for lines that both are sure to read alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo

import numpy as np
import re2

from kelp.base.formats import Format, format_of, is_format
from kelp.base.formats.eventtime import event_time_ns
from kelp.base.formats.format import REST, Rest
from kelp.base.formats.ids import PATTERNS
from kelp.server.query.pipeline.groups import group_names, with_groups
from kelp.server.query.pipeline.hints import ALL, Hints, hints_of
from kelp.server.query.pipeline.json_parser import JsonParser
from kelp.server.query.pipeline.klog_pairs import KlogParser
from kelp.server.query.pipeline.logfmt import LogfmtParser
from kelp.server.query.pipeline.row import Row
from kelp.server.query.sql.text import to_bytes, to_text

EVENT_TIME = "event_time"
NOTHING = ("", "-")  # a field with such a value is none

IDS = {name: re2.compile(pattern.encode()) for name, pattern in PATTERNS.items()}


def format_name(labels: Mapping[str, str]) -> str | None:
    """The format of a stream's lines: empty where only ids are looked for, None where nothing is.

    Streams that Kelp's agent has collected have the label `dataset`, and `format` where their
    format is known. A pushed stream without both is Loki's, to the letter.
    """
    name = labels.get("format", "")
    if is_format(name):
        return name
    return "" if labels.get("dataset") else None


def fields_of_line(known: Format | None, line: bytes, reference_ns: int) -> dict[str, str]:
    """All fields of a line, in the order in which they are found; of no format, its ids alone.

    `reference_ns` is about when it was written: some times have no year.
    """
    return LineFields(known)(line, reference_ns)


class LineFields:
    """Reads lines of one format. `wanted` None: all fields; others are not looked for."""

    def __init__(
        self, known: Format | None, wanted: Iterable[str] | None = None, zone: tzinfo = UTC
    ) -> None:
        """`zone` is that of times which name none."""
        self._format = known
        self._zone = zone
        self._wanted = None if wanted is None else frozenset(wanted)
        self._read = None if self._wanted is None else read_names(known, self._wanted)
        hints = ALL if self._read is None else hints_of(self._read)
        self._parse = _parser(known, hints) if self._read is None or self._read else None
        self._patterns = _patterns(known, self._read)

    def __call__(self, line: bytes, reference_ns: int) -> dict[str, str]:
        """The fields of a line."""
        found = self._written(line)
        if self._format is not None:
            for name, sources in self._format.aliases.items():
                given = next((found[s] for s in sources if s in found), None)
                if name not in found and given is not None:
                    found[name] = given
        self._find_ids(found, line)
        if self._wants(EVENT_TIME) and (time := self._event_time(found, reference_ns)):
            found[EVENT_TIME] = time
        return found if self._wanted is None else {k: v for k, v in found.items() if self._wants(k)}

    def _wants(self, name: str) -> bool:
        return self._wanted is None or name in self._wanted

    def _written(self, line: bytes) -> dict[str, str]:
        """What stands in the line under names of its own."""
        found: dict[str, str] = {}
        rest: bytes | None = None if self._patterns else line
        for pattern, numbers in self._patterns:
            if match := pattern.search(line):
                rest = match.group(numbers[REST]) if REST in numbers else None
                groups = ((name, match.group(number)) for name, number in numbers.items())
                found = _filled((n, to_text(v)) for n, v in groups if v and n != REST)
                break
        if self._parse is not None and rest is not None:
            row = Row({}, {}, rest, 0)
            self._parse(row)
            found |= _filled((n, v) for n, v in row.parsed.items() if n not in found)
        return found

    def _find_ids(self, found: dict[str, str], line: bytes) -> None:
        """Ids that the format does not name. One that is written with escapes is none: whoever
        looks for an id looks for its text."""
        for name, pattern in IDS.items():
            if not self._wants(name):
                continue
            if name in found and to_bytes(found[name]) not in line:
                del found[name]
            if name not in found and (match := pattern.search(line)):
                found.update(_filled([(name, to_text(match.group(1)))]))

    def _event_time(self, found: Mapping[str, str], reference_ns: int) -> str:
        text = found.get(self._format.event_time) if self._format else None
        time_ns = event_time_ns(text, reference_ns, self._zone) if text else None
        return "" if time_ns is None else f"{np.datetime64(time_ns, 'ns')}Z"


def read_names(known: Format | None, wanted: Iterable[str]) -> frozenset[str]:
    """The names that lines have to be read for, so that all of `wanted` is known."""
    if known is None:
        return frozenset()
    names = set(wanted)
    if EVENT_TIME in names and known.event_time:
        names.add(known.event_time)
    return frozenset(names.union(*(known.aliases.get(name, ()) for name in names)) - {EVENT_TIME})


def _patterns(
    known: Format | None, names: frozenset[str] | None
) -> list[tuple[re2._Regexp[bytes], dict[str, int]]]:
    """The patterns with the groups that matter, and the groups' numbers."""
    if known is None or (names is not None and not names):
        return []
    found = []
    for pattern in known.patterns:
        wanted = group_names(pattern) if names is None else names | {REST}
        source, numbers = with_groups(pattern, wanted)
        found.append((re2.compile(source.encode()), numbers))
    return found


def _parser(known: Format | None, hints: Hints) -> JsonParser | LogfmtParser | KlogParser | None:
    if known is None or known.rest is Rest.NOTHING:
        return None
    if known.rest is Rest.JSON:
        return JsonParser(hints)
    if known.rest is Rest.KLOG:
        return KlogParser(hints)
    return LogfmtParser(hints, strict=False, keep_empty=False)


def _filled(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in pairs if value not in NOTHING}


def format_named(name: str) -> Format | None:
    """The format of this name; None for the empty one."""
    return format_of(name) if name else None
