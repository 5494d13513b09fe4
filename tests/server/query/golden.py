"""Golden cases: plain files of inputs and the outputs that they must have.

A file is a list of blocks, parted by blank lines. In a block, lines that start with `> ` are the
input (joined by line ends), the others the output. A line that starts with `#` is a comment. Files
under results/ set a scene as well: see scenes.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "golden" / "logql"


@dataclass(frozen=True)
class Case:
    """One input; `line` is where it stands in the file."""

    file: str
    line: int
    text: str
    output: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def cases(name: str) -> list[Case]:
    """The cases of one file."""
    found: list[Case] = []
    block: list[str] = []
    start = 0
    for number, line in enumerate([*(FOLDER / name).read_text().splitlines(), ""], 1):
        if line.startswith("#"):
            continue
        if line.strip():
            start = start if block else number
            block.append(line)
        elif block:
            text = [b[2:] for b in block if b.startswith("> ")]
            output = [b for b in block if not b.startswith("> ")]
            found.append(Case(name, start, "\n".join(text), "\n".join(output)))
            block = []
    return found
