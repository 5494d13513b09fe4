"""Draw the README's picture: what `kelp logs` and `kelp query` print beside a running demo.

make run ARGS=--demo          # in one terminal, for some minutes
python docs/images/draw.py    # in another
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 132
COMMANDS = [
    ["logs", "deployment/payments-api", "-i", "error", "--limit", "4", "--since", "10m"],
    ["logs", "deployment/ledger", "-i", "Exception|Caused by|at com.example",
     "--limit", "6", "--since", "10m"],
    ["query", "sum(rate({namespace=\"payments\"}[1m]))", "--since", "10m"],
]  # fmt: skip

# Rich's own frame would load its font from elsewhere; a picture in a repository loads nothing.
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


def printed(arguments: list[str]) -> str:
    """What a command prints on a terminal."""
    color = ["--color", "always"] if arguments[0] == "logs" else []
    done = subprocess.run(
        [sys.executable, "-m", "kelp", *arguments, *color],
        capture_output=True, text=True, check=True,
        env=os.environ | {"COLUMNS": str(WIDTH), "LINES": "20"},
    )  # fmt: skip
    return done.stdout


def main() -> None:
    """Ask the running Kelp, and draw its answers."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor")
    for arguments in COMMANDS:
        words = " ".join(a if a.replace("-", "").replace("/", "").isalnum() else f"'{a}'"
                         for a in arguments)  # fmt: skip
        console.print(Text(f"$ kelp {words}", style="bold"))
        for line in printed(arguments).splitlines():
            console.print(Text.from_ansi(line[:400]), overflow="ellipsis", no_wrap=True, crop=True)
        console.print()
    picture = console.export_svg(title="kelp", theme=MONOKAI, code_format=FRAME)
    Path(__file__).with_name("kelp.svg").write_text(picture)


if __name__ == "__main__":
    main()
