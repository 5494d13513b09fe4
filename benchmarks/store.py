"""Measure the store by itself: inbox, inserts, merges, disk, and its queries without HTTP.

    python benchmarks/store.py CORPUS [--segments DIR] [--final]

CORPUS as for run.py; the agent turns it into segments first, which --segments keeps for the next
run. --final adds one merge of everything into one part, which a running server never makes. A query
is printed twice: `first` is asked with the engine's caches of conditions off, `warm` as users ask.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import agent
from kelp.base.settings import Settings
from kelp.server.ports import Dialect
from kelp.server.receive.inbox import Inbox
from kelp.server.store.opening import open_store
from kelp.server.store.store import Store
from server import disk_bytes, some_needle
from table import Row, markdown
from yardstick import cpu_seconds, zstd_seconds

_NEWEST = "SELECT timestamp, position, stream_id, body, attributes FROM records"
_LATEST = "ORDER BY timestamp DESC, position DESC LIMIT 100"
_NO_CACHE = {"use_query_condition_cache": 0}


def store_all(store: Store, segments: list[Path], work: Path, zu: float) -> Iterator[Row]:
    """From the bytes of the segments to merged parts."""
    inbox = Inbox(work / "inbox", store.insert)
    start, began = cpu_seconds(), time.monotonic()
    for path in segments:
        inbox.accept("", path.read_bytes())
    yield Row("acknowledged", time.monotonic() - began, "s")
    inbox.flush(300)
    yield Row("searchable", time.monotonic() - began, "s")
    wait_for_merges(store)
    yield Row("receive and store, merges included: CPU", (cpu_seconds() - start) / zu, "zu", 6)
    yield Row("on disk, all indexes included", disk_bytes(work / "store") / 1e6, "MB", 110)
    inbox.close()


def wait_for_merges(store: Store) -> None:
    """Until there has been none for two seconds."""
    quiet = time.monotonic()
    while time.monotonic() - quiet < 2:
        merges = store.engine.query("SELECT count() AS n FROM system.merges").column("n")[0].as_py()
        quiet = time.monotonic() if merges else quiet
        time.sleep(0.2)


def queries(dialect: Dialect, needle: str) -> list[tuple[str, float, str]]:
    """The query table of the design, as SQL."""
    has = dialect.contains
    pods = "stream_id IN (SELECT stream_id FROM streams WHERE {} GROUP BY stream_id)"
    web = pods.format("startsWith(labels['pod'], 'web')")
    payments = pods.format("labels['namespace'] = 'payments'")
    regexp = f"{has('body', b'latency=8')} AND match(body, 'latency=8[0-9][0-9]ms')"
    # A JSON string of the value `error` stands so in the text, or is written with \u.
    may_be_error = "multiSearchAny(body, ['\"error\"', '\\\\u'])"
    level = "JSONExtractString(body, 'level')"
    denied = b"permission denied"
    count = "SELECT count() FROM records WHERE"
    return [
        ("count lines with one 32-hex id", 50, f"{count} {has('body', needle.encode())}"),
        ("count lines with `permission denied`", 150, f"{count} {has('body', denied)}"),
        ("count lines matching `latency=8[0-9][0-9]ms`", 200, f"{count} {regexp}"),
        (
            "count a minute over all",
            30,
            "SELECT toStartOfMinute(timestamp) AS t, count() FROM records GROUP BY t ORDER BY t",
        ),
        ("newest 100 with `retry`", 50, f"{_NEWEST} WHERE {has('body', b'retry')} {_LATEST}"),
        ("newest 100 of a namespace", 30, f"{_NEWEST} WHERE {payments} {_LATEST}"),
        ("newest 100 of all", 30, f"{_NEWEST} {_LATEST}"),
        (
            "json, level=error, by level, pods web.*",
            100,
            f"SELECT {level} AS l, count() FROM records "
            f"WHERE {web} AND {may_be_error} AND {level} = 'error' GROUP BY l",
        ),
    ]  # fmt: skip


def ask(store: Store, sql: str, settings: dict[str, int]) -> float:
    """Milliseconds, the best of three."""
    best = math.inf
    for _ in range(3):
        start = time.monotonic()
        store.engine.query(sql, settings=settings)
        best = min(best, time.monotonic() - start)
    return best * 1000


def measure(corpus: Path, segments: Path, work: Path, final: bool) -> str:
    """All tables, as Markdown."""
    if not segments.exists():
        agent.bulk(corpus, work / "agent", segments)
    zu = zstd_seconds(sorted(corpus.rglob("*.log")))
    store = open_store(Settings(data_dir=str(work)))
    rows = list(store_all(store, sorted(segments.iterdir()), work, zu))
    if final:
        start = cpu_seconds()
        store.engine.query("OPTIMIZE TABLE records FINAL")
        rows.append(
            Row("one merge of everything, in addition: CPU", (cpu_seconds() - start) / zu, "zu")
        )
    asked = []
    for name, target, sql in queries(store.dialect, some_needle(corpus)):
        asked.append(Row(f"{name}: first", ask(store, sql, _NO_CACHE), "ms"))
        asked.append(Row(f"{name}: warm", ask(store, sql, {}), "ms", target))
    store.close()
    head = f"One zu was {zu:.2f} CPU seconds.\n"
    return "\n".join([head, markdown("Store", rows), markdown("Queries in the engine", asked)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--segments", type=Path, help="kept here, and taken from here if it exists")
    parser.add_argument("--final", action="store_true", help="merge everything into one part")
    a = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="kelp-bench-"))
    try:
        print(measure(a.corpus, a.segments or work / "segments", work, a.final))
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
