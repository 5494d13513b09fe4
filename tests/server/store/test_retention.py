from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kelp.base.settings import Retention, Settings
from kelp.base.settings import Store as StoreSettings
from kelp.model.loss import Loss
from kelp.server.store.opening import open_store
from kelp.server.store.retention import Dropped
from kelp.server.store.store import Store
from tests.server.samples import DAY_NS, NOW_NS, WEB, group, part
from tests.server.store.reading import column, scalar

AUDIT = {**WEB, "dataset": "audit"}
KUBE = {**WEB, "namespace": "kube-system"}


class Stopwatch:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ns(self) -> int:
        return NOW_NS

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Kept:
    """A store with the given retention."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.clock = Stopwatch()
        options = StoreSettings(**settings)  # type: ignore[arg-type]
        self.store = open_store(Settings(data_dir=str(directory), store=options), self.clock)

    def write(self, days_ago: int, labels: dict[str, str] = WEB, bodies: int = 1) -> None:
        self.write_all([(days_ago, labels)], bodies)

    def write_all(self, what: list[tuple[int, dict[str, str]]], bodies: int = 1) -> None:
        parts, name = [], f"{bodies}"
        for days_ago, labels in what:
            at = NOW_NS - days_ago * DAY_NS
            body = f"{labels['dataset']}/{labels['namespace']}/{days_ago}"
            parts.append(part([body.encode()] * bodies, labels, start_ns=at, observed_ns=at))
            name += body
        self.store.insert(group(name, *parts))

    def left(self) -> list[bytes]:
        return column(self.store.engine, "SELECT DISTINCT body FROM records ORDER BY body")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(
        tmp_path,
        retention_days=10,
        retention=[
            Retention(days=30, dataset="audit"),
            Retention(days=3, namespace="kube-*"),
            Retention(days=5, dataset="app", namespace="noisy"),
        ],
    )
    yield kept
    kept.store.close()


def test_an_empty_store_has_nothing_to_drop(kept: Kept) -> None:
    assert kept.store.apply_retention(NOW_NS) == Dropped()


def test_days_older_than_every_rule_are_dropped_whole(kept: Kept) -> None:
    for days in (0, 30, 31, 40):
        kept.write(days, AUDIT)
    assert kept.store.apply_retention(NOW_NS).partitions == 2
    assert kept.left() == [b"audit/shop/0", b"audit/shop/30"]


def test_the_first_rule_that_fits_counts_and_then_the_default(kept: Kept) -> None:
    kinds = [AUDIT, WEB, KUBE, {**AUDIT, "namespace": "kube-system"}, {**WEB, "namespace": "noisy"}]
    every = {3, 5, 6, 10, 29}
    kept.write_all([(0, WEB), *((days, kind) for days in every for kind in kinds)])
    kept.store.apply_retention(NOW_NS)
    left = {b.decode() for b in kept.left()}
    days_of = {
        kind: {int(b.rsplit("/", 1)[1]) for b in left if b.startswith(kind + "/")}
        for kind in ("audit/shop", "audit/kube-system", "app/shop", "app/kube-system", "app/noisy")
    }
    assert days_of == {
        "audit/shop": every,
        "audit/kube-system": every,
        "app/shop": {0, 3, 5, 6, 10},
        "app/kube-system": {3},
        "app/noisy": {3, 5},
    }


def test_a_second_pass_finds_nothing_left_to_do(kept: Kept) -> None:
    kept.write(0)
    kept.write(7, KUBE)
    assert kept.store.apply_retention(NOW_NS).rows == 1
    assert kept.store.apply_retention(NOW_NS) == Dropped()


def test_late_records_go_as_well(kept: Kept) -> None:
    kept.write(0)
    kept.write(7, KUBE)
    kept.store.apply_retention(NOW_NS)
    kept.write(7, KUBE, bodies=2)
    assert kept.store.apply_retention(NOW_NS).rows == 2


def test_a_clock_that_jumps_ahead_deletes_nothing_it_should_not(kept: Kept) -> None:
    kept.write(0)
    kept.write(8)
    assert kept.store.apply_retention(NOW_NS + 3650 * DAY_NS) == Dropped()
    assert len(kept.left()) == 2


def test_a_clock_that_stands_by_its_word_is_believed(kept: Kept) -> None:
    """A store into which nothing comes must still forget."""
    kept.write(0)
    later = NOW_NS + 50 * DAY_NS
    assert kept.store.apply_retention(later) == Dropped()
    kept.clock.seconds += 86_400
    assert kept.store.apply_retention(later).partitions == 1
    assert kept.left() == []


def test_a_clock_that_comes_back_has_to_start_anew(kept: Kept) -> None:
    kept.write(0)
    kept.store.apply_retention(NOW_NS + 50 * DAY_NS)
    kept.store.apply_retention(NOW_NS)
    kept.clock.seconds += 86_400
    assert kept.store.apply_retention(NOW_NS + 50 * DAY_NS) == Dropped()


def test_a_clock_in_the_past_deletes_nothing(kept: Kept) -> None:
    kept.write(0)
    kept.write(9)
    assert kept.store.apply_retention(0) == Dropped()


def test_streams_without_records_are_forgotten_and_come_back(kept: Kept) -> None:
    kept.write(0)
    kept.write(40, AUDIT)
    assert kept.store.apply_retention(NOW_NS).streams == 1
    assert scalar(kept.store.engine, "SELECT uniqExact(stream_id) FROM streams") == 1
    kept.write(0, AUDIT)
    assert scalar(kept.store.engine, "SELECT uniqExact(stream_id) FROM streams") == 2


def test_a_stream_of_wild_times_is_kept_while_it_has_records(kept: Kept) -> None:
    old = part([b"1970"], AUDIT, start_ns=0)
    kept.store.insert(group("g", part([b"now"]), old))
    assert kept.store.apply_retention(NOW_NS) == Dropped()
    assert kept.left() == [b"1970", b"now"]


def test_old_losses_go(kept: Kept) -> None:
    old, new = (
        Loss(labels=WEB, position=0, size_bytes=1, start_ns=t, end_ns=t, reason="deleted")
        for t in (NOW_NS - 60 * DAY_NS, NOW_NS)
    )
    kept.store.insert(group("g", part([b"now"], losses=[old, new])))
    kept.store.apply_retention(NOW_NS)
    assert scalar(kept.store.engine, "SELECT count() FROM losses") == 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path, max_bytes=60_000)
    yield kept
    kept.store.close()


def fill(store: Store, days_ago: int, kilobytes: int) -> None:
    import os

    at = NOW_NS - days_ago * DAY_NS
    bodies = [os.urandom(1000) for _ in range(kilobytes)]
    store.insert(group(f"{days_ago}", part(bodies, start_ns=at, observed_ns=at)))


def test_the_oldest_days_go_when_the_store_is_too_large(small: Kept) -> None:
    for days in (4, 3, 2, 1, 0):
        fill(small.store, days, 20)
    assert small.store.apply_retention(NOW_NS).partitions == 3
    sql = "SELECT DISTINCT toString(toDate(timestamp)) AS d FROM records ORDER BY d"
    assert column(small.store.engine, sql) == [b"2025-11-19", b"2025-11-20"]


def test_within_the_limit_nothing_goes(small: Kept) -> None:
    fill(small.store, 1, 20)
    fill(small.store, 0, 20)
    assert small.store.apply_retention(NOW_NS) == Dropped()


def test_where_one_day_alone_is_too_large_its_oldest_records_go(small: Kept) -> None:
    fill(small.store, 0, 200)
    newest = scalar(small.store.engine, "SELECT max(timestamp) FROM records")
    dropped = small.store.apply_retention(NOW_NS)
    assert 100 < dropped.rows < 180
    assert scalar(small.store.engine, "SELECT count() FROM records") == 200 - dropped.rows
    assert scalar(small.store.engine, "SELECT max(timestamp) FROM records") == newest
    sql = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'records'"
    assert scalar(small.store.engine, sql) < 60_000
