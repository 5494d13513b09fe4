"""Stack traces of other projects' tests, in the files that a container runtime makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelp.base.settings import Multiline
from tests.agent.samples.samples import DATA, assembled

FOLDER = DATA / "multiline"
FILES = sorted(p for p in FOLDER.glob("*/*.json") if p.parent.name != "loki")
LOKI = FOLDER / "loki" / "multiline_stage_inputs.json"

needs_samples = pytest.mark.skipif(not FILES, reason="no ../shared/data/multiline here")

# What only the user can say: which lines of his own go on.
RULES = {"endswith": [Multiline(unfinished_pattern=r"\\$")]}

STAMP = "2026-11-20T10:11:12.123456789Z"
SPLIT_BYTES = 24  # far below the 16 KiB of real runtimes, so that every line is split


def cri(lines: list[str]) -> Iterator[bytes]:
    """Fragments of containerd, a line of the other stream behind each."""
    for line in lines:
        data = line.encode()
        parts = [data[i : i + SPLIT_BYTES] for i in range(0, len(data), SPLIT_BYTES)] or [b""]
        for number, part in enumerate(parts):
            tag = b"F" if number == len(parts) - 1 else b"P"
            yield STAMP.encode() + b" stdout " + tag + b" " + part
            yield STAMP.encode() + b" stderr F other"


def docker(lines: list[str]) -> Iterator[bytes]:
    """Fragments of Docker: split where they are, written as dockerd does."""
    for line in lines:
        text = line + "\n"
        for at in range(0, len(text), SPLIT_BYTES):
            entry = {"log": text[at : at + SPLIT_BYTES], "stream": "stdout", "time": STAMP}
            yield json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()


@needs_samples
@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
@pytest.mark.parametrize("runtime", [cri, docker])
def test_records(path: Path, runtime: Callable[[list[str]], Iterator[bytes]]) -> None:
    case = json.loads(path.read_text())
    lines, expected = ([t.rstrip("\n") for t in case[k]] for k in ("input", "expected"))
    found = assembled(list(runtime(lines)), RULES.get(path.stem, ()))
    assert expected == [r.body.decode() for r in found if r.stream == 1]


@needs_samples
@pytest.mark.skipif(not LOKI.exists(), reason="no samples of Loki here")
def test_a_configured_beginning() -> None:
    """The first of the cases: inputs up to the first text with a newline, then what they become."""
    strings = json.loads(LOKI.read_text())["strings"]
    begin = strings.index("^START") + 1
    whole = next(i for i, s in enumerate(strings) if "\n" in s)
    first = strings.index(strings[begin], begin + 1)  # the inputs, each with a label, come again
    lines = [s for s in strings[begin:first] if s != "label"]
    count = len(strings[first:whole]) + lines.count("START line 2") + 2
    rules = [Multiline(start_pattern="^START")]
    found = assembled(list(cri(lines)), rules)
    assert strings[first : first + count] == [r.body.decode() for r in found if r.stream == 1]
