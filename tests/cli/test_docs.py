"""What the pages tell people to type must at least be commands with options that exist."""

import shlex
from pathlib import Path

import pytest

from kelp.cli.main import load_command

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["tutorials/first-answer.md", "how-to/search-logs.md"]


def commands(page):
    """The lines of indented blocks that begin with `kelp `, comments cut off."""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("    kelp ") and not line.startswith("    kelp:"):
            yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_docs_can_be_typed(page):
    found = list(commands(page))
    assert len(found) > 8
    for name, *arguments in found:
        load_command(name).make_context(name, arguments)
