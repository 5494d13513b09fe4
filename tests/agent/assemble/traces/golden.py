"""The cases of tests/golden/traces: lines as they are, with a line `-----` between records."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[3] / "golden" / "traces"
FILES = sorted(FOLDER.glob("*.txt"))


def expected(path: Path) -> list[bytes]:
    """The records of a case."""
    found: list[list[bytes]] = [[]]
    for line in path.read_bytes().removesuffix(b"\n").split(b"\n"):
        if line == b"-----":
            found.append([])
        else:
            found[-1].append(line)
    return [b"\n".join(lines) for lines in found]


def lines(path: Path) -> list[bytes]:
    """The lines of a case, before joining."""
    return b"\n".join(expected(path)).split(b"\n")
