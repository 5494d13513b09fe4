"""Parsed: what the bodies of a batch say of themselves, beside the Lines that they stand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Parsed:
    """Of n records.

    `formats` has the name of each stream's format, empty for none: the stream `s` (NO_STREAM,
    STDOUT, STDERR) of instance i of the Lines has formats[i * len(STREAM_NAMES) + s]. An empty
    list: none has one. `marks` holds attributes that few rows have, as those of Lines do;
    `least_severity` is the number that a row has at least, whoever says what.
    """

    severity_number: pa.UInt8Array  # (n,)
    severity_text: pa.StringArray  # (n,)
    formats: Sequence[str] = ()
    marks: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    least_severity: Mapping[int, int] = field(default_factory=dict)
