from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from kelp.base.settings import Server
from kelp.model.batch import LogBatch
from kelp.model.loss import Loss
from kelp.model.stream import Stream
from kelp.server.ports import EngineError, RefusedError
from kelp.server.receive.inbox import Inbox, InboxFull
from kelp.wire.segment import SegmentError, decode_segment, encode_segment
from tests.server.receive.sinks import MemorySink
from tests.server.samples import NOW_NS, WEB, batch, segment
from tests.waiting import wait_until

Open = Callable[..., Inbox]


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def open_inbox(tmp_path: Path, sink: MemorySink) -> Iterator[Open]:
    opened: list[Inbox] = []

    def open_(**settings: float) -> Inbox:
        registry = settings.pop("registry", None) or CollectorRegistry()
        options = Server(**{"insert_interval_s": 0.0, **settings})  # type: ignore[arg-type]
        inbox = Inbox(tmp_path / "inbox", sink, options, registry=registry)  # type: ignore[arg-type]
        opened.append(inbox)
        return inbox

    yield open_
    sink.gate.set()
    for inbox in opened:
        inbox.close(drain_s=0)


def test_what_is_accepted_is_stored(open_inbox: Open, sink: MemorySink) -> None:
    inbox = open_inbox()
    accepted = inbox.accept("", segment(1, [b"a", b"b"]))
    assert inbox.flush()
    assert (accepted.seq, accepted.records, accepted.duplicate) == (1, 2, False)
    assert sink.bodies == [b"a", b"b"]


@pytest.mark.parametrize("kind", [bytes, memoryview, pa.py_buffer])
def test_any_kind_of_buffer_is_taken(
    open_inbox: Open, sink: MemorySink, kind: Callable[[bytes], bytes]
) -> None:
    inbox = open_inbox()
    inbox.accept("", kind(segment(1, [b"a"])))
    assert inbox.flush()
    assert sink.bodies == [b"a"]


def test_a_repeat_is_acknowledged_and_dropped(open_inbox: Open, sink: MemorySink) -> None:
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"a"]))
    inbox.accept("", segment(2, [b"b"]))
    assert inbox.accept("", segment(1, [b"a"])).duplicate
    assert inbox.accept("", segment(2, [b"b"])).duplicate
    assert inbox.flush()
    assert sink.bodies == [b"a", b"b"]


def test_a_repeat_after_a_restart_is_dropped(open_inbox: Open, sink: MemorySink) -> None:
    inbox = open_inbox()
    inbox.accept("", segment(7, [b"a"]))
    inbox.close()
    assert open_inbox().accept("", segment(7, [b"a"])).duplicate
    assert sink.bodies == [b"a"]


def test_agents_and_tenants_count_for_themselves(open_inbox: Open, sink: MemorySink) -> None:
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"a"]))
    inbox.accept("", segment(1, [b"b"], agent="other"))
    inbox.accept("tenant", segment(1, [b"c"]))
    assert inbox.flush()
    assert sorted(sink.bodies) == [b"a", b"b", b"c"]


def test_a_gap_is_taken_and_counted(open_inbox: Open, sink: MemorySink) -> None:
    registry = CollectorRegistry()
    inbox = open_inbox(registry=registry)  # type: ignore[arg-type]
    inbox.accept("", segment(1, [b"a"]))
    inbox.accept("", segment(5, [b"e"]))
    assert inbox.flush()
    assert sink.bodies == [b"a", b"e"]
    assert registry.get_sample_value("kelp_server_inbox_missing_segments_total") == 3


def test_stream_ids_are_the_tenants_whatever_the_sender_says(
    open_inbox: Open, sink: MemorySink
) -> None:
    inbox = open_inbox()
    inbox.accept("tenant", segment(1, [b"a"]))
    assert inbox.flush()
    (part,) = sink.parts
    own = Stream(WEB, "tenant")
    assert own.id != Stream(WEB).id
    assert part.batches[0].column("stream_id").to_pylist() == [own.id]
    assert [s.id for s in part.streams] == [own.id]


def test_a_segment_of_losses_alone_is_stored(open_inbox: Open, sink: MemorySink) -> None:
    loss = Loss(
        labels=WEB, position=0, size_bytes=1, start_ns=NOW_NS, end_ns=NOW_NS, reason="deleted"
    )
    inbox = open_inbox()
    inbox.accept("", segment(1, [], losses=[loss]))
    assert inbox.flush()
    assert [list(p.losses) for p in sink.parts] == [[loss]]


@pytest.mark.parametrize("data", [b"", b"no segment", segment(1, [b"a"])[:-20]])
def test_what_is_no_segment_is_refused(open_inbox: Open, data: bytes) -> None:
    with pytest.raises(SegmentError, match="expected"):
        open_inbox().accept("", data)


def test_records_of_an_unknown_stream_are_refused(open_inbox: Open, sink: MemorySink) -> None:
    whole = decode_segment(segment(1, [b"a"]))
    ids = pa.array([42], pa.uint64())
    other = whole.batches[0].set_column(0, whole.batches[0].schema.field(0), ids)
    data = encode_segment(type(whole)(whole.header, [other]))
    inbox = open_inbox()
    with pytest.raises(SegmentError, match="got one of stream 42"):
        inbox.accept("", data)
    assert not inbox.accept("", segment(1, [b"a"])).duplicate


def test_nulls_are_refused(open_inbox: Open) -> None:
    whole = decode_segment(segment(1, [b"a"]))
    at = whole.batches[0].schema.get_field_index("body")
    nulls = pa.array([None], pa.binary())
    other = whole.batches[0].set_column(at, whole.batches[0].schema.field(at), nulls)
    with pytest.raises(SegmentError, match="expected no nulls in body"):
        open_inbox().accept("", encode_segment(type(whole)(whole.header, [other])))


def test_many_senders_become_few_inserts(open_inbox: Open, sink: MemorySink) -> None:
    sink.gate.clear()
    inbox = open_inbox()
    agents = [f"agent-{i}" for i in range(100)]

    def send(agent: str) -> None:
        for seq in (1, 2, 3):
            inbox.accept("", segment(seq, [f"{agent}:{seq}".encode()], agent=agent))

    threads = [threading.Thread(target=send, args=(a,)) for a in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.gate.set()
    assert inbox.flush()
    assert sorted(sink.bodies) == sorted(f"{a}:{s}".encode() for a in agents for s in (1, 2, 3))
    assert len(sink.names) <= 3


def test_a_group_is_bounded_in_memory(open_inbox: Open, sink: MemorySink) -> None:
    sink.gate.clear()
    inbox = open_inbox(insert_max_bytes=30_000)
    for seq in range(1, 11):
        inbox.accept("", segment(seq, [b"x" * 10_000]))
    sink.gate.set()
    assert inbox.flush()
    assert len(sink.bodies) == 10
    sizes = [sum(p.batches[0].nbytes for p in g.parts) for g in sink.stored.values()]
    assert max(sizes) <= 30_000


def test_a_full_inbox_takes_nothing_until_the_store_does(
    open_inbox: Open, sink: MemorySink
) -> None:
    sink.gate.clear()
    inbox = open_inbox(inbox_max_bytes=3 * len(segment(1, [b"x"])))
    with pytest.raises(InboxFull, match="keep the data and try again") as caught:
        for seq in range(1, 10):
            inbox.accept("", segment(seq, [b"x"]))
    assert caught.value.retry_after_s > 0
    taken = seq  # the one that was not
    sink.gate.set()
    assert inbox.flush()
    assert not inbox.accept("", segment(taken, [b"x"])).duplicate


def test_a_store_that_is_away_is_tried_again_with_the_same_group(
    open_inbox: Open, sink: MemorySink
) -> None:
    sink.failures = [EngineError("away", 0), EngineError("too many parts", 252)]
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"a"]))
    assert inbox.flush()
    assert len(sink.names) == 3
    assert len(set(sink.names)) == 1


def test_an_unforeseen_error_does_not_end_the_writer(open_inbox: Open, sink: MemorySink) -> None:
    sink.failures = [KeyError("surprise")]
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"a"]))
    assert inbox.flush()
    assert sink.bodies == [b"a"]


def test_a_segment_that_the_store_refuses_is_set_aside_and_others_pass(
    open_inbox: Open, sink: MemorySink, tmp_path: Path
) -> None:
    sink.gate.clear()
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"first"]))
    for seq, body in ((2, b"good"), (3, b"poison"), (4, b"better")):
        inbox.accept("", segment(seq, [body]))
    sink.poison = b"poison"
    sink.gate.set()
    assert inbox.flush()
    assert sink.bodies == [b"first", b"good", b"better"]
    assert len(list((tmp_path / "inbox/refused").iterdir())) == 1


def test_an_error_that_may_be_anybodys_fault_blames_data_only_while_others_pass(
    open_inbox: Open, sink: MemorySink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kelp.server.receive.drain._ATTEMPTS", 1)
    sink.gate.clear()
    sink.poison, sink.poison_error = b"poison", EngineError("strange", 9999)
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"first"]))
    wait_until(lambda: inbox._waiting.oldest is None)  # it is with the sink now
    for seq, body in ((2, b"poison"), (3, b"good")):
        inbox.accept("", segment(seq, [body]))
    sink.gate.set()
    assert inbox.flush()
    assert sink.bodies == [b"first", b"good"]
    assert len(list((tmp_path / "inbox/refused").iterdir())) == 1


def test_what_was_refused_is_offered_again_at_the_next_start(
    open_inbox: Open, sink: MemorySink, tmp_path: Path
) -> None:
    sink.poison = b"poison"
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"poison"]))
    assert inbox.flush()
    inbox.close()
    sink.poison = None
    assert open_inbox().flush()
    assert sink.bodies == [b"poison"]
    assert list((tmp_path / "inbox/refused").iterdir()) == []
    assert open_inbox().accept("", segment(1, [b"poison"])).duplicate


def test_a_push_is_durable_and_stored_on_return(open_inbox: Open, sink: MemorySink) -> None:
    inbox = open_inbox()
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    assert inbox.accept_batch("tenant", push, wait_s=10)
    assert sink.bodies == [b"pushed"]
    assert inbox.accept_batch("tenant", push, wait_s=10)
    assert sink.bodies == [b"pushed"] * 2  # it has neither number nor fingerprint


def test_a_push_that_is_repeated_is_stored_once(open_inbox: Open, sink: MemorySink) -> None:
    inbox = open_inbox()
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    same = inbox.fingerprint("tenant", "json", b"body")
    for different in (
        ("other", "json", b"body"),
        ("tenant", "proto", b"body"),
        ("tenant", "json", b"x"),
    ):
        assert same != inbox.fingerprint(*different)
    assert not inbox.is_repeat(same, wait_s=10)
    assert inbox.accept_batch("tenant", push, wait_s=10, fingerprint=same)
    assert inbox.is_repeat(same, wait_s=10)
    assert inbox.accept_batch("tenant", push, wait_s=10, fingerprint=same)  # came at the same time
    assert sink.bodies == [b"pushed"]


@pytest.mark.parametrize("stored", [True, False])
def test_a_push_is_known_after_a_restart(open_inbox: Open, sink: MemorySink, stored: bool) -> None:
    inbox = open_inbox()
    sink.failures = [] if stored else [EngineError("away", 0)] * 1000
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    same = inbox.fingerprint("", "json", b"body")
    assert stored == inbox.accept_batch("", push, wait_s=10 if stored else 0, fingerprint=same)
    inbox.close(drain_s=0)
    sink.failures = []
    again = open_inbox()
    assert again.is_repeat(again.fingerprint("", "json", b"body"), wait_s=10)
    assert again.flush()
    assert sink.bodies == [b"pushed"]


def test_a_push_survives_a_restart_before_it_is_stored(open_inbox: Open, sink: MemorySink) -> None:
    sink.failures = [EngineError("away", 0)] * 1000
    inbox = open_inbox()
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    assert not inbox.accept_batch("tenant", push, wait_s=0)
    inbox.close(drain_s=0)
    sink.failures = []
    assert open_inbox().flush()
    assert [(p.tenant, p.agent_id, p.seq) for p in sink.parts] == [("tenant", "", 0)]
    assert sink.bodies == [b"pushed"]


def test_a_push_that_the_store_is_too_slow_for_is_still_stored(
    open_inbox: Open, sink: MemorySink
) -> None:
    sink.gate.clear()
    inbox = open_inbox()
    push = LogBatch(batch([b"pushed"]), {Stream(WEB).id: Stream(WEB)})
    assert not inbox.accept_batch("", push, wait_s=0.01)
    sink.gate.set()
    assert inbox.flush()
    assert sink.bodies == [b"pushed"]


def test_nothing_is_taken_while_stopping(open_inbox: Open) -> None:
    inbox = open_inbox()
    inbox.close()
    with pytest.raises(InboxFull, match="stopping"):
        inbox.accept("", segment(1, [b"a"]))


def test_stopping_does_not_wait_for_a_store_that_is_away(
    open_inbox: Open, sink: MemorySink
) -> None:
    sink.failures = [EngineError("away", 0)] * 1000
    inbox = open_inbox()
    inbox.accept("", segment(1, [b"a"]))
    wait_until(lambda: len(sink.names) >= 2)
    inbox.close()
    assert sink.bodies == []
    sink.failures = []
    assert open_inbox().flush()
    assert sink.bodies == [b"a"]


def test_journal_files_go_when_their_segments_are_stored(open_inbox: Open, tmp_path: Path) -> None:
    inbox = open_inbox()
    for seq in range(1, 4):
        inbox.accept("", segment(seq, [b"a"]))
    assert inbox.flush()
    assert list((tmp_path / "inbox/journal").iterdir()) == []


def test_refused_errors_name_what_was_refused() -> None:
    assert isinstance(RefusedError("x", 53), EngineError)
