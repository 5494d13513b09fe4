"""An agent's state, read while its spool is open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kelp.agent.collect.checkpoint import Checkpoint, FileMark, encode
from kelp.agent.lookback import state
from kelp.agent.lookback.files import KnownFile
from kelp.agent.lookback.state import AgentState, read_state
from kelp.agent.spool import Payload, Spool, Vault
from kelp.base.errors import ConfigError, KelpError
from kelp.base.settings import Agent
from kelp.base.settings import Spool as SpoolSettings
from kelp.model.loss import SourceFile
from kelp.wire.segment import Segment, SegmentHeader, encode_segment
from tests.server.samples import batch

WEB = {
    "namespace": "shop", "pod": "web-0", "pod_uid": "u", "container": "app", "restart": "0",
    "node": "n1",
}  # fmt: skip
KEY = "shop/web-0/u/app/0"


def mark(name: str, size: int) -> FileMark:
    return FileMark(f"d-{name}", "", 100, size, 1, 2, name)


def log(**others: object) -> bytes:
    fields = {"next_base": 700, "done": [mark("a", 100), mark("b", 200)]} | others
    return encode(Checkpoint(**fields))  # type: ignore[arg-type]


def payload(spool: Spool, labels: dict[str, str], bodies: list[bytes], first: int) -> Payload:
    full = {**labels, "stream": "stdout", "format": "json"}
    file = SourceFile(
        path="/p/0.log", device=1, inode=2, fingerprint="f", fingerprint_bytes=9, base=first,
        size=77, labels=labels,
    )  # fmt: skip
    header = SegmentHeader(
        agent_id=spool.agent_id, seq=spool.next_seq, node="n1", created_ns=1, records=len(bodies),
        body_bytes=sum(map(len, bodies)), streams=[full], files=[file],
    )  # fmt: skip
    data = encode_segment(Segment(header, [batch(bodies, full, first_position=first)]))
    return Payload(memoryview(data), len(bodies), 1)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30)
    yield spool
    spool.close()


def read(spool_folder: Path, **settings: object) -> AgentState:
    return read_state(spool_folder, Agent(**settings))  # type: ignore[arg-type]


def test_how_far_a_log_was_read(spool: Spool, tmp_path: Path) -> None:
    current = log(current=mark("c", 50), base=300, offset=40)
    spool.commit([], {"collect": {KEY: current, "other": log()}, "files.collect": {"/f": log()}})
    found = read(tmp_path / "spool")
    assert spool.agent_id == found.agent_id
    assert (340, 700, 700, None) == tuple(map(found.collected, (KEY, "other", "/f", "none")))
    assert [("a", 0, 100), ("b", 100, 200), ("c", 300, 50)] == [
        (f.path, f.base, f.size) for f in found.known_files(KEY)
    ]
    assert [400, 500] == [f.base for f in found.known_files("other")]
    assert found.known_files("none") == []


def test_a_file_between_which_and_the_next_others_are_gone(spool: Spool, tmp_path: Path) -> None:
    marks = [mark("a", 100), mark("c", 300), mark("d", 50)]  # b is gone, of 200 bytes
    spool.commit([], {"collect": {KEY: log(next_base=650, done=marks)}})
    state = read(tmp_path / "spool")
    told = KnownFile(0, 100, "d-a", 100, source="store")
    assert [("c", 300), ("d", 600)] == [(f.path, f.base) for f in state.known_files(KEY, [told])]
    anchor = KnownFile(300, 300, "d-c", 100, source="store")
    assert [("a", 200), ("d", 600)] == [(f.path, f.base) for f in state.known_files(KEY, [anchor])]


def test_what_waits_in_the_spool(spool: Spool, tmp_path: Path) -> None:
    spool.commit([payload(spool, WEB, [b"a", b"b"], 300)], {})
    spool.commit([payload(spool, {**WEB, "pod": "db-0"}, [b"x"], 0)], {})
    spool.commit([payload(spool, WEB, [b"c"], 900)], {})
    found = read(tmp_path / "spool").spooled(WEB)
    assert (3, ((300, 400), (900, 900))) == (found.records, found.extents)
    assert [300, 900] == [f.base for f in found.files]
    assert {"spool"} == {f.source for f in found.files}
    spool.acknowledge(spool.next(0).seq)  # type: ignore[union-attr]
    spool.settle()
    assert ((900, 900),) == read(tmp_path / "spool").spooled(WEB).extents
    assert read(tmp_path / "spool").spooled({**WEB, "restart": "1"}).records == 0


def test_a_segment_that_is_delivered_meanwhile_is_passed_over(spool: Spool, tmp_path: Path) -> None:
    spool.commit([payload(spool, WEB, [b"a"], 300)], {})
    found = read(tmp_path / "spool")
    for path in (tmp_path / "spool" / "segments").iterdir():
        path.unlink()
    assert found.spooled(WEB).records == 0


def test_a_sealed_spool_is_read_with_its_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    spool = Spool(tmp_path / "spool", max_bytes=1 << 30, vault=Vault.of_key_file(str(key)))
    try:
        spool.commit([payload(spool, WEB, [b"a"], 5)], {"collect": {KEY: log()}})
        found = read(tmp_path / "spool", spool=SpoolSettings(encryption_key_file=str(key)))
        assert (700, 1) == (found.collected(KEY), found.spooled(WEB).records)
        with pytest.raises(ConfigError, match="encryption_key_file"):
            read(tmp_path / "spool")
    finally:
        spool.close()


def test_no_state_and_no_rights(tmp_path: Path) -> None:
    with pytest.raises(KelpError, match="no agent keeps its state in"):
        read(tmp_path / "none")
    folder = tmp_path / "spool"
    (folder / "index.sqlite").mkdir(parents=True)
    with pytest.raises(KelpError, match="cannot be read: Is a directory"):
        read(folder)


@pytest.mark.parametrize("data", [b"", b"no database at all" * 500])
def test_a_damaged_index_is_told(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "index.sqlite").write_bytes(data)
    with pytest.raises(KelpError, match="cannot be read: "):
        read(folder)


def test_a_copy_into_which_a_write_fell_is_made_again(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.commit([], {"collect": {KEY: log(next_base=800)}})
    index = tmp_path / "spool" / "index.sqlite"
    stamp, looks = state._stamp, [0]

    def changing(*paths: Path) -> tuple[int, int, bytes]:
        looks[0] += 1
        if looks[0] == 2:  # between the first two looks
            os.utime(index)
        return stamp(*paths)

    monkeypatch.setattr(state, "_stamp", changing)
    assert read(tmp_path / "spool").collected(KEY) == 800
    assert looks[0] == 4
    monkeypatch.setattr(state, "_stamp", lambda *_: (looks.append(0), len(looks), b"")[0:3])
    with pytest.raises(KelpError, match="changes too fast"):
        read(tmp_path / "spool")


def test_each_commit_is_seen_whole_while_others_follow(spool: Spool, tmp_path: Path) -> None:
    for number in range(300):  # SQLite folds its log into the file now and then
        filler = {f"k{number}": os.urandom(3000)}
        spool.commit([], {"collect": {KEY: log(next_base=number), **filler}})
        if number % 10 == 0:
            assert read(tmp_path / "spool").collected(KEY) == number
