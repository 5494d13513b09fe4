"""Cases by hand, a file a language: the same records however the lines are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelp.agent.assemble.traces.languages import LANGUAGES
from kelp.agent.assemble.traces.machine import TraceMachine
from tests.agent.assemble.traces.batches import joined
from tests.agent.assemble.traces.golden import FILES, expected, lines


def test_there_are_cases():
    assert len(FILES) >= 12


def test_every_state_has_rules():
    assert TraceMachine(LANGUAGES).missing_states() == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [10**9, 1, 3])
def test_records(path: Path, size: int):
    assert expected(path) == joined(lines(path), size)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_records_with_a_restart_behind_every_line(path: Path):
    assert expected(path) == joined(lines(path), 1, restart=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_lines_that_end_as_on_windows(path: Path):
    carriage = [line + b"\r" for line in lines(path)]
    found = [record.replace(b"\r", b"") for record in joined(carriage)]
    assert expected(path) == found
