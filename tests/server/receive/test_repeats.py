"""Pushes that are known by their fingerprints: how long, how many, and what a crash leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelp.server.receive import repeats
from kelp.server.receive.repeats import KEEP_S, Repeats

A, B, C = (bytes([n]) * 16 for n in range(3))


class Still:
    """A clock that stands where it is put."""

    now = 10**18

    def now_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1e9

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def clock() -> Still:
    return Still()


def test_known_for_a_while(tmp_path: Path, clock: Still) -> None:
    known = Repeats(tmp_path, clock)
    assert known.number_of(A) is None
    known.note(A, 7)
    clock.sleep(KEEP_S)
    assert 7 == known.number_of(A)
    clock.sleep(1)
    assert known.number_of(A) is None


def test_no_more_than_so_many(
    tmp_path: Path, clock: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MOST", 2)
    known = Repeats(tmp_path, clock)
    for number, fingerprint in enumerate((A, B, C), 1):
        known.note(fingerprint, number)
    assert [None, 2, 3] == [known.number_of(f) for f in (A, B, C)]


def test_on_disk_is_only_what_is_stored(tmp_path: Path, clock: Still) -> None:
    known = Repeats(tmp_path, clock)
    known.note(A, 1)
    known.note(B, 2)
    known.save(through=1)
    again = Repeats(tmp_path, clock)
    assert [0, None] == [again.number_of(f) for f in (A, B)]
    assert 0o600 == (tmp_path / "pushes.0").stat().st_mode & 0o777


def test_files_take_turns(tmp_path: Path, clock: Still) -> None:
    known = Repeats(tmp_path, clock)
    for number, fingerprint in enumerate((A, B, C), 1):
        known.note(fingerprint, number)
        known.save(number)
        clock.sleep(KEEP_S * 0.6)
    again = Repeats(tmp_path, clock)
    assert [None, None, 0] == [again.number_of(f) for f in (A, B, C)]
    assert {"pushes.0": 24, "pushes.1": 48} == {
        p.name: p.stat().st_size for p in tmp_path.iterdir()
    }


def test_a_crash_may_cut_the_last_entry(tmp_path: Path, clock: Still) -> None:
    known = Repeats(tmp_path, clock)
    known.note(A, 1)
    known.save(1)
    with (tmp_path / "pushes.0").open("ab") as file:
        file.write(b"half an en")
    again = Repeats(tmp_path, clock)
    again.note(B, 2)
    again.save(2)
    last = Repeats(tmp_path, clock)
    assert [0, 0] == [last.number_of(f) for f in (A, B)]


def test_forgotten_is_forgotten_on_disk_too(tmp_path: Path, clock: Still) -> None:
    known = Repeats(tmp_path, clock)
    known.note(A, 1)
    known.save(1)
    known.note(B, 2)
    known.forget()
    known.save(2)
    for those in (known, Repeats(tmp_path, clock)):
        assert [None, None] == [those.number_of(f) for f in (A, B)]
    known.note(A, 3)
    known.save(3)
    assert 0 == Repeats(tmp_path, clock).number_of(A)


def test_a_key_changes_fingerprints(tmp_path: Path, clock: Still) -> None:
    plain, keyed = Repeats(tmp_path, clock), Repeats(tmp_path, clock, b"k" * 32)
    assert plain.fingerprint("", "json", b"x") != keyed.fingerprint("", "json", b"x")
