"""The stages `json`, `json name="path"` and `unpack`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kelp.server.query.logql.expressions import Extraction
from kelp.server.query.pipeline import json_scan as scan
from kelp.server.query.pipeline.hints import Hints, WantedNames
from kelp.server.query.pipeline.json_path import Path, find
from kelp.server.query.pipeline.names import join, printable, sanitize
from kelp.server.query.pipeline.row import EXTRACTED, PRESERVE_ERROR, Row
from kelp.server.query.sql.text import to_bytes, to_text

ERROR = "JSONParserErr"
NOT_AN_OBJECT = "expecting json object(6), but it is not"
PACKED_ENTRY = "_entry"


class _Done(Exception):  # noqa: N818 - no error: everything that was wanted has been found
    pass


def note_error(row: Row, hints: Hints, error: str, details: str) -> None:
    """A parser's error; where the query asks for errors, marked as wanted."""
    row.error = error
    if details:
        row.details = str(details)
    if hints.preserve_error:
        row.set_parsed(PRESERVE_ERROR, "true")


class JsonParser:
    """`json`: every scalar field becomes a label, nested names joined by underscores."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._names = WantedNames(hints)

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        if self._hints.satisfied(row.extracted):
            return True
        pairs = scan.sound_object(row.line)
        try:
            self._object(row, iter(pairs) if pairs is not None else _each(row.line), "", 0)
        except _Done:
            pass
        except scan.JsonError as e:
            note_error(row, self._hints, ERROR, str(e))
        return True

    def _object(self, row: Row, pairs: Iterator[tuple[str, Any]], prefix: str, depth: int) -> None:
        for key, value in pairs:
            if isinstance(value, (scan.Pairs, scan.Raw)):
                self._nested(row, key, value, prefix, depth)
            elif value is not None and not isinstance(value, list):
                self._scalar(row, key, value, prefix, depth)
                if self._hints.satisfied(row.extracted):
                    raise _Done
            elif self._hints.required is not None and self._hints.satisfied(row.extracted):
                raise _Done

    def _nested(self, row: Row, key: str, value: Any, prefix: str, depth: int) -> None:
        if isinstance(value, scan.Raw) and value[0] == "[":
            return
        name = join(prefix, key)
        if depth < scan.MAX_DEPTH and self._hints.wants_prefix(name):
            pairs = scan.each_pair(value) if isinstance(value, scan.Raw) else iter(value)
            self._object(row, pairs, name, depth + 1)

    def _scalar(self, row: Row, key: str, value: Any, prefix: str, depth: int) -> None:
        name = join(prefix, key) if depth else self._names[key]
        if not name and not depth:
            return
        if row.taken(name):
            name = join(prefix, key + EXTRACTED) if depth else name + EXTRACTED
        if self._hints.wants(name) and name not in row.extracted:
            row.set_parsed(name, _text(value))


def _each(line: bytes) -> Iterator[tuple[str, Any]]:
    return scan.each_pair(to_text(line))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return printable(str(value))  # a plain str, for encoders take no others


class JsonPathParser:
    """`json name="path", …`: the named fields alone; one that is not there is empty."""

    def __init__(self, extractions: list[tuple[Extraction, Path]], hints: Hints) -> None:
        self._extractions = extractions
        self._hints = hints

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        if not row.line or self._hints.satisfied(row.extracted):
            return True
        if row.line[:1] not in (b'"', b"{", b"["):
            note_error(row, self._hints, ERROR, "")
            return True
        text = to_text(row.line)
        found = 0
        for extraction, path in self._extractions:
            try:
                value = find(text, path)
            except scan.JsonError as e:
                note_error(row, self._hints, ERROR, str(e))
                continue
            if value is not None:
                found += 1
                name = (
                    extraction.name + EXTRACTED if row.taken(extraction.name) else extraction.name
                )
                row.set_parsed(name, value)
        if found < len(self._extractions):
            for extraction, _ in self._extractions:
                if row.get(extraction.name) is None:
                    row.set_parsed(extraction.name, "")
        return True


class UnpackParser:
    """`unpack`: a line that an agent packed, its labels and the line proper under `_entry`."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        if not row.line or self._hints.satisfied(row.extracted):
            return True
        if row.line[:1] != b"{":
            note_error(row, self._hints, ERROR, NOT_AN_OBJECT)
            return True
        try:
            self._unpack(row)
        except scan.JsonError as e:
            note_error(row, self._hints, ERROR, str(e))
        return True

    def _unpack(self, row: Row) -> None:
        entry: str | None = None
        labels: list[tuple[str, str]] = []
        for key, value in _each(row.line):
            if isinstance(value, scan.Number | scan.Raw | bool) or value is None:
                continue
            if key == PACKED_ENTRY:
                entry = value
                continue
            name = key + EXTRACTED if row.taken(key) else key
            if self._hints.wants(name) and name not in row.extracted:
                labels.append((sanitize(name), printable(value)))
        if entry is None:
            return
        row.line = to_bytes(entry)
        for name, value in labels:
            row.set_parsed(name, value)
