from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from kelp.agent.parse import Parser
from kelp.base.settings import Agent, FormatRule
from kelp.model.lines import NO_STREAM, STDERR, STDOUT, STREAM_NAMES, Lines
from kelp.model.raw import Instance

JSON, LOGFMT, PROSE = b'{"level":"info","msg":"x"}', b"level=info msg=x", b"once upon a time"


def instance(pod: str, **labels: str) -> Instance:
    return Instance(f"shop/{pod}/1/app/0", {"pod": pod, "container": "app", **labels})


WEB = instance("web-0", namespace="shop", pod_uid="u1")


def make(rows: Sequence[tuple[Instance, int, bytes]]) -> Lines:
    instances = list(dict.fromkeys(r[0].key for r in rows))
    of_key = {r[0].key: r[0] for r in rows}
    return Lines(
        instances=[of_key[k] for k in instances],
        instance=np.array([instances.index(r[0].key) for r in rows], np.int32),
        stream=np.array([r[1] for r in rows], np.uint8),
        timestamp=np.zeros(len(rows), np.int64),
        position=np.arange(len(rows), dtype=np.uint64),
        body=pa.array([r[2] for r in rows], pa.binary()),
        marks={},
        observed_ns=0,
    )


def lines(body: bytes, count: int = 20, of: Instance = WEB, stream: int = STDOUT) -> Lines:
    return make([(of, stream, body)] * count)


def found(parser: Parser, batch: Lines) -> dict[tuple[str, str], str]:
    """(pod, stream) → format, of those that have one."""
    names = parser.parse(batch).formats
    keys = [(i.labels["pod"], s) for i in batch.instances for s in STREAM_NAMES]
    return {key: name for key, name in zip(keys, names, strict=True) if name}


def test_each_stream_has_its_own_format() -> None:
    other = instance("api-0")
    batch = make(
        [(WEB, STDOUT, JSON), (other, STDOUT, PROSE), (WEB, STDERR, LOGFMT), (other, 0, JSON)] * 9
    )
    assert found(Parser(Agent(), {}), batch) == {
        ("web-0", "stdout"): "json",
        ("web-0", "stderr"): "logfmt",
        ("api-0", STREAM_NAMES[NO_STREAM]): "json",
    }


def test_severity_comes_along() -> None:
    parsed = Parser(Agent(), {}).parse(lines(b"ERROR: broken", 2))
    assert parsed.severity_number.to_pylist() == [17, 17]
    assert parsed.severity_text.to_pylist() == ["ERROR", "ERROR"]


def test_an_empty_batch() -> None:
    assert found(Parser(Agent(), {}), make([])) == {}


def test_a_banner_does_not_decide() -> None:
    parser = Parser(Agent(), {})
    assert found(parser, lines(PROSE, 5)) == {}
    assert found(parser, lines(JSON, 30)) == {("web-0", "stdout"): "json"}


def test_a_few_odd_lines_change_nothing() -> None:
    parser = Parser(Agent(), {})
    found(parser, lines(JSON))
    for _ in range(20):
        assert found(parser, lines(PROSE, 1)) == {("web-0", "stdout"): "json"}


def test_a_program_that_changes_its_mind() -> None:
    parser = Parser(Agent(), {})
    found(parser, lines(JSON, 100))
    for _ in range(12):
        found(parser, lines(LOGFMT, 100))
    assert found(parser, lines(LOGFMT, 1)) == {("web-0", "stdout"): "logfmt"}


def test_lines_that_were_joined_say_nothing() -> None:
    assert found(Parser(Agent(), {}), lines(JSON + b"\n" + JSON)) == {}


def test_what_was_found_is_kept_over_a_restart() -> None:
    parser = Parser(Agent(), {})
    found(parser, lines(JSON))
    changes = parser.changes()
    assert changes == {"shop/web-0/1/app/0/stdout": b"json"}
    assert parser.changes() == {}
    again = Parser(Agent(), {k: v for k, v in changes.items() if v is not None})
    assert found(again, lines(PROSE, 1)) == {("web-0", "stdout"): "json"}
    assert again.changes() == {}


@pytest.mark.parametrize("stored", [b"no-such-format", b"\xff"])
def test_a_checkpoint_of_another_version_is_passed_over(stored: bytes) -> None:
    parser = Parser(Agent(), {"shop/web-0/1/app/0/stdout": stored})
    assert found(parser, lines(JSON)) == {("web-0", "stdout"): "json"}


def test_a_rule_goes_before_what_is_seen() -> None:
    rules = [
        FormatRule(namespace="shop", container="ap*", format="logfmt"),
        FormatRule(format="text"),
    ]
    parser = Parser(Agent(formats=rules), {})
    assert found(parser, lines(JSON)) == {("web-0", "stdout"): "logfmt"}
    assert found(parser, lines(JSON, of=instance("x", namespace="other"))) == {}


def test_an_annotation_goes_before_a_rule() -> None:
    named = {("u1", "app"): "json"}
    parser = Parser(
        Agent(formats=[FormatRule(format="logfmt")]), {}, lambda *key: named.get(key, "")
    )
    assert found(parser, lines(PROSE)) == {("web-0", "stdout"): "json"}
    named[("u1", "app")] = "no-such-format"
    assert found(parser, lines(PROSE)) == {("web-0", "stdout"): "logfmt"}
    named[("u1", "app")] = "text"
    assert found(parser, lines(PROSE)) == {}


def test_recognising_can_be_switched_off() -> None:
    assert found(Parser(Agent(recognise_formats=False), {}), lines(JSON)) == {}


def test_what_a_line_tells_of_a_problem_is_marked():
    kernel = Instance("kmsg:1", {"dataset": "kernel"})
    body = b"EXT4-fs (sda1): Remounting filesystem read-only"
    parsed = Parser(Agent(), {}).parse(make([(kernel, NO_STREAM, body)]))
    assert {0: {"problem": "FilesystemIsReadOnly", "problem_device": "sda1"}} == parsed.marks
    assert {0: 18} == parsed.least_severity
