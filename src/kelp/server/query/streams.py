"""A selector to streams: the one way to records, and the place where the caller's rights stand.

Every read of records names the streams that were found here, under the caller's Scope; nothing
else in this package reads `streams` or knows a tenant. A stream's labels never change for an id,
so they are remembered; which streams someone may see is asked anew each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kelp.server.ports import Scope
from kelp.server.query.derived import SERVICE_NAME, service_name_sql, with_service_name
from kelp.server.query.logql.expressions import Matcher
from kelp.server.query.run import Run
from kelp.server.query.sql.matchers import matcher_condition
from kelp.server.query.sql.text import all_of, any_of, string, timestamp, to_text

_REMEMBERED = 200_000  # label sets; some 100 MB at the very most
_LISTED = 2000  # ids that stand in a query's text, which the engine bounds at 256 KiB


@dataclass(frozen=True, slots=True)
class Selected:
    """Streams with their labels, and the time that their records lie within (both inclusive)."""

    labels: dict[int, dict[str, str]]
    first_ns: int = 0
    last_ns: int = 0
    where: str = "0"  # the condition over `streams` that found them

    def condition(self) -> str:
        """SQL over `records` that holds for the records of these streams."""
        if len(self.labels) > _LISTED:
            return f"stream_id IN (SELECT stream_id FROM streams WHERE {self.where})"
        return stream_condition(self.labels)


def stream_condition(ids: Iterable[int]) -> str:
    """SQL over `records` that holds for the records of the streams with these ids."""
    listed = sorted(ids)
    if len(listed) == 1:
        return f"stream_id = {listed[0]}"
    return f"stream_id IN ({', '.join(map(str, listed))})" if listed else "0"


class StreamResolver:
    """Finds streams by matchers. Safe to use from several threads at once."""

    def __init__(self, *, derive_service_name: bool) -> None:
        self.derives_service_name = self._derive = derive_service_name
        self._known: OrderedDict[int, dict[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def select(
        self, run: Run, scope: Scope, matchers: Sequence[Matcher], start_ns: int, end_ns: int
    ) -> Selected:
        """The streams that match all matchers and may have records in [start, end]."""
        return self.select_any(run, scope, [matchers], start_ns, end_ns)

    def select_any(
        self,
        run: Run,
        scope: Scope,
        choices: Sequence[Sequence[Matcher]],
        start_ns: int,
        end_ns: int,
    ) -> Selected:
        """The streams that match all matchers of at least one choice."""
        where = self.where(scope, choices, start_ns, end_ns)
        sql = (
            "SELECT stream_id AS id, toUnixTimestamp64Nano(min(first_timestamp)) AS first, "
            "toUnixTimestamp64Nano(max(last_timestamp)) AS last "
            f"FROM streams WHERE {where} GROUP BY stream_id"
        )
        found = run.ask(sql)
        if not found.num_rows:
            return Selected({})
        ids = found.column("id").to_pylist()
        labels = self._labels(run, where, ids)
        first, last = min(found.column("first").to_pylist()), max(found.column("last").to_pylist())
        return Selected({i: labels[i] for i in ids if i in labels}, first, last, where)

    def where(
        self, scope: Scope, choices: Sequence[Sequence[Matcher]], start_ns: int, end_ns: int
    ) -> str:
        """The condition over `streams` behind select_any; it holds the caller's rights."""
        chosen = any_of(all_of(map(self._condition, matchers)) for matchers in choices)
        return all_of([
            f"tenant = {string(scope.tenant)}",
            scope.condition,
            f"last_timestamp >= {timestamp(start_ns)}",
            f"first_timestamp <= {timestamp(end_ns)}",
            chosen,
        ])  # fmt: skip

    def label_sql(self, name: str) -> str:
        """A stream label as an expression over `streams`; empty where there is none."""
        if name == SERVICE_NAME and self._derive:
            return service_name_sql("labels")
        return f"labels[{string(name)}]"

    def _condition(self, matcher: Matcher) -> str:
        return matcher_condition(matcher, self.label_sql(matcher.name))

    def _labels(self, run: Run, where: str, ids: list[int]) -> dict[int, dict[str, str]]:
        with self._lock:
            found = {i: self._known[i] for i in ids if i in self._known}
            for i in found:
                self._known.move_to_end(i)
        missing = [i for i in ids if i not in found]
        if missing:
            fetched = self._fetch(run, where, missing)
            found |= fetched
            self._remember(fetched)
        return found

    def _remember(self, fetched: dict[int, dict[str, str]]) -> None:
        with self._lock:
            self._known |= fetched
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _fetch(self, run: Run, where: str, ids: list[int]) -> dict[int, dict[str, str]]:
        listed = stream_condition(ids) if len(ids) <= _LISTED else "1"
        sql = (
            "SELECT stream_id AS id, any(labels) AS of_stream FROM streams "
            f"WHERE {where} AND {listed} GROUP BY stream_id"
        )
        table = run.ask(sql)
        labels = map(text_map, table.column("of_stream"))
        if self._derive:
            labels = map(with_service_name, labels)
        return dict(zip(table.column("id").to_pylist(), labels, strict=True))


def text_map(value: pa.Scalar) -> dict[str, str]:
    """A map of the engine as text, ordered by name."""
    return {to_text(k): to_text(v) for k, v in sorted(value.as_py() or ())}
