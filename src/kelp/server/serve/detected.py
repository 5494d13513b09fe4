"""What labels and fields there are in what was found: names, kinds of values, how many. Pure.

Source of the order in which kinds are tried: determineType in Loki's
pkg/querier/queryrange/detected_fields.go.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from kelp.server.http.times import parse_duration

ERRORS = ("__error__", "__error_details__", "__preserve_error__")

# Loki shows these whatever their values are.
_ALWAYS = frozenset({"cluster", "namespace", "instance", "pod"})
_BYTES = re.compile(r"\d+(\.\d+)?\s*([kmgtpe]i?)?b", re.ASCII | re.IGNORECASE)
_BOOLEANS = frozenset({"t", "T", "true", "TRUE", "True", "f", "F", "false", "FALSE", "False"})

# Values of a field that are told apart; beyond it there are "at least so many".
_MAX_VALUES = 10_000


@dataclass
class Field:
    """One field: its values so far, and the parsers that gave it (none: structured metadata)."""

    kind: str = "string"
    values: dict[str, None] = field(default_factory=dict)
    parsers: list[str] = field(default_factory=list)

    def as_json(self, name: str) -> dict[str, Any]:
        """In Loki's shape."""
        return {
            "label": name,
            "type": self.kind,
            "cardinality": len(self.values),
            "parsers": self.parsers or None,
        }


class Fields:
    """Gathers fields of entries, up to `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.found: dict[str, Field] = {}

    def add(self, named: Mapping[str, str], parser: str = "") -> None:
        """The fields of one entry."""
        for name, value in named.items():
            if name in ERRORS:
                continue
            one = self.found.get(name)
            if one is None:
                if len(self.found) >= self._limit:
                    continue
                one = self.found[name] = Field(kind_of(value))
            if parser and parser not in one.parsers:
                one.parsers.append(parser)
            if len(one.values) < _MAX_VALUES:
                one.values[value] = None

    def as_json(self) -> list[dict[str, Any]]:
        """In Loki's shape, ordered by name."""
        return [one.as_json(name) for name, one in sorted(self.found.items())]


def kind_of(value: str) -> str:
    """int, float, boolean, duration, bytes or string."""
    for kind, fits in _KINDS:
        with contextlib.suppress(ValueError):
            if fits(value):
                return kind
    return "string"


def _is_int(value: str) -> bool:
    return value.isascii() and "_" not in value and abs(int(value)) < 1 << 63


def _is_float(value: str) -> bool:
    return value.isascii() and "_" not in value and float(value) is not None


def _is_duration(value: str) -> bool:
    return parse_duration(value) is not None


_KINDS = (
    ("int", _is_int),
    ("float", _is_float),
    ("boolean", _BOOLEANS.__contains__),
    ("duration", _is_duration),
    ("bytes", lambda value: bool(_BYTES.fullmatch(value))),
)


def detected_labels(series: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Labels that are worth a choice, with the number of their values: those of ids are not."""
    values: dict[str, set[str]] = {}
    for labels in series:
        for name, value in labels.items():
            values.setdefault(name, set()).add(value)
    return [
        {"label": name, "cardinality": len(found)}
        for name, found in sorted(values.items())
        if name in _ALWAYS or not _are_ids(found)
    ]


def _are_ids(values: set[str]) -> bool:
    if values <= {"0", "1"}:
        return False
    return all(_is_id(v) for v in values)


def _is_id(value: str) -> bool:
    for read in (float, UUID):
        with contextlib.suppress(ValueError):
            read(value)
            return True
    return False
