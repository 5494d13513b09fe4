"""The problems of a batch: which rows tell of one, what is known of it, and how grave it is.

Where a row comes from decides which rules it is held against (kelp.base.problems). The kernel and
the node's services write little: all their lines are looked at. Containers write nearly all there
is, so of them only what is an error already: by its severity, as a trace of several lines, or on
stderr without a severity; and not what is of a format about traffic (access logs, flows, DNS): a
request that failed says nothing of why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import re2
from prometheus_client import Counter

from kelp.base.formats import format_of, is_format
from kelp.base.problems import DENIALS, FINDERS, PROBLEM, Finder
from kelp.model.lines import STDERR, STREAM_NAMES, Lines
from kelp.model.severity import ERROR
from kelp.model.stream import DATASET_KERNEL, DATASET_NODE, Labels

Rows = npt.NDArray[np.int64]

# Where rows come from; NOWHERE is not looked at.
Place = Literal["nowhere", "kernel", "node", "syslog", "auditd", "service", "container"]
_PLACES: tuple[Place, ...] = (
    "nowhere", "kernel", "node", "syslog", "auditd", "service", "container",
)  # fmt: skip

# Services of the node that run in containers: all that they write is looked at.
_SERVICES = frozenset({"kube-proxy", "kubelet"})
# A line of the kernel's in a file of many programs, by its tag.
_KERNEL_TAG = r" kernel(?:\[\d{0,10}\])?: "

_NEWLINE = re2.compile(rb"\n")

PROBLEMS = Counter(
    "kelp_agent_problems", "Records that tell of a problem, by its reason", ["reason"]
)


@dataclass
class Problems:
    """Row → attributes, and row → the least severity number that it has by its rule."""

    marks: dict[int, Mapping[str, str]] = field(default_factory=dict)
    severity: dict[int, int] = field(default_factory=dict)


def find_problems(
    lines: Lines, severity_number: npt.NDArray[np.uint8], formats: Sequence[str] = ()
) -> Problems:
    """What a batch tells.

    `severity_number` is (n,), as the bodies say it; `formats` are those of kelp.model.parsed. A row
    that is marked with a problem already (an OOM kill) keeps it, and is an error at least.
    """
    found = Problems()
    for place, rows in _rows_by_place(lines, severity_number, formats):
        for finder, some in _looks(lines, place, rows):
            _find(lines, finder, some, found)
    for row, marks in lines.marks.items():
        if PROBLEM in marks:
            found.marks.pop(row, None)
            found.severity[row] = max(found.severity.get(row, 0), ERROR)
    for marks in found.marks.values():
        PROBLEMS.labels(marks[PROBLEM]).inc()
    return found


def _rows_by_place(
    lines: Lines, severity_number: npt.NDArray[np.uint8], formats: Sequence[str]
) -> Iterator[tuple[Place, Rows]]:
    """The rows of each place that are looked at, in their order."""
    streams = len(STREAM_NAMES)
    of_stream = np.zeros(len(lines.instances) * streams, np.uint8)
    for i, instance in enumerate(lines.instances):
        number = _PLACES.index(_place(instance.labels))
        for stream in range(streams):
            name = formats[i * streams + stream] if formats else ""
            of_stream[i * streams + stream] = 0 if _is_about_traffic(name) else number
    places = of_stream[lines.instance.astype(np.int64) * streams + lines.stream]
    for number in np.flatnonzero(np.bincount(places)).tolist():
        place = _PLACES[number]
        if place == "container":
            yield place, _errors(lines, severity_number, places == number)
        elif place != "nowhere":
            yield place, np.flatnonzero(places == number)


def _place(labels: Labels) -> Place:
    dataset, name = labels.get("dataset"), labels.get("filename", "")
    if dataset == DATASET_KERNEL:
        return "kernel"
    if dataset == DATASET_NODE:
        return "syslog" if name else "node"
    if dataset == "audit":
        # The kernel's own; the API server's lies in folders of other names, and is JSON.
        return "auditd" if name.endswith("/audit.log") and "kube" not in name else "nowhere"
    return "service" if labels.get("container") in _SERVICES else "container"


@lru_cache(maxsize=256)
def _is_about_traffic(name: str) -> bool:
    return is_format(name) and bool(format_of(name).dataset)


def _errors(
    lines: Lines, severity_number: npt.NDArray[np.uint8], mine: npt.NDArray[np.bool_]
) -> Rows:
    """Rows that are errors, or are likely to be."""
    told = severity_number
    wanted = (told >= ERROR) | ((told == 0) & (lines.stream == STDERR))
    wanted[_of_several_lines(lines.body)] = True
    return np.flatnonzero(wanted & mine)


def _of_several_lines(body: pa.BinaryArray) -> list[int]:
    """The rows with a newline; a search for one byte is as fast as memory."""
    _, offsets, data = body.buffers()
    begins = np.frombuffer(offsets, np.int32)[body.offset :][: len(body) + 1]
    rows: list[int] = []
    if not len(body) or data is None:
        return rows
    at, end = int(begins[0]), int(begins[-1])
    while (found := _NEWLINE.search(data, at, end)) is not None:
        row = int(np.searchsorted(begins, found.start(), side="right")) - 1
        rows.append(row)
        at = int(begins[row + 1])
    return rows


def _looks(lines: Lines, place: Place, rows: Rows) -> Iterator[tuple[Finder, Rows]]:
    """Which rules the rows of a place are held against."""
    if place in ("node", "service"):
        yield FINDERS["node"], rows
    elif place == "auditd":
        yield DENIALS, rows
    elif place == "syslog":
        tagged = pc.match_substring_regex(_some(lines.body, rows), _KERNEL_TAG)
        kernels = tagged.to_numpy(zero_copy_only=False)
        yield FINDERS["kernel"], rows[kernels]
        yield FINDERS["node"], rows[~kernels]
    else:
        yield FINDERS["kernel" if place == "kernel" else "container"], rows


def _find(lines: Lines, finder: Finder, rows: Rows, found: Problems) -> None:
    for at, problem in finder.find(_some(lines.body, rows)):
        row = int(rows[at])
        found.marks[row] = problem.attributes
        found.severity[row] = problem.severity


def _some(body: pa.BinaryArray, rows: Rows) -> pa.BinaryArray:
    return body if len(rows) == len(body) else body.take(pa.array(rows))
