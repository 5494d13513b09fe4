"""agent.multiline: by start, by continuation, by what is unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelp.base.config import ConfigProblemsError, load_config
from kelp.base.settings import Multiline
from tests.agent.assemble.traces.batches import Line, Node

FRAMES = [b"java.lang.X: y", b"\tat a.B.c(B.java:1)"]


def run(rule: Multiline, bodies: list[bytes], size: int, detect: bool = True) -> list[bytes]:
    node, found = Node(multiline=[rule], detect=detect), []
    for begin in range(0, len(bodies), size):
        found += node.read([Line(body) for body in bodies[begin : begin + size]])
        node.restart()
    return [record[-1] for record in found + node.finish()]


@pytest.mark.parametrize("size", [1, 2, 99])
@pytest.mark.parametrize("detect", [True, False])
def test_start(size: int, detect: bool):
    lines = [b"early", b"START 1", b"x", b"  y", b"START 2", b"START 3", *FRAMES]
    wanted = [b"early", b"START 1\nx\n  y", b"START 2", b"START 3\n" + b"\n".join(FRAMES)]
    assert wanted == run(Multiline(start_pattern="^START"), lines, size, detect)


@pytest.mark.parametrize("size", [1, 2, 99])
def test_continue(size: int):
    lines = [b"> early", b"one", b"> a", b"> b", b"two", b"three", b"> c", b"\xff\xfe"]
    wanted = [b"> early", b"one\n> a\n> b", b"two", b"three\n> c", b"\xff\xfe"]
    assert wanted == run(Multiline(continue_pattern="^>"), lines, size)


@pytest.mark.parametrize("size", [1, 2, 99])
def test_unfinished(size: int):
    lines = [b"a \\", b"b\\", b"c", b"d", b"e\\"]
    wanted = [b"a \\\nb\\\nc", b"d", b"e\\"]
    assert wanted == run(Multiline(unfinished_pattern=r"\\$"), lines, size)


def test_the_first_rule_that_fits_counts_and_others_have_traces():
    rules = [
        Multiline(container="a*", start_pattern="^S"),
        Multiline(namespace="other", continue_pattern="."),
        Multiline(pod="b-*", continue_pattern="^>"),
    ]
    node = Node(multiline=rules)
    texts = {"a": [b"S", b"x"], "b": [b"S", b"x", b"> y"], "c": FRAMES}
    lines = [Line(body, key) for key, bodies in texts.items() for body in bodies]
    found = sorted((r[0], r[-1]) for r in node.read(lines) + node.finish())
    wanted = [("a", b"S\nx"), ("b", b"S"), ("b", b"x\n> y"), ("c", b"\n".join(FRAMES))]
    assert wanted == found


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("{start_pattern: '('}", 'expected a regular expression of RE2; got "("'),
        ("{start_pattern: '(?=x)'}", "expected a regular expression of RE2"),
        ("{start_pattern: a, continue_pattern: b}", "in rule 1; got 2"),
        ("{container: x}", "in rule 1; got 0"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(tmp_path: Path, rule: str, text: str):
    path = tmp_path / "kelp.yaml"
    path.write_text(f"agent:\n  multiline:\n    - {rule}\n")
    with pytest.raises(ConfigProblemsError, match=r"agent\.multiline") as error:
        load_config(path, {})
    assert text in str(error.value)
