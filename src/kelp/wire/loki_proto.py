"""Loki's push in protobuf, compressed with snappy's block format.

Format: https://github.com/grafana/loki/blob/main/pkg/push/push.proto. The messages are declared
here rather than generated: there are four of them, and lines are declared as bytes, for a line that
is no UTF-8 must not cost its whole push.
"""

from __future__ import annotations

import re
from typing import Any

import cramjam
import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from kelp.wire.pushed import (
    Metadata,
    Pushed,
    PushedRows,
    PushError,
    metadata_name,
    why_refused,
    without_repeats,
)

_Field = descriptor_pb2.FieldDescriptorProto
_MAX_INT64 = (1 << 63) - 1


def _message_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="kelp/loki_push.proto", package="kelp.loki", syntax="proto3"
    )
    shapes = {
        "Timestamp": [("seconds", 1, _Field.TYPE_INT64, ""), ("nanos", 2, _Field.TYPE_INT32, "")],
        "Pair": [("name", 1, _Field.TYPE_BYTES, ""), ("value", 2, _Field.TYPE_BYTES, "")],
        "Entry": [
            ("timestamp", 1, _Field.TYPE_MESSAGE, "Timestamp"),
            ("line", 2, _Field.TYPE_BYTES, ""),
            ("metadata", 3, _Field.TYPE_MESSAGE, "*Pair"),
        ],
        "Stream": [
            ("labels", 1, _Field.TYPE_BYTES, ""),
            ("entries", 2, _Field.TYPE_MESSAGE, "*Entry"),
        ],
        "Push": [("streams", 1, _Field.TYPE_MESSAGE, "*Stream")],
    }
    for name, fields in shapes.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = _Field.LABEL_REPEATED if of.startswith("*") else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if of:
                added.type_name = f".kelp.loki.{of.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kelp.loki.Push"))


_Push = _message_class()


def decode_snappy(data: bytes, max_bytes: int) -> Pushed:
    """Rows of a compressed push; raises PushError, also where more than `max_bytes` come out."""
    try:
        size = cramjam.snappy.decompress_raw_len(data)
        if size > max_bytes:
            raise PushError(f"expected at most {max_bytes} bytes after decompression; got {size}")
        plain = bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as e:
        raise PushError(
            f"expected a PushRequest in snappy's block format; got {len(data)} bytes that are "
            "none, or not all of it (the framed format of files will not do)"
        ) from e
    return decode(plain)


def decode(data: bytes) -> Pushed:
    """Rows of a push; raises PushError where the whole of it cannot be read."""
    push = _Push()
    try:
        push.ParseFromString(data)
    except DecodeError as e:
        raise PushError(
            f"expected a PushRequest in protobuf; got {len(data)} bytes that are none: compare "
            "the sender with Loki's push.proto, or send JSON as application/json"
        ) from e
    pushed = Pushed([])
    for stream in push.streams:
        if not stream.entries:
            continue
        text = _text(stream.labels)
        try:
            labels = parse_labels(text)
        except ValueError as e:
            pushed.rejected.append(f"{e}; got {text[:80]!r}")
            continue
        if why := why_refused(labels):
            pushed.rejected.append(why)
        else:
            pushed.rows.append(_rows(labels, stream.entries))
    return pushed


def _rows(labels: dict[str, str], entries: Any) -> PushedRows:
    stamps = [e.timestamp for e in entries]
    times = [t.seconds * 1_000_000_000 + t.nanos for t in stamps]
    if any(not -_MAX_INT64 <= t <= _MAX_INT64 for t in times):
        raise PushError("expected timestamps between the years 1677 and 2262; got others")
    metadata: list[Metadata | None] = []
    if any(e.metadata for e in entries):
        metadata = [_metadata(e.metadata) for e in entries]
    lines = pa.array([e.line for e in entries], pa.binary())
    return without_repeats(PushedRows(labels, np.array(times, np.int64), lines, metadata))


def _metadata(pairs: Any) -> Metadata | None:
    return {metadata_name(_text(p.name)): _text(p.value) for p in pairs} or None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# A label set as Prometheus writes it, with values in Go's double quotes.
_PAIR = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,|$)', re.ASCII)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))"
)
_PLAIN = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))


def parse_labels(text: str) -> dict[str, str]:
    """`{a="b", c="d"}` as a mapping; raises ValueError.

    Source: https://go.dev/ref/spec#String_literals for what stands between the quotes.
    """
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise ValueError('expected labels like {name="value"}')
    inner, at = inner[1:-1].strip(), 0
    labels: dict[str, str] = {}
    while at < len(inner):
        match = _PAIR.match(inner, at)
        if not match:
            raise ValueError('expected labels like {name="value"}')
        labels[match[1]] = _unquoted(match[2])
        at = match.end()
    return labels


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_character, text).encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _character(match: re.Match[str]) -> str:
    plain, byte, short, long, octal = match.groups()
    if plain:
        return _PLAIN[plain]
    number = int(octal, 8) if octal else int(byte or short or long, 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"
