"""The inbox dies at each of its steps; at the end every segment is stored exactly once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.base.errors import KelpError
from kelp.base.settings import Server, Settings
from kelp.model.batch import LogBatch
from kelp.model.stream import Stream
from kelp.server.ports import EngineError
from kelp.server.receive.inbox import Inbox, InboxFull
from kelp.server.receive.journal import Journal
from kelp.server.receive.ledger import Ledger
from kelp.server.store.opening import open_store
from tests.server.receive.sinks import CrashingSink, MemorySink
from tests.server.samples import WEB, batch, segment
from tests.tmpfs import small_tmpfs
from tests.waiting import wait_until

PROJECT = Path(__file__).parents[3]
KEY = bytes.fromhex("00112233445566778899aabbccddeeff")


def opened(directory: Path, sink: Callable[..., None], key: bytes = b"") -> Inbox:
    settings = Server(insert_interval_s=0.0)
    return Inbox(directory, sink, settings, key=key, registry=CollectorRegistry())


def snapshot(directory: Path, to: Path) -> Path:
    """The disk as a crash at this moment would leave it."""
    shutil.copytree(directory, to, ignore=shutil.ignore_patterns("*.tmp", "*.new"))
    return to


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("after_storing", [False, True])
def test_death_around_the_insert(tmp_path: Path, after_storing: bool, key: bytes) -> None:
    crashing = CrashingSink(after_storing=after_storing)
    inbox = opened(tmp_path / "inbox", crashing, key)
    inbox.accept("", segment(1, [b"a"]))
    wait_until(lambda: len(crashing.names) >= 1 if after_storing else inbox._drain.failing)
    inbox.accept("", segment(2, [b"b"]))
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close(drain_s=0)
    sink = MemorySink()
    sink.stored = dict(crashing.stored)
    again = opened(left, sink, key)
    assert again.flush()
    again.close()
    assert sink.bodies == [b"a", b"b"]


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("after_storing", [False, True])
def test_a_push_is_known_after_death_around_the_insert(
    tmp_path: Path, after_storing: bool, key: bytes
) -> None:
    crashing = CrashingSink(after_storing=after_storing)
    inbox = opened(tmp_path / "inbox", crashing, key)
    same = inbox.fingerprint("", "json", b"body")
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    assert not inbox.accept_batch("", push, wait_s=0, fingerprint=same)
    wait_until(lambda: len(crashing.names) >= 1 if after_storing else inbox._drain.failing)
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close(drain_s=0)
    sink = MemorySink()
    sink.stored = dict(crashing.stored)
    again = opened(left, sink, key)
    assert again.is_repeat(again.fingerprint("", "json", b"body"), wait_s=10)
    again.close()
    assert sink.bodies == [b"pushed"]


def test_a_push_that_half_came_to_disk_is_not_known(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.failures = [EngineError("away", 0)] * 1000
    inbox = opened(tmp_path / "inbox", sink)
    same = inbox.fingerprint("", "json", b"body")
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    inbox.accept_batch("", push, wait_s=0, fingerprint=same)
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close(drain_s=0)
    (file,) = (left / "journal").iterdir()
    os.truncate(file, file.stat().st_size - 5)
    again = opened(left, MemorySink())
    assert not again.is_repeat(same, wait_s=0)
    again.close()


def test_death_before_the_group_is_noted_as_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = MemorySink()
    monkeypatch.setattr(Ledger, "finish", lambda *_: None)
    monkeypatch.setattr(Journal, "drop_through", lambda *_: None)
    inbox = opened(tmp_path / "inbox", sink)
    inbox.accept("", segment(1, [b"a"]))
    assert inbox.flush()
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close()
    monkeypatch.undo()
    again = opened(left, sink)
    again.accept("", segment(2, [b"b"]))
    assert again.flush()
    again.close()
    assert sink.bodies == [b"a", b"b"]
    assert sink.names[0] == sink.names[1]


def test_death_before_the_journal_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = MemorySink()
    monkeypatch.setattr(Journal, "drop_through", lambda *_: None)
    inbox = opened(tmp_path / "inbox", sink)
    inbox.accept("", segment(1, [b"a"]))
    assert inbox.flush()
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close()
    monkeypatch.undo()
    again = opened(left, sink)
    assert again.accept("", segment(1, [b"a"])).duplicate
    again.close()
    assert sink.bodies == [b"a"]
    assert list((left / "journal").iterdir()) == []


def test_half_a_frame_at_the_end_is_cut_off(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.failures = [EngineError("away", 0)] * 1000
    inbox = opened(tmp_path / "inbox", sink)
    inbox.accept("", segment(1, [b"a"]))
    inbox.accept("", segment(2, [b"b"]))
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close(drain_s=0)
    (file,) = (left / "journal").iterdir()
    os.truncate(file, file.stat().st_size - 5)
    sink.failures = []
    again = opened(left, sink)
    assert again.flush()
    assert sink.bodies == [b"a"]
    assert not again.accept("", segment(2, [b"b"])).duplicate
    assert again.flush()
    again.close()
    assert sink.bodies == [b"a", b"b"]


def test_death_while_readmitting_what_was_refused(tmp_path: Path) -> None:
    """The frame is in the journal already, and its file in refused/ is not yet gone."""
    sink = MemorySink()
    sink.poison = b"poison"
    inbox = opened(tmp_path / "inbox", sink)
    inbox.accept("", segment(1, [b"poison"]))
    assert inbox.flush()
    inbox.close()
    (refused,) = (tmp_path / "inbox/refused").iterdir()
    kept = refused.read_bytes()
    sink.poison = None
    sink.failures = [EngineError("away", 0)] * 1000
    inbox = opened(tmp_path / "inbox", sink)
    left = snapshot(tmp_path / "inbox", tmp_path / "after")
    inbox.close(drain_s=0)
    (left / "refused" / refused.name).write_bytes(kept)
    sink.failures = []
    again = opened(left, sink)
    assert again.flush()
    again.close()
    assert sink.bodies == [b"poison"]


def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    sink = MemorySink()
    with small_tmpfs(tmp_path / "small", "512k") as small:
        sink.gate.clear()
        inbox = opened(small / "inbox", sink)
        taken, seq = [], 0
        with pytest.raises(InboxFull, match="disk takes nothing"):
            for seq in range(1, 200):
                body = os.urandom(20_000)
                inbox.accept("", segment(seq, [body]))
                taken.append(body)
        sink.gate.set()
        assert inbox.flush()
        assert not inbox.accept("", segment(seq, [b"last"])).duplicate
        assert inbox.flush()
        inbox.close()
    assert sink.bodies == [*taken, b"last"]


def test_a_disk_that_fails_to_sync_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = MemorySink()
    inbox = opened(tmp_path / "inbox", sink)
    monkeypatch.setattr("kelp.server.receive.journal._fsync", lambda _: OSError(5, "I/O error"))
    for _ in range(2):
        with pytest.raises(InboxFull, match="disk failed"):
            inbox.accept("", segment(1, [b"a"]))
    monkeypatch.undo()
    inbox.close(drain_s=0)
    assert sink.bodies == []


def test_an_encrypted_inbox_shows_nothing_and_needs_its_key(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.failures = [EngineError("away", 0)] * 1000
    inbox = opened(tmp_path / "inbox", sink, KEY)
    inbox.accept("", segment(1, [b"SECRET BODY"], {"pod": "SECRET-POD"}))
    inbox.close(drain_s=0)
    everything = b"".join(f.read_bytes() for f in (tmp_path / "inbox").rglob("*") if f.is_file())
    assert b"SECRET" not in everything
    for wrong, message in ((b"", "is encrypted, unlike"), (b"k" * 16, "this store's key")):
        with pytest.raises(KelpError, match=message):
            opened(tmp_path / "inbox", sink, wrong)
    sink.failures = []
    again = opened(tmp_path / "inbox", sink, KEY)
    assert again.flush()
    again.close()
    assert sink.bodies == [b"SECRET BODY"]


SENDER = """
import os, sys, threading
from pathlib import Path
from kelp.base.settings import Server, Settings
from kelp.server.receive.inbox import Inbox
from kelp.server.store.opening import open_store
from kelp.model.batch import LogBatch
from kelp.model.stream import Stream
from tests.server.samples import WEB, batch, segment
data, start = sys.argv[1], int(sys.argv[2])
store = open_store(Settings(data_dir=data))
inbox = Inbox(Path(data) / "inbox", store.insert, Server(insert_interval_s=0.01))
def send(agent):
    for seq in range(max(start - 3, 1), 100000):
        bodies = [f"{agent}:{seq}:{i}".encode() for i in range(5)]
        inbox.accept("", segment(seq, bodies, agent=agent))
        os.write(1, f"{agent} {seq}\\n".encode())
def push():
    for seq in range(max(start - 3, 1), 100000):
        bodies = [f"push:{seq}:{i}".encode() for i in range(5)]
        same = inbox.fingerprint("", "json", repr(bodies).encode())
        if not inbox.is_repeat(same, wait_s=10):
            pushed = LogBatch(batch(bodies), {Stream(WEB).id: Stream(WEB)})
            inbox.accept_batch("", pushed, wait_s=0.05, fingerprint=same)
        os.write(1, f"push {seq}\\n".encode())
threading.Thread(target=push).start()
for agent in ("one", "two"):
    threading.Thread(target=send, args=(agent,)).start()
"""


@pytest.mark.crash
def test_sigkill_at_any_moment_stores_each_record_once(tmp_path: Path) -> None:
    """Real processes, a real store: what was acknowledged is there, and nothing is there twice."""
    acknowledged = {"one": 0, "two": 0, "push": 0}
    for death in range(6):
        start = min(acknowledged.values()) + 1
        command = [sys.executable, "-c", SENDER, str(tmp_path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT) as process:
            assert process.stdout is not None
            for _ in range(20 + 37 * death):
                agent, seq = process.stdout.readline().decode().split()
                acknowledged[agent] = max(acknowledged[agent], int(seq))
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().decode().splitlines():
                agent, seq = line.split()
                acknowledged[agent] = max(acknowledged[agent], int(seq))
    store = open_store(Settings(data_dir=str(tmp_path)))
    try:
        inbox = opened(tmp_path / "inbox", store.insert)
        assert inbox.flush()
        inbox.close()
        rows = store.engine.query(
            "SELECT toString(body) AS body, count() AS n FROM records GROUP BY body"
        )
    finally:
        store.close()
    found = {row["body"].decode(): row["n"] for row in rows.to_pylist()}
    expected = {
        f"{agent}:{seq}:{i}" for agent, last in acknowledged.items()
        for seq in range(1, last + 1) for i in range(5)
    }  # fmt: skip
    assert expected - set(found) == set()
    assert {k: n for k, n in found.items() if n != 1} == {}
