"""Samples of other projects, where they are at hand: every record as expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kelp.base.settings import Multiline
from tests.agent.assemble.traces.batches import Line, Node, joined

SHARED = Path(__file__).parents[4].parent / "shared" / "data" / "multiline"
FILES = sorted(SHARED.glob("*/*.json"))

pytestmark = pytest.mark.skipif(not FILES, reason="no ../shared/data/multiline beside the project")

# Samples of what has to be configured.
RULES = {"endswith": Multiline(unfinished_pattern=r"\\$")}


def case(path: Path) -> tuple[list[bytes], list[bytes]]:
    sample: dict[str, Any] = json.loads(path.read_text())
    if "input" not in sample:
        pytest.skip("no lines and records")
    read = [[text.rstrip("\n").encode() for text in sample[k]] for k in ("input", "expected")]
    return read[0], read[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [10**9, 1, 4])
def test_records(path: Path, size: int):
    lines, records = case(path)
    if path.stem in RULES:
        node = Node(multiline=[RULES[path.stem]])
        assert records == [r[-1] for r in node.read([Line(b) for b in lines]) + node.finish()]
    else:
        assert records == joined(lines, size)


def test_all_one_behind_the_other():
    cases = [case(path) for path in FILES if path.stem not in RULES and path.parent.name != "loki"]
    lines = [line for read, _ in cases for line in read]
    assert [r for _, wanted in cases for r in wanted] == joined(lines)
