"""Answers in Loki's shapes.

Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/ and, for the third part of
values, its `X-Loki-Response-Encoding-Flags: categorize-labels`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from kelp.server.result import (
    Answer,
    Data,
    Entry,
    Matrix,
    Sample,
    Scalar,
    Series,
    Stats,
    StreamEntries,
    Streams,
    Vector,
)

Json: TypeAlias = dict[str, Any]

CATEGORIZE = "categorize-labels"


def encode_answer(answer: Answer, *, categorize: bool) -> bytes:
    """The body of `query` and `query_range`."""
    kind, result = _typed(answer.data, categorize=categorize)
    data: Json = {"resultType": kind, "result": result}
    if kind == "streams" and categorize:
        data["encodingFlags"] = [CATEGORIZE]
    data["stats"] = stats(answer.stats)
    body: Json = {"status": "success"}
    if answer.warnings:
        body["warnings"] = answer.warnings
    return msgspec.json.encode(body | {"data": data})


def encode_data(data: Any) -> bytes:
    """The body of the routes that answer a list."""
    return msgspec.json.encode({"status": "success", "data": data})


def wants_categories(flags: str | None) -> bool:
    """Whether the header asks for values in three parts."""
    return CATEGORIZE in [f.strip() for f in (flags or "").split(",")]


def _typed(data: Data, *, categorize: bool) -> tuple[str, Any]:
    if isinstance(data, Streams):
        return "streams", streams(data.streams, categorize=categorize)
    if isinstance(data, Vector):
        return "vector", [_sample(s) for s in data.samples]
    if isinstance(data, Matrix):
        return "matrix", [_series(s) for s in data.series]
    return "scalar", _point(data)


def streams(found: Iterable[StreamEntries], *, categorize: bool) -> list[Json]:
    """Streams with their values; metadata and parsed labels part of the labels, or beside."""
    if categorize:
        return [
            {"stream": s.labels, "values": [_three_parts(e) for e in s.entries]}
            for s in found
            if s.entries
        ]
    together: dict[tuple[tuple[str, str], ...], Json] = {}
    for stream in found:
        for entry in stream.entries:
            labels = stream.labels
            if entry.metadata or entry.parsed:
                labels = {**labels, **entry.metadata, **entry.parsed}
            key = tuple(sorted(labels.items()))
            one = together.setdefault(key, {"stream": dict(key), "values": []})
            one["values"].append((str(entry.timestamp), text(entry.line)))
    return list(together.values())


def _three_parts(entry: Entry) -> tuple[str, str, Json]:
    beside: Json = {}
    if entry.metadata:
        beside["structuredMetadata"] = entry.metadata
    if entry.parsed:
        beside["parsed"] = entry.parsed
    return str(entry.timestamp), text(entry.line), beside


def _sample(sample: Sample) -> Json:
    return {"metric": sample.labels, "value": [seconds(sample.timestamp), number(sample.value)]}


def _series(series: Series) -> Json:
    values = zip(series.timestamps, series.values, strict=True)
    return {"metric": series.labels, "values": [(seconds(t), number(v)) for t, v in values]}


def _point(scalar: Scalar) -> tuple[float, str]:
    return seconds(scalar.timestamp), number(scalar.value)


def text(line: bytes) -> str:
    """JSON has no bytes: what is no UTF-8 becomes U+FFFD, as in Loki."""
    return line.decode("utf-8", "replace")


def seconds(ns: int) -> float:
    """Seconds with milliseconds, whole ones without a fraction, as Prometheus writes times."""
    ms = ns // 1_000_000
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def number(value: float) -> str:
    """Go's shortest form without an exponent: strconv.FormatFloat(v, 'f', -1, 64)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    shortest = repr(float(value))
    if "e" in shortest:
        return f"{Decimal(shortest):f}"
    return shortest.removesuffix(".0")


def stats(cost: Stats) -> Json:
    """Loki's statistics; of the many numbers, those that a reader of Kelp's can use."""
    took = cost.seconds or 1e-9
    store = {
        "totalChunksRef": 0,
        "totalChunksDownloaded": 0,
        "chunksDownloadTime": 0,
        "chunk": {
            "headChunkBytes": 0,
            "headChunkLines": 0,
            "decompressedBytes": cost.bytes_read,
            "decompressedLines": cost.rows_read,
            "compressedBytes": 0,
            "totalDuplicates": 0,
        },
    }
    return {
        "summary": {
            "bytesProcessedPerSecond": int(cost.bytes_read / took),
            "linesProcessedPerSecond": int(cost.rows_read / took),
            "totalBytesProcessed": cost.bytes_read,
            "totalLinesProcessed": cost.rows_read,
            "execTime": cost.seconds,
            "queueTime": 0,
            "subqueries": 0,
            "totalEntriesReturned": cost.entries_returned,
            "splits": 0,
            "shards": 0,
        },
        "querier": {"store": store},
        "ingester": {
            "totalReached": 0,
            "totalChunksMatched": 0,
            "totalBatches": 0,
            "totalLinesSent": 0,
            "store": store,
        },
    }
