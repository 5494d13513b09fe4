"""An entry with the labels of its stream, as it passes from part to part."""

from __future__ import annotations

from typing import NamedTuple

from kelp.server.result import Entry


class LabelledEntry(NamedTuple):
    """`labels` are the stream's, without metadata and parsed labels."""

    labels: dict[str, str]
    entry: Entry
