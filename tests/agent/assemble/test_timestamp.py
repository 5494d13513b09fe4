from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.agent.assemble.timestamp import parse_texts
from tests.agent.assemble.reference import parse_time
from tests.agent.assemble.stamps import FULL, STAMPS


def parsed(texts: list[bytes]) -> list[int | None]:
    values, valid = parse_texts(texts)
    return [v if good else None for v, good in zip(values.tolist(), valid.tolist(), strict=True)]


@settings(max_examples=300, deadline=None)
@given(st.lists(STAMPS, min_size=1, max_size=50))
def test_equals_the_reference(texts: list[bytes]) -> None:
    assert [parse_time(t) for t in texts] == parsed(texts)


@pytest.mark.parametrize("at", range(len(FULL)))
def test_every_byte_of_a_stamp_counts(at: int) -> None:
    texts = [FULL[:at] + bytes([b]) + FULL[at + 1 :] for b in range(256)]
    assert [parse_time(t) for t in texts] == parsed(texts)


def test_every_day_of_four_centuries_and_the_days_around_their_months() -> None:
    first = date(1890, 1, 1)
    days = [first + timedelta(days=n) for n in range(0, 400 * 366, 3)]
    texts = [b"%04d-%02d-%02dT00:00:00Z" % (d.year, d.month, d.day) for d in days if d.year < 2262]
    texts += [
        b"%04d-%02d-%02dT00:00:00Z" % (y, m, d)
        for y in (1900, 2000, 2023, 2024, 2100)
        for m in range(14)
        for d in (0, 1, 28, 29, 30, 31, 32)
    ]
    assert [parse_time(t) for t in texts] == parsed(texts)
