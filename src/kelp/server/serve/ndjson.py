"""The lines of `/kelp/v1/logs`: records, losses, and how the answer ends. Pure.

Shapes: docs/reference/http-api.md. Labels repeat from line to line, so each set is encoded once.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kelp.model.loss import Loss
from kelp.server.http.refusal import RefusalError
from kelp.server.result import Entry

LEVEL = "detected_level"

_encode = msgspec.json.Encoder().encode
_REMEMBERED = 1000


class LineEncoder:
    """Encodes records; remembers the labels of the streams that it has seen."""

    def __init__(self) -> None:
        self._labels: dict[tuple[tuple[str, str], ...], msgspec.Raw] = {}

    def record(self, labels: Mapping[str, str], entry: Entry) -> bytes:
        """One line without its newline."""
        fields: dict[str, Any] = {
            "timestamp": str(entry.timestamp),
            "position": entry.position,
            "labels": self._encoded(labels),
        }
        if entry.stream_id:
            # As text: 64 bits are more than a JSON number keeps in many readers.
            fields["stream_id"] = str(entry.stream_id)
        try:
            fields["line"] = entry.line.decode()
        except UnicodeDecodeError:
            fields["line"] = entry.line.decode("utf-8", "replace")
            fields["line_base64"] = base64.b64encode(entry.line).decode()
        metadata = entry.metadata
        if LEVEL in metadata:
            metadata = {k: v for k, v in metadata.items() if k != LEVEL}
        if metadata:
            fields["metadata"] = metadata
        if entry.parsed:
            fields["parsed"] = entry.parsed
        fields["severity"] = entry.metadata.get(LEVEL) or labels.get(LEVEL) or "unknown"
        return _encode({"record": fields})

    def _encoded(self, labels: Mapping[str, str]) -> msgspec.Raw:
        key = tuple(labels.items())
        found = self._labels.get(key)
        if found is None:
            if len(self._labels) >= _REMEMBERED:
                self._labels.clear()
            found = self._labels[key] = msgspec.Raw(_encode(labels))
        return found


def loss_line(loss: Loss) -> bytes:
    """One line without its newline."""
    return _encode(
        {
            "loss": {
                "labels": loss.labels,
                "position": loss.position,
                "size_bytes": loss.size_bytes,
                "start": str(loss.start_ns),
                "end": str(loss.end_ns),
                "reason": loss.reason,
            }
        }
    )


def end_line(records: int, warnings: Iterable[str]) -> bytes:
    """The last line of an answer that is whole."""
    return _encode({"end": {"records": records, "warnings": list(warnings)}})


def error_line(refusal: RefusalError) -> bytes:
    """The last line of an answer that broke off."""
    return _encode({"error": refusal.as_object()})


class Losses:
    """Losses, given out where they fall between records."""

    def __init__(self, losses: Iterable[Loss], *, backward: bool) -> None:
        self._backward = backward
        self._left = sorted(
            losses,
            key=lambda x: (x.start_ns, x.position) if backward else (x.end_ns, x.position),
            reverse=backward,
        )

    def before(self, labels: Mapping[str, str], entry: Entry) -> Iterator[Loss]:
        """Those that stand before this record and were not given out yet."""
        if not self._left:
            return
        due = [x for x in self._left if self._is_due(x, labels, entry)]
        if due:
            self._left = [x for x in self._left if not any(x is d for d in due)]
            yield from due

    def rest(self) -> Iterator[Loss]:
        """Those that stand after the last record."""
        left, self._left = self._left, []
        yield from left

    def _is_due(self, loss: Loss, labels: Mapping[str, str], entry: Entry) -> bool:
        # Positions decide within an instance, for timestamps of two streams may cross; times
        # decide everywhere else.
        if _same_instance(loss.labels, labels):
            if self._backward:
                return entry.position < loss.position
            return entry.position >= loss.position
        if self._backward:
            return entry.timestamp <= loss.start_ns
        return entry.timestamp >= loss.end_ns


def _same_instance(instance: Mapping[str, str], stream: Mapping[str, str]) -> bool:
    return all(stream.get(name) == value for name, value in instance.items())
