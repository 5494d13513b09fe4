"""Lines longer than a share, and longer than a record may be."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from tests.agent.collect.harness import Pipeline
from tests.kubelet import ContainerLog, Kubelet

MIB = 1 << 20


@pytest.fixture
def app(kubelet: Kubelet) -> Iterator[ContainerLog]:
    app = kubelet.start()
    yield app
    app.close()


def long_line(size: int) -> bytes:
    head = b"2026-11-18T00:00:00.000000000Z stdout F "
    return head + b"x" * (size - len(head))


def test_a_line_of_10_mib_passes_whole(app: ContainerLog, kubelet: Kubelet) -> None:
    app.lines(2)
    app.write(long_line(10 * MIB) + b"\n")
    app.lines(2)
    pipeline = Pipeline(kubelet.root, max_read_bytes=MIB)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    pipeline.collector.close()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("over", [-1, 0, 1, 5 * MIB])
def test_a_line_beyond_the_limit_is_cut_and_the_rest_counted(
    app: ContainerLog, kubelet: Kubelet, over: int, packed: bool
) -> None:
    limit = 2 * MIB
    app.lines(2)
    before = bytes(app.written)
    line = long_line(limit + over)
    app.write(line + b"\n")
    app.lines(1)
    after = bytes(app.written[len(before) + len(line) + 1 :])
    rotated = app.rotate("20261118-000001")
    if packed:
        app.compress(rotated)
    pipeline = Pipeline(kubelet.root, max_read_bytes=MIB, max_record_bytes=limit)
    cut = pipeline.run_pieces()
    pipeline.commit()  # positions are checked to count the bytes that were cut
    kept = line[:limit] if over > 0 else line + b"\n"
    assert before + kept + after == pipeline.data()
    assert [over] * (over > 0) == [c for c in cut if c]
    pipeline.collector.close()


@pytest.mark.parametrize("deleted", [False, True])
def test_a_line_without_end_waits_until_the_file_is_over(
    app: ContainerLog, kubelet: Kubelet, deleted: bool
) -> None:
    limit = MIB
    pipeline = Pipeline(kubelet.root, max_record_bytes=limit)
    for _ in range(5):
        app.write(b"y" * MIB)
        assert pipeline.settle() == 0
    if deleted:
        kubelet.remove_pod()
    else:
        app.rotate("20261118-000001")
        app.lines(1)
    cut = pipeline.run_pieces()
    pipeline.commit()
    assert [c for c in cut if c] == [4 * MIB]
    assert b"y" * limit == pipeline.data()[:limit]
    pipeline.collector.close()


def test_memory_stays_bounded_while_a_line_grows(app: ContainerLog, kubelet: Kubelet) -> None:
    pipeline = Pipeline(kubelet.root, max_read_bytes=MIB, max_record_bytes=2 * MIB)
    for _ in range(40):
        app.write(b"y" * MIB)
    tracemalloc.start()
    pipeline.settle()
    app.write(b"\n")
    cut = pipeline.run_pieces()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [c for c in cut if c] == [38 * MIB]
    assert peak < 12 * MIB
    pipeline.collector.close()
