"""The time range of a request: the parameters, their defaults, and what is no range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelp.server.http.endpoint import Parameter
from kelp.server.http.kinds import DURATION, TIME
from kelp.server.http.refusal import RefusalError
from kelp.server.http.times import HOUR, MAX_STEPS, default_step, format_duration

START = Parameter("start", "From here; default: one hour before `end`.", TIME)
END = Parameter("end", "Up to here; default: now.", TIME)
SINCE = Parameter("since", "Duration before `end`, in place of `start`.", DURATION)
RANGE = (START, END, SINCE)
STEP = Parameter(
    "step",
    "Duration or seconds between values; default max(1, seconds of the range / 250).",
    DURATION,
)

QUERY_REACH_NS = HOUR  # how far back queries look where nothing says how far
INDEX_REACH_NS = 6 * HOUR  # and what lists labels and streams


@dataclass(frozen=True)
class Range:
    """Both in nanoseconds; start <= end."""

    start_ns: int
    end_ns: int


def range_of(arguments: Mapping[str, Any], now_ns: int, reach_ns: int) -> Range:
    """`start` goes before `since`, as in Loki; RefusalError if it ends before that."""
    end = arguments["end"] if arguments.get("end") is not None else now_ns
    start = arguments.get("start")
    if start is None:
        since = arguments.get("since")
        start = min(end, now_ns) - (reach_ns if since is None else since)
    if end < start:
        raise RefusalError(
            400,
            "the time range ends before it starts",
            expected="end at or after start",
            got=f"end {format_duration(start - end)} before start",
        )
    return Range(start, end)


def step_of(arguments: Mapping[str, Any], asked: Range) -> int:
    """Nanoseconds; raises RefusalError where the range has more than MAX_STEPS of them."""
    step: int = arguments.get("step") or default_step(asked.start_ns, asked.end_ns)
    width = asked.end_ns - asked.start_ns
    steps = width // step
    if steps > MAX_STEPS:
        raise RefusalError(
            400,
            f"exceeded maximum resolution of {MAX_STEPS:,} points per time series",
            expected=f"a step of at least {format_duration(-(-width // MAX_STEPS))}",
            got=f"{format_duration(step)}, which makes {steps:,} steps",
            hint="increase the value of the step parameter",
        )
    return step
