"""Lines of /kelp/v1/logs: exact bytes, and losses where they fall."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.model.loss import Loss
from kelp.server.result import Entry
from kelp.server.serve.ndjson import LineEncoder, Losses

WEB = {"pod": "web", "restart": "0"}
DB = {"pod": "db", "restart": "0"}


def loss(position: int, start: int, end: int) -> Loss:
    return Loss(
        labels=WEB, position=position, size_bytes=1, start_ns=start, end_ns=end, reason="deleted"
    )


@given(st.binary())
def test_the_exact_bytes_are_always_there(line: bytes) -> None:
    record = json.loads(LineEncoder().record(WEB, Entry(1, 2, line)))["record"]
    exact = record.get("line_base64")
    assert line == (base64.b64decode(exact) if exact else record["line"].encode())


def test_severity_is_not_said_twice() -> None:
    entry = Entry(1, 2, b"x", {"detected_level": "warn", "k": "v"})
    record = json.loads(LineEncoder().record(WEB, entry))["record"]
    assert (record["severity"], record["metadata"]) == ("warn", {"k": "v"})


@pytest.mark.parametrize(
    ("labels", "timestamp", "position", "due"),
    [
        (WEB | {"stream": "stdout"}, 5, 99, False),  # before it, whatever its time says
        (WEB | {"stream": "stdout"}, 5, 100, True),
        (WEB | {"stream": "stderr"}, 0, 100, True),
        (DB | {"stream": "stdout"}, 9, 500, False),
        (DB | {"stream": "stdout"}, 20, 0, True),
    ],
)
def test_within_an_instance_the_position_decides_elsewhere_the_time(
    labels: dict[str, str], timestamp: int, position: int, due: bool
) -> None:
    losses = Losses([loss(100, 10, 20)], backward=False)
    assert due == bool(list(losses.before(labels, Entry(timestamp, position, b""))))


@given(st.permutations(range(6)), st.booleans())
def test_each_loss_is_given_once_and_in_order(order: list[int], backward: bool) -> None:
    losses = Losses([loss(n * 10, n * 10, n * 10 + 5) for n in order], backward=backward)
    entries = [Entry(n * 10 + 7, n * 10 + 7, b"") for n in range(6)]
    given_out: list[Loss] = []
    for entry in reversed(entries) if backward else entries:
        given_out += losses.before(WEB, entry)
    given_out += losses.rest()
    found = [x.position for x in given_out]
    assert sorted(range(0, 60, 10), reverse=backward) == found
