"""What parsers need to extract: all labels, some, or none.

A query that sums by one label needs that one alone, and Loki's parsers stop a line when they have
it. That is more than speed: a line that is broken behind the last label that was needed counts as
sound, and under `sum(…)` no line is parsed at all. Model: pkg/logql/log/parser_hints.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kelp.server.query.pipeline.names import sanitize
from kelp.server.query.pipeline.row import ERROR, EXTRACTED


@dataclass(frozen=True, slots=True)
class Hints:
    """`required` None: every label; empty: none at all."""

    required: frozenset[str] | None = None

    @property
    def preserve_error(self) -> bool:
        """Whether the query asks for parse errors, which then do not fail it."""
        return self.required is not None and ERROR in self.required

    def wants(self, name: str) -> bool:
        """Whether a label is to be extracted."""
        return self.required is None or name in self.required

    def wants_prefix(self, prefix: str) -> bool:
        """Whether a label that starts so is to be extracted."""
        return self.required is None or any(name.startswith(prefix) for name in self.required)

    def satisfied(self, extracted: set[str]) -> bool:
        """Whether nothing is left to extract."""
        return self.required is not None and self.required <= extracted


ALL = Hints()

_MAX_KNOWN = 10_000  # keys of lines are as many as their writers like


class WantedNames(dict[str, str]):
    """Keys of lines as label names; empty for a key that nobody wants.

    Made once for a query: most keys of most lines are looked up here and forgotten.
    """

    def __init__(self, hints: Hints) -> None:
        super().__init__()
        self._hints = hints

    def __missing__(self, key: str) -> str:
        name = sanitize(key)
        if not self._hints.wants(name) and not self._hints.wants(name + EXTRACTED):
            name = ""
        if len(self) < _MAX_KNOWN:
            self[key] = name
        return name


def hints_of(names: Iterable[str]) -> Hints:
    """Hints for a query that needs these labels and no others.

    Of `x_extracted` the parser may only know `x`; so both are wanted.
    """
    wanted = {name for name in names if name}
    wanted |= {n.removesuffix(EXTRACTED) for n in wanted if n.endswith(EXTRACTED)}
    return Hints(frozenset(wanted))
