"""Traces of sources that give severities, or are no containers: the journal, plain files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import numpy as np

from kelp.agent.assemble import PlainAssembler
from kelp.agent.assemble.traces import TraceAssembler, TraceJoiner
from kelp.base.settings import Agent
from kelp.model.lines import Lines
from tests.agent.assemble.test_plain import raw_of
from tests.agent.assemble.traces.batches import Line, batch

PANIC = [b"panic: boom", b"", b"goroutine 1 [running]:", b"main.main()", b"\t/app/main.go:5 +0x28"]


def told(rows: list[tuple[bytes, int]]) -> Lines:
    lines = batch([Line(body) for body, _ in rows])
    return replace(lines, told=np.array([n for _, n in rows], np.uint8), told_first=True)


def severities(lines: Lines | None) -> list[tuple[bytes, int]]:
    assert lines is not None
    assert lines.told is not None
    assert lines.told_first
    return list(zip(lines.body.to_pylist(), lines.told.tolist(), strict=True))


def test_a_joined_record_has_the_severity_of_its_first_line() -> None:
    rows = [(b"before", 9), *((line, 17 if i == 0 else 13) for i, line in enumerate(PANIC))]
    found = TraceJoiner(1 << 20, 1.0, {}).join(told([*rows, (b"[INFO] x", 5), (b"y", 10)]))
    assert severities(found) == [
        (b"before", 9), (b"\n".join(PANIC), 17), (b"[INFO] x", 5), (b"y", 10),
    ]  # fmt: skip


def test_a_severity_outlives_a_restart() -> None:
    joiner = TraceJoiner(1 << 20, 1.0, {})
    assert severities(joiner.join(told([(b"a", 9), (b"panic: boom", 17)]))) == [(b"a", 9)]
    stored = {k: v for k, v in joiner.changes().items() if v is not None}
    again = TraceJoiner(1 << 20, 1.0, stored)
    found = again.join(told([(b"[INFO] x", 5)]))
    assert severities(found) == [(b"panic: boom", 17), (b"[INFO] x", 5)]


def test_a_trace_in_a_plain_file() -> None:
    plain = PlainAssembler(1 << 20, UTC)
    assembler = TraceAssembler(plain, Agent(), {})
    data = b"2026-11-20 10:11:12 start\n" + b"\n".join(PANIC) + b"\n2026-11-20 10:11:13 end\n"
    assert assembler.assemble(raw_of(data)).body.to_pylist() == [
        b"2026-11-20 10:11:12 start", b"\n".join(PANIC), b"2026-11-20 10:11:13 end",
    ]  # fmt: skip
