"""What the spool promises while nothing fails; faults: test_kill_points.py and test_full.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.spool import Disk, Payload, Spool
from kelp.base.errors import KelpError


def payload(text: str, records: int = 1) -> Payload:
    return Payload(memoryview(text.encode()), records, 1_000)


def opened(path: Path, **options) -> Spool:
    return Spool(path, **{"max_bytes": 1 << 30, "disk": Disk(fsync=False), **options})


def waiting(spool: Spool) -> list[tuple[int, bytes]]:
    """Everything that waits, by taking it."""
    found = []
    while parcel := spool.next(0):
        found.append((parcel.seq, bytes(parcel.data)))
        spool.acknowledge(parcel.seq)
    return found


def test_segments_come_in_order_with_their_checkpoints(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("one")], {"collect": {"f": b"1", "g": b"1"}})
    spool.commit([payload("two"), payload("three")], {"collect": {"f": b"2", "g": None}})
    assert spool.checkpoints("collect") == {"f": b"2"}
    assert spool.checkpoints("assemble") == {}
    assert waiting(spool) == [(1, b"one"), (2, b"two"), (3, b"three")]


def test_all_survives_a_new_start(tmp_path):
    spool = opened(tmp_path / "s")
    agent_id = spool.agent_id
    spool.commit([payload("one", records=7)], {"collect": {"f": b"\x00\xff"}})
    spool.close()
    spool = opened(tmp_path / "s")
    assert agent_id == spool.agent_id
    assert spool.next_seq == 2
    assert spool.checkpoints("collect") == {"f": b"\x00\xff"}
    parcel = spool.next(0)
    assert parcel is not None
    assert (
        parcel.seq,
        bytes(parcel.data),
        parcel.records,
        parcel.created_ns,
    ) == (1, b"one", 7, 1_000)


def test_numbers_have_no_gap_and_no_repeat_when_all_was_shipped_before_the_start(tmp_path):
    for expected in (1, 2, 3):
        spool = opened(tmp_path / "s")
        assert expected == spool.next_seq
        spool.commit([payload("x")], {})
        assert [(expected, b"x")] == waiting(spool)
        spool.close()


def test_checkpoints_alone_are_a_commit(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([], {"assemble": {"k": b"partial"}})
    assert spool.next_seq == 1
    assert spool.next(0) is None
    spool.close()
    assert opened(tmp_path / "s").checkpoints("assemble") == {"k": b"partial"}


def test_the_oldest_comes_again_until_it_is_acknowledged(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("one"), payload("two")], {})
    assert [p.seq for p in (spool.next(0), spool.next(0)) if p] == [1, 1]
    spool.acknowledge(1)
    parcel = spool.next(0)
    assert parcel is not None
    assert parcel.seq == 2


def test_acknowledging_out_of_order_is_refused(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("one"), payload("two")], {})
    with pytest.raises(ValueError, match="expected the oldest segment, 1; got 2"):
        spool.acknowledge(2)


def test_the_space_of_acknowledged_segments_comes_back(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("one"), payload("two" * 3000)], {})
    assert spool.used_bytes == 4096 + 12288
    waiting(spool)
    spool.settle()
    assert spool.used_bytes == 0
    assert list((tmp_path / "s" / "segments").iterdir()) == []


def test_more_segments_than_fit_into_the_window(tmp_path):
    spool = opened(tmp_path / "s")
    for i in range(3):
        spool.commit([payload(f"{i}.{k}") for k in range(200)], {})
    found = waiting(spool)
    assert list(range(1, 601)) == [seq for seq, _ in found]
    assert spool.waiting == 0


def test_refused_segments_are_kept_with_the_reason_and_do_not_block(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("bad"), payload("good")], {})
    spool.next(0)
    spool.refuse(1, "HTTP 422: what is that?")
    assert waiting(spool) == [(2, b"good")]
    refused = tmp_path / "s" / "refused"
    assert (refused / f"{1:020d}.segment").read_bytes() == b"bad"
    assert (refused / f"{1:020d}.txt").read_text() == "HTTP 422: what is that?\n"
    spool.settle()
    assert spool.used_bytes == 4096  # still on disk, so it still counts
    spool.close()
    spool = opened(tmp_path / "s")
    assert spool.next(0) is None
    assert spool.used_bytes >= 4096


def test_a_second_agent_is_refused_also_from_another_process(tmp_path):
    spool = opened(tmp_path / "s")
    with pytest.raises(KelpError, match=rf"another kelp agent \(pid {os.getpid()}\)"):
        opened(tmp_path / "s")
    code = (
        "import sys; from pathlib import Path; from kelp.agent.spool import Spool\n"
        f"Spool(Path({str(tmp_path / 's')!r}), max_bytes=1)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "another kelp agent" in other.stderr
    spool.close()
    opened(tmp_path / "s").close()


def test_only_the_owner_can_look_inside(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("secret")], {})
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    modes = {f.stat().st_mode & 0o077 for f in (tmp_path / "s" / "segments").iterdir()}
    assert {0} == modes


@pytest.mark.parametrize("damage", ["cut", "changed", "removed"])
def test_a_damaged_segment_is_counted_and_passed_over(tmp_path, damage):
    registry = CollectorRegistry()
    spool = opened(tmp_path / "s", registry=registry)
    spool.commit([payload("one", records=5), payload("two")], {})
    path = tmp_path / "s" / "segments" / f"{1:020d}.segment"
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(b"on" if damage == "cut" else b"oNe")
    assert waiting(spool) == [(2, b"two")]
    lost = registry.get_sample_value("kelp_agent_spool_lost_records_total", {"reason": "damaged"})
    assert lost == 5
    spool.settle()
    assert (damage != "removed") == (tmp_path / "s" / "damaged" / path.name).exists()


def test_a_file_that_vanished_while_the_agent_was_down_is_counted_once(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("one", records=5), payload("two")], {"collect": {"f": b"1"}})
    spool.close()
    (tmp_path / "s" / "segments" / f"{1:020d}.segment").unlink()
    for expected in (5, 0):
        registry = CollectorRegistry()
        spool = opened(tmp_path / "s", registry=registry)
        lost = registry.get_sample_value(
            "kelp_agent_spool_lost_records_total", {"reason": "missing"}
        )
        assert expected == lost
        assert spool.next_seq == 3
        spool.close()
    assert waiting(opened(tmp_path / "s")) == [(2, b"two")]


def test_names_of_others_stay_untouched(tmp_path):
    opened(tmp_path / "s").close()
    other = tmp_path / "s" / "segments" / "notes.txt"
    other.write_text("mine")
    opened(tmp_path / "s")
    assert other.read_text() == "mine"


def test_an_index_that_is_none_stops_with_what_to_do(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "index.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(KelpError, match="move the spool's folder away"):
        opened(tmp_path / "s")


def test_a_newer_format_is_refused(tmp_path):
    import sqlite3

    opened(tmp_path / "s").close()
    db = sqlite3.connect(tmp_path / "s" / "index.sqlite")
    db.execute("UPDATE meta SET value = '2' WHERE name = 'format'")
    db.commit()
    db.close()
    with pytest.raises(KelpError, match=r"expected spool format 1 in .*; got 2"):
        opened(tmp_path / "s")


def test_waiting_ends_when_a_segment_comes_and_when_woken(tmp_path):
    import threading

    spool = opened(tmp_path / "s")
    found: list = []
    thread = threading.Thread(target=lambda: found.append(spool.next(60)))
    thread.start()
    spool.commit([payload("one")], {})
    thread.join(10)
    assert [p.seq for p in found] == [1]
    spool.acknowledge(1)
    thread = threading.Thread(target=lambda: found.append(spool.next(60)))
    thread.start()
    from tests.waiting import wait_until

    def woken() -> bool:
        spool.wake()
        return not thread.is_alive()

    wait_until(woken)
    assert found[1] is None
