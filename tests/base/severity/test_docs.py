"""docs/reference/severity.md names every word and every key."""

from __future__ import annotations

import re
from pathlib import Path

from kelp.base.severity.grammar import KEYS
from kelp.model.severity import NUMBER_OF_WORD, level_of

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "severity.md").read_text()


def test_the_table_of_words() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \| ([a-z, ]+) \|$", PAGE, re.MULTILINE)
    documented = {word: int(number) for number, _, words in rows for word in words.split(", ")}
    assert documented == NUMBER_OF_WORD
    assert all(level_of(int(number)) == level for number, level, _ in rows)


def test_the_list_of_keys() -> None:
    assert all(f"`{key}`" in PAGE for key in KEYS)
