"""The words of the field and OpenTelemetry's numbers."""

import pytest

from kelp.model.severity import NUMBER_OF_WORD, level_of


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("trace", "trace"),
        ("dbg", "debug"),
        ("informational", "info"),
        ("notice", "info"),
        ("warning", "warn"),
        ("err", "error"),
        ("crit", "critical"),
        ("alert", "critical"),
        ("panic", "fatal"),
        ("emerg", "fatal"),
    ],
)
def test_level_of_word(word, level):
    assert level_of(NUMBER_OF_WORD[word]) == level


@pytest.mark.parametrize("number", [0, -1, 25, 255])
def test_numbers_outside_of_opentelemetry_are_unknown(number):
    assert level_of(number) == "unknown"


def test_every_number_of_opentelemetry_has_a_level():
    assert {level_of(n) for n in range(1, 25)} == {
        "trace", "debug", "info", "warn", "error", "critical", "fatal"
    }  # fmt: skip
