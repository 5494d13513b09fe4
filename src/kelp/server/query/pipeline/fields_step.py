"""The stage `fields`: a row's line read by the format that its stream has.

It is a parser as Loki's are: stream labels and structured metadata go before what it finds, which
then is called `name_extracted`. It knows no errors: a line that is not as its format has it gives
fewer fields, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kelp.server.query.logql.expressions import Fields
from kelp.server.query.pipeline.hints import Hints
from kelp.server.query.pipeline.line_fields import LineFields, format_name, format_named
from kelp.server.query.pipeline.row import EXTRACTED, Row


class FieldsStep:
    """See compile.Step."""

    def __init__(self, stage: Fields, hints: Hints) -> None:
        self._hints = hints
        self._exact = frozenset(stage.names) if stage.implied else None
        self._wanted = _wanted(stage, hints)
        self._readers: dict[str, LineFields] = {}

    def __call__(self, row: Row) -> bool:
        """Nothing is dropped."""
        reader = self._reader(row.base)
        if reader is None:
            return True
        for name, value in reader(row.line, row.timestamp).items():
            label = name + EXTRACTED if row.taken(name) else name
            if self._wants(label) and label not in row.extracted:
                row.set_parsed(label, value)
        return True

    def _wants(self, label: str) -> bool:
        if self._exact is not None and label not in self._exact:
            return False
        return self._hints.wants(label)

    def _reader(self, labels: Mapping[str, str]) -> LineFields | None:
        name = format_name(labels)
        if name is None:
            return None
        found = self._readers.get(name)
        if found is None:
            found = self._readers[name] = LineFields(format_named(name), self._wanted)
        return found


def _wanted(stage: Fields, hints: Hints) -> frozenset[str] | None:
    """The fields to look for; None: all."""
    named = plain_names(stage.names) if stage.names else None
    if hints.required is None:
        return named
    needed = plain_names(hints.required)
    return needed if named is None else needed & named


def plain_names(labels: Iterable[str]) -> frozenset[str]:
    """Labels as the fields that they may come from."""
    return frozenset(label.removesuffix(EXTRACTED) for label in labels)
