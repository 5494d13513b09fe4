"""Ten thousand inputs for every parser: none raises but what its callers expect.

hypothesis draws where each run of changes begins and what it puts in; inputs are made many at a
time, for most parsers read many at a time.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.changes import changed
from tests.fuzz.parsers import PARSERS, Parser

INPUTS, AT_ONCE = 10_000, 100

fragments = st.lists(st.binary(max_size=12), max_size=3)
often = settings(
    max_examples=INPUTS // AT_ONCE,
    deadline=None,
    derandomize=True,  # the same inputs everywhere: who changes a parser sees what he broke
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_no_input_is_too_strange(parser: Parser) -> None:
    count = 0

    @often
    @given(st.integers(0, 2**64), fragments)
    def run(seed: int, put: list[bytes]) -> None:
        nonlocal count
        random = Random(seed)
        inputs = [changed(random, parser.seeds, put) for _ in range(AT_ONCE)]
        count += len(inputs)
        try:
            parser.run(inputs)
        except Exception as e:
            raise AssertionError(f"{parser.name}: {_first_bad(parser, inputs)!r}") from e

    run()
    assert count >= INPUTS


def _first_bad(parser: Parser, inputs: list[bytes]) -> list[bytes]:
    """The one input that fails alone; all where it takes several."""
    for data in inputs:
        try:
            parser.run([data])
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            return [data]
    return inputs
