"""What a format is: how to know its lines, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import re2

# The group of a pattern whose text is parsed further, as `Format.rest` says. It is no field.
REST = "rest"


class Rest(Enum):
    """What the rest of a line is: what `| json` and `| logfmt` of LogQL read, or klog's pairs."""

    NOTHING = ""
    JSON = "json"
    LOGFMT = "logfmt"
    KLOG = "klog"


@dataclass(frozen=True, kw_only=True)
class Format:
    """One program's, or one library's, manner to write a line.

    A line's fields are the named groups of the first pattern that matches it and, where `rest` says
    so, those of its rest: of the group `rest`, or of the whole line where there is no pattern.
    Fields that are empty or a lone dash (the field's mark for "nothing") are left out. Names of
    nested JSON are joined by an underscore, as by LogQL's `| json`.
    """

    name: str
    """The value of the label `format`, and of `kelp parse --as`: lower case and dashes."""
    title: str
    """Whose lines these are, in a few words."""
    source: str
    """URL of the format's description."""
    dataset: str = ""
    """The dataset of its streams; empty: that of their source."""
    patterns: Sequence[str] = ()
    """RE2, each for a whole line (`^…$` is put around it; a point matches no line break). Simple
    ones: they run in this process and in ClickHouse, over every line that is asked for."""
    begins: str = ""
    """The characters that a line may begin with, where there are patterns; empty: any."""
    rest: Rest = Rest.NOTHING
    keys: Sequence[Sequence[str]] = ()
    """How lines of JSON or logfmt are known: one of these groups of keys, all of it present. A
    nested key is written with points (`flow.verdict`)."""
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Field → the fields whose first that is there gives its value, where it is not there itself:
    one name for what every library calls by another."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Field → what it is, with its unit; those of patterns and aliases, all of them."""
    event_time: str = ""
    """The field that says when it happened, by the program's own clock; empty: none does."""
    examples: Sequence[bytes] = ()
    """Lines that are of this format and of no other; shown in the reference and tested."""

    @cached_property
    def compiled(self) -> tuple[re2._Regexp[bytes], ...]:
        """The patterns for whole lines, as bytes: a line need not be UTF-8."""
        return tuple(re2.compile(f"^(?:{p})$".encode(), _OPTIONS) for p in self.patterns)

    @cached_property
    def _first(self) -> frozenset[bytes]:
        return frozenset(c.encode() for c in self.begins)

    def matches(self, line: bytes) -> bool:
        """Whether one of the patterns matches."""
        if self.begins and line[:1] not in self._first:
            return False
        return any(p.search(line) is not None for p in self.compiled)


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


_OPTIONS = _options()
