"""The agent's side against servers that answer as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.ask import Asks, RefusedAskError
from kelp.agent.ask import asks as module
from kelp.agent.ask.channel import Channel
from kelp.agent.connection import Connection
from kelp.base.clock import SystemClock
from kelp.base.errors import KelpError
from kelp.base.settings import Ship
from kelp.wire.asks import Ask, Presence
from tests.agent.ship.scripted import Reply, Scripted, serving
from tests.waiting import wait_until

ASK = {"ask": {"id": "1", "report": "top", "parameters": {"sort": "cpu"}, "timeout_s": 5.0}}
NONE: Reply = (200, {}, b'{"ask":null}')


def handed(**changes: object) -> Reply:
    return 200, {}, json.dumps({"ask": {**ASK["ask"], **changes}}).encode()


class Scene:
    """Asks against a script; `last` holds the agent's polls when the script is at its end."""

    def __init__(self, url: str, answerer, tmp_path: Path) -> None:
        self.registry = CollectorRegistry()

        def connect(extra_s: float) -> Channel:
            return Channel(Connection(Ship(url=url, timeout_s=2.0), tmp_path / "token"), "agent-1")

        self.asks = Asks(
            connect, Presence(node="n1", version="9"), answerer, SystemClock(), self.registry
        )

    def outcome(self, name: str) -> float:
        return self.registry.get_sample_value("kelp_agent_asks_total", {"outcome": name}) or 0.0


@contextmanager
def running(script: Scripted, answerer, tmp_path: Path) -> Iterator[Scene]:
    held = threading.Event()

    def hold(handler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        held.wait(10)
        handler.close_connection = True

    script.replies.append(hold)
    with serving(script) as url:
        scene = Scene(url, answerer, tmp_path)
        scene.asks.start()
        try:
            yield scene
        finally:
            held.set()
            scene.asks.stop(5)


class Taking(Scripted):
    """`taken` has the requests with their bodies: several come at once."""

    def __init__(self) -> None:
        super().__init__(asks=True)
        self.taken: list[tuple[str, dict[str, str], bytes]] = []


def answers(script: Taking) -> list[tuple[dict[str, str], bytes]]:
    found = [(urlsplit(path), body) for path, _, body in script.taken]
    return [
        ({k: v[0] for k, v in parse_qs(u.query).items()}, body)
        for u, body in found
        if u.path == "/kelp/v1/answers"
    ]


def script_of(*polls: Reply, part: Reply = (204, {}, b"")) -> Taking:
    """`polls` are the answers to polls in order; parts get `part`."""
    script = Taking()
    waiting = list(polls)

    def reply(handler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        path, headers = handler.path, {k.lower(): v for k, v in handler.headers.items()}
        script.taken.append((path, headers, body))
        is_part = path.startswith("/kelp/v1/answers")
        status, _, text = part if is_part else waiting.pop(0) if waiting else NONE
        if not is_part and status == 200 and text == NONE[2]:
            threading.Event().wait(0.05)  # as a server that has nothing
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    script.replies = Endless(reply)
    return script


class Endless(list):
    def __init__(self, reply) -> None:
        super().__init__([reply])
        self._reply = reply

    def pop(self, _index=0):
        return self._reply

    def append(self, _item) -> None:
        pass


def test_a_question_is_taken_and_answered(tmp_path):
    (tmp_path / "token").write_text("secret")
    script = script_of(handed())
    seen: list[Ask] = []
    with running(script, lambda ask: seen.append(ask) or [b"ab", b"c"], tmp_path) as scene:
        wait_until(lambda: scene.outcome("answered"))
    assert seen[0].parameters == {"sort": "cpu"}
    path, headers, body = script.taken[0]
    assert path == "/kelp/v1/asks?wait_s=0"
    assert json.loads(body) == {"node": "n1", "version": "9", "reports": []}
    assert (headers["kelp-agent-id"], headers["authorization"]) == ("agent-1", "Bearer secret")
    polls = [p for p, _, _ in script.taken if p.startswith("/kelp/v1/asks")]
    assert polls[1:] == ["/kelp/v1/asks?wait_s=25"] * (len(polls) - 1)
    expected = {"ask": "1", "part": "0", "last": "true", "outcome": "ok"}
    assert answers(script) == [(expected, b"abc")]


def test_a_long_answer_goes_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 10)
    script = script_of(handed())
    with running(script, lambda ask: [b"x" * 25], tmp_path) as scene:
        wait_until(lambda: scene.outcome("answered"))
    found = [(q["part"], q["last"], len(body)) for q, body in answers(script)]
    assert found == [("0", "false", 10), ("1", "false", 10), ("2", "true", 5)]


@pytest.mark.parametrize(
    ("error", "outcome", "said"),
    [
        (RefusedAskError("expected a sort"), "refused", b"expected a sort"),
        (KelpError("no right"), "failed", b"no right"),
        (ZeroDivisionError("x"), "failed", b"ZeroDivisionError; the agent's log has the reason"),
    ],
)
def test_what_goes_wrong_is_told(tmp_path, error, outcome, said):
    def answerer(ask):
        raise error

    script = script_of(handed())
    with running(script, answerer, tmp_path) as scene:
        wait_until(lambda: scene.outcome(outcome))
    ((query, body),) = answers(script)
    assert (query["outcome"], query["last"], body) == (outcome, "true", said)


def test_what_goes_wrong_in_the_middle_is_told_after_what_went(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 2)

    def answerer(ask):
        yield b"xxx"
        raise KelpError("the disk is gone")

    script = script_of(handed())
    with running(script, answerer, tmp_path) as scene:
        wait_until(lambda: scene.outcome("failed"))
    parts = [(q["part"], q["outcome"]) for q, _ in answers(script)]
    assert parts == [("0", "ok"), ("1", "failed")]


def test_an_answer_without_end_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 100)

    def answerer(ask):
        while True:
            yield b"x" * 10

    script = script_of(handed())
    with running(script, answerer, tmp_path) as scene:
        wait_until(lambda: scene.outcome("failed"))
    assert b"the answer is longer than 100 bytes" in answers(script)[-1][1]


def test_an_answer_that_nobody_waits_for_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 2)
    given = []

    def answerer(ask):
        for i in range(1000):
            given.append(i)
            yield b"xx"

    script = script_of(handed(), part=(410, {}, b"left"))
    with running(script, answerer, tmp_path) as scene:
        wait_until(lambda: scene.outcome("unwanted"))
    assert len(given) < 5


def test_a_question_whose_time_is_over_is_not_answered(tmp_path):
    script = script_of(handed(timeout_s=0.0))
    with running(script, lambda ask: [b"x"], tmp_path) as scene:
        wait_until(lambda: scene.outcome("unwanted"))
    assert answers(script) == []


def test_four_are_answered_at_once_and_the_fifth_waits(tmp_path):
    go, busy = threading.Event(), []

    def answerer(ask):
        busy.append(ask.id)
        go.wait(10)
        return [b"x"]

    script = script_of(*(handed(id=str(i)) for i in range(6)))
    with running(script, answerer, tmp_path) as scene:
        wait_until(lambda: len(busy) == 4)
        polls = len(script.seen)
        assert polls == 4
        go.set()
        wait_until(lambda: scene.outcome("answered") == 6)
    assert len(set(busy)) == 6


def test_a_server_that_fails_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FIRST_BACKOFF_S", 0.01)
    script = script_of((503, {}, b"starting"), (500, {}, b""), (200, {}, b"nonsense"), handed())
    with running(script, lambda ask: [b"x"], tmp_path) as scene:
        wait_until(lambda: scene.outcome("answered"))
        wait_until(lambda: scene.registry.get_sample_value("kelp_agent_ask_up") == 1.0)


def test_a_server_that_knows_no_questions_is_left_alone(tmp_path):
    script = script_of((404, {}, b"there is no such thing here"))
    with running(script, lambda ask: [b"x"], tmp_path) as scene:
        wait_until(lambda: script.seen)
        scene.asks.stop(5)
        assert len(script.seen) == 1
        assert scene.registry.get_sample_value("kelp_agent_ask_up") == 0.0


def test_a_server_that_does_not_let_it_wait_is_not_asked_all_the_time(tmp_path):
    script = script_of(*[(200, {}, b"{}")] * 1000)
    with running(script, lambda ask: [b"x"], tmp_path) as scene:
        wait_until(lambda: len(script.taken) >= 2)
        scene.asks.stop(5)
    assert len(script.taken) <= 3


def test_a_stop_does_not_wait_for_the_server(tmp_path):
    script = Scripted(asks=True)
    with running(script, lambda ask: [b"x"], tmp_path) as scene:
        wait_until(lambda: script.seen)
        scene.asks.stop(5)
        assert not scene.asks._thread.is_alive()


def test_a_new_way_to_the_server_is_taken_at_once(tmp_path):
    old, new = Scripted(asks=True), script_of(handed())
    with serving(new) as url, running(old, lambda ask: [b"x"], tmp_path) as scene:
        wait_until(lambda: old.seen)
        connection = Connection(Ship(url=url), tmp_path / "token")
        scene.asks.reconfigure(lambda extra_s: Channel(connection, "agent-1"))
        wait_until(lambda: new.seen)
