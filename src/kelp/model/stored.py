"""What a store knows of the logs of container instances: which files they came from, and how far.

`kelp trace` puts it beside what the node has. A position leads to a file as said in
`kelp.model.loss.SourceFile`; (stream_id, position) names a record for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kelp.model.loss import Loss

# What tells one run of a container from all others; the rest of a stream's labels may differ from
# line to line (`stream`) or come later than the first line (`format`, and the dataset with it).
_OF_CONTAINER = ("cluster", "node", "namespace", "pod", "pod_uid", "container", "restart")
_OF_NODE = ("cluster", "node", "filename", "unit", "boot_id")
_OF_LINES = frozenset({"stream", "format", "dataset", "detected_level", "service_name"})


def instance_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those labels that name the instance that a stream or a file belongs to."""
    if labels.get("pod"):
        return {n: labels[n] for n in _OF_CONTAINER if labels.get(n)}
    of_node = {n: labels[n] for n in _OF_NODE if labels.get(n)}
    if "filename" in of_node or "unit" in of_node or "boot_id" in of_node:
        return of_node
    return {n: v for n, v in sorted(labels.items()) if v and n not in _OF_LINES}


class StoredStream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of an instance; positions are those of its first and last record."""

    stream_id: str  # decimal: many readers of JSON lose digits of 64-bit numbers
    labels: dict[str, str]
    records: int
    first_position: int
    last_position: int


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that an agent read, and how many records of it are stored."""

    agent_id: str
    path: str  # when the agent last said so: a rotation may have come after
    device: int
    inode: int
    fingerprint: str  # as in SourceFile
    fingerprint_bytes: int
    base: int
    size: int
    records: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """More bytes between two neighbouring records than the first of them can have taken."""

    after: int  # position of the record before
    until: int  # position of the record behind


class StoredInstance(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run of one container, or of one file of the node."""

    labels: dict[str, str]
    streams: list[StoredStream] = []
    files: list[StoredFile] = []  # by base
    losses: list[Loss] = []  # by position
    gaps: list[Gap] = []  # by position; at most MAX_GAPS, the widest
    gaps_searched: bool = True  # False: there are too many records to look for gaps among them

    @property
    def records(self) -> int:
        """Of all streams."""
        return sum(s.records for s in self.streams)


MAX_GAPS = 100


class StoredInstances(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /kelp/v1/trace."""

    instances: list[StoredInstance] = []
    more: bool = False  # there are more than were asked for
