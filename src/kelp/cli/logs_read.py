"""Reading logs: a past, in total order, and what follows it, without a gap or a repeat.

The past comes in one answer, or (`--tail`, which counts per container) in one for each container,
merged. Following is a second answer that begins a little before the end of the past: what was shown
is known by its instance and position and left out. The same way back is taken when the server was
away: its answer begins where the newest shown line is less an overlap, for lines of other nodes may
have come late.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.cli.client import FOLLOW_TIMEOUT_S, AwayError, Client, Params
from kelp.cli.logs_items import ContainerKey, Item, Record, container_of, instance_of, items, order

LOGS_PATH = "/kelp/v1/logs"

# How late a line may come into the store and still be shown after the server was away.
OVERLAP_NS = 60 * 10**9
# What is remembered as shown, at the most; beyond it the overlap is shorter.
MAX_REMEMBERED = 200_000
# `--tail` asks once for each container.
MAX_TAILED_CONTAINERS = 500
TAILS_AT_ONCE = 4

RETRY_FIRST_S = 0.2
RETRY_MAX_S = 3.0


@dataclass(frozen=True)
class Plan:
    """What is to be read."""

    query: str  # LogQL
    start_ns: int | None = None
    end_ns: int | None = None
    newest: int | None = None  # so many of all together; None: every one
    tails: Sequence[tuple[ContainerKey, str]] | None = (
        None  # with --tail: a query for each container
    )
    tail: int = 0  # so many of each of `tails`
    keep: Callable[[Item], bool] = lambda item: True


class Shown:
    """What was shown of late, so that it is shown once.

    `resume_ns` is the time from which to read on; what lies before that is forgotten.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest_ns: int | None = None
        self._known: set[int] = set()
        self._recent: deque[tuple[int, int]] = deque()  # (time, key), as they were shown

    @property
    def resume_ns(self) -> int:
        """Read on from here: an overlap before the newest line, or before now."""
        now_ns = self._clock.now_ns()
        # Not the newest line alone: a node whose clock is ahead must not hide the others' lines.
        newest = now_ns if self._newest_ns is None else min(self._newest_ns, now_ns)
        oldest = self._recent[0][0] if len(self._recent) >= MAX_REMEMBERED else 0
        return max(0, oldest, newest - OVERLAP_NS)

    def add(self, item: Item) -> bool:
        """Remember that the item is shown; False where it was before."""
        stream = item.labels.get("stream", "") if isinstance(item, Record) else "loss"
        key = hash((instance_of(item), item.position, stream, item.time_ns))
        if key in self._known:
            return False
        self._known.add(key)
        self._recent.append((item.time_ns, key))
        self._newest_ns = max(self._newest_ns or 0, item.time_ns)
        before = self.resume_ns
        while self._recent[0][0] < before or len(self._recent) > MAX_REMEMBERED:
            self._known.discard(self._recent.popleft()[1])
            if not self._recent:
                break
        return True


@dataclass
class Floors:
    """From when on the lines of a container are new, where a limit left older ones out."""

    default_ns: int = 0
    of: dict[ContainerKey, int] = field(default_factory=dict)

    def is_new(self, item: Item) -> bool:
        """Whether the past did not leave this item out on purpose."""
        return item.time_ns >= self.of.get(container_of(item), self.default_ns)


class LogReader:
    """Reads a plan from a server."""

    def __init__(
        self, client: Client, clock: Clock, notify: Callable[[str], None] = lambda text: None
    ) -> None:
        """`notify` is told that the server went away, and that it is back."""
        self._client = client
        self._clock = clock
        self._notify = notify
        self.warnings: list[str] = []  # the server's, of all answers so far

    def past(self, plan: Plan, floors: Floors | None = None) -> Iterator[Item]:
        """What is stored, oldest first; `floors` is filled in when the last item was given."""
        floors = Floors() if floors is None else floors
        now_ns = self._clock.now_ns()
        if plan.tails is not None:
            yield from self._tails(plan, plan.tails, floors, now_ns)
            return
        first_ns, records = None, 0
        for item in self._answer(plan, plan.query, plan.newest):
            first_ns = item.time_ns if first_ns is None else first_ns
            records += isinstance(item, Record)
            if plan.keep(item):
                yield item
        floors.default_ns = _floor(first_ns, records, plan.newest, now_ns)

    def past_and_future(self, plan: Plan) -> Iterator[Item]:
        """The past, and then what comes; never ends, and rides over the server's restarts."""
        shown, floors = Shown(self._clock), Floors()
        for item in self.past(plan, floors):
            shown.add(item)
            yield item
        for item in self._future(plan, shown):
            if floors.is_new(item) and plan.keep(item) and shown.add(item):
                yield item

    def _tails(
        self, plan: Plan, tails: Sequence[tuple[ContainerKey, str]], floors: Floors, now_ns: int
    ) -> Iterator[Item]:
        if len(tails) > MAX_TAILED_CONTAINERS:
            raise KelpError(
                f"expected up to {MAX_TAILED_CONTAINERS} containers for --tail, which counts for "
                f"each of them; got {len(tails)}: name fewer, or use --limit, which counts for "
                "all together"
            )
        with ThreadPoolExecutor(TAILS_AT_ONCE) as pool:
            answers = list(pool.map(lambda t: [*self._answer(plan, t[1], plan.tail)], tails))
        for (key, _), found in zip(tails, answers, strict=True):
            records = sum(isinstance(item, Record) for item in found)
            first_ns = found[0].time_ns if found else None
            floors.of[key] = _floor(first_ns, records, plan.tail, now_ns)
        merged = heapq.merge(*answers, key=order)
        yield from merged if plan.newest is None else deque(merged, maxlen=plan.newest)

    def _answer(self, plan: Plan, query: str, newest: int | None) -> Iterator[Item]:
        if newest == 0:
            return
        params: dict[str, str | int] = {"query": query}
        if plan.start_ns is not None:
            params["start"] = plan.start_ns
        if plan.end_ns is not None:
            params["end"] = plan.end_ns
        if newest is not None:
            params["tail"] = newest
        yield from items(self._client.stream(LOGS_PATH, params), self.warnings)

    def _future(self, plan: Plan, shown: Shown) -> Iterator[Item]:
        """Every item from a little before the newest shown one, again and again."""
        wait = Backoff(RETRY_FIRST_S, RETRY_MAX_S)
        while True:
            try:
                start_ns = max(shown.resume_ns, plan.start_ns or 0)
                params: Params = {"query": plan.query, "start": start_ns, "follow": "true"}
                lines = self._client.stream(LOGS_PATH, params, FOLLOW_TIMEOUT_S)
                yield from items(self._alive(lines, wait), self.warnings, endless=True)
                raise AwayError("the server ended its answer")
            except AwayError as e:
                if not wait.failures:
                    self._notify(f"{e}; waiting for it")
                self._clock.sleep(wait.next_s())

    def _alive(self, lines: Iterator[bytes], wait: Backoff) -> Iterator[bytes]:
        for line in lines:
            if wait.failures:
                wait.reset()
                self._notify("the server is back")
            yield line


def _floor(first_ns: int | None, records: int, wanted: int | None, now_ns: int) -> int:
    """From when on lines are new, by the oldest of those that were wanted."""
    if wanted == 0:
        return now_ns
    return first_ns or 0 if wanted is not None and records >= wanted else 0
