"""A kill at each step on disk: a segment and its checkpoints count, or neither."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import pytest

from kelp.agent.spool import Spool
from tests.agent.spool.faults import FaultyDisk, Killed
from tests.agent.spool.test_spool import opened, payload, waiting

# More than any of the calls below takes steps on disk.
STEPS = range(1, 12)


def killed_at(path: Path, at: int, after: bool, action) -> tuple[bool, list[str]]:
    """Run `action` on the spool with a kill at a step; whether the kill came, and the steps."""
    disk = FaultyDisk()
    spool = opened(path, disk=disk)
    disk.steps.clear()
    disk.at, disk.after = at, after
    try:
        action(spool)
    except Killed:
        return True, disk.steps
    finally:
        abandon(spool)
    return False, disk.steps


def abandon(spool: Spool) -> None:
    """As the kernel does after a kill: descriptors are closed, nothing else happens."""
    spool._opened.close()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", STEPS)
def test_commit(tmp_path, at, after):
    path = tmp_path / "s"
    spool = opened(path)
    spool.commit([payload("one")], {"collect": {"f": b"1"}})
    spool.close()

    def commit(spool: Spool) -> None:
        spool.commit([payload("two"), payload("three")], {"collect": {"f": b"3"}})

    killed, _ = killed_at(path, at, after, commit)
    spool = opened(path)
    found = waiting(spool)
    expected = [(1, b"one")] if killed else [(1, b"one"), (2, b"two"), (3, b"three")]
    assert expected == found
    assert (b"1" if killed else b"3") == spool.checkpoints("collect")["f"]
    # The numbers go on as if nothing had been, and the files of the kill are not in the way.
    if killed:
        commit(spool)
        assert waiting(spool) == [(2, b"two"), (3, b"three")]


def test_a_commit_has_the_steps_that_are_tested(tmp_path):
    _, steps = killed_at(
        tmp_path / "s", 0, False, lambda s: s.commit([payload("a"), payload("b")], {})
    )
    assert steps == ["write", "write", "sync"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", STEPS)
def test_acknowledge_and_refuse(tmp_path, at, after):
    """Whatever was not told to the server is still there; what was refused is kept once."""
    path = tmp_path / "s"
    spool = opened(path)
    spool.commit([payload(f"{i}") for i in range(1, 6)], {"collect": {"f": b"1"}})
    spool.close()
    told: list[int] = []

    def ship(spool: Spool) -> None:
        for i in (1, 2, 3, 4):
            spool.next(0)
            told.append(i)
            if i == 3:
                spool.refuse(3, "never")
            else:
                spool.acknowledge(i)
        spool.settle()

    killed, _ = killed_at(path, at, after, ship)
    spool = opened(path)
    again = [seq for seq, _ in waiting(spool)]
    refused = {f.name for f in (path / "refused").glob("*.segment")}
    kept = {3} if refused else set()
    assert {1, 2, 3, 4, 5} - set(told) <= set(again) | kept
    assert 5 in again
    assert not (3 in again and refused)
    if not killed:
        assert again == [5]
    assert spool.checkpoints("collect") == {"f": b"1"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", STEPS)
def test_recovery_may_be_killed_too(tmp_path, at, after):
    path = tmp_path / "s"
    spool = opened(path)
    spool.commit([payload("one"), payload("two")], {})
    spool.close()
    for orphan in (7, 8, 9):
        (path / "segments" / f"{orphan:020d}.segment").write_bytes(b"half")
    with suppress(Killed):
        opened(path, disk=FaultyDisk(at, after=after)).close()
    spool = opened(path)
    assert waiting(spool) == [(1, b"one"), (2, b"two")]
    spool.settle()
    assert list((path / "segments").iterdir()) == []


def test_kills_in_the_emergency_of_a_full_disk(tmp_path):
    """Emptying acknowledged files before the index forgets them, cut short at every step."""
    for at, after in itertools.product(STEPS, (False, True)):
        path = tmp_path / f"{at}-{after}"
        spool = opened(path)
        spool.commit([payload("one"), payload("two"), payload("three")], {})
        spool.close()

        def ship(spool: Spool) -> None:
            for i in (1, 2):
                spool.next(0)
                spool.acknowledge(i)
            assert spool._empty(list(spool._done))

        killed_at(path, at, after, ship)
        spool = opened(path)
        found = waiting(spool)
        # 1 and 2 are delivered: they may come again whole, never in pieces, never counted as lost.
        assert set(found) <= {(1, b"one"), (2, b"two"), (3, b"three")}
        assert (3, b"three") in found
        assert spool._metrics._lost_records.labels("missing")._value.get() == 0
        assert spool._metrics._lost_records.labels("damaged")._value.get() == 0
