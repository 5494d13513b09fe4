"""What SQL converts is what the pipeline converts, wherever SQL says that it may be trusted."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelp.server.query.logql.literals import parse_bytes, parse_float, parse_go_duration
from kelp.server.query.sql.text import array, string
from kelp.server.query.sql.values import duration_ns, duration_s, number, size_bytes
from kelp.server.store.store import Store

KINDS = {
    "number": (number, parse_float),
    "duration": (duration_ns, parse_go_duration),
    "seconds": (duration_s, lambda text: parse_go_duration(text) / 1e9),
    "size": (size_bytes, lambda text: float(parse_bytes(text))),
}
PLAIN: dict[str, list[str]] = {
    "number": ["5", "-1.5", "+0.001", "97.403", "123456789012345.5"],
    "duration": [
        "0",
        "5ms",
        "1.5s",
        "-250ms",
        "1m30s",
        "1h2m3.000000001s",
        "12µs",
        "7μs",
        "99999h",
    ],
    "seconds": ["0.123456789s", "1h", "3ns"],
    "size": ["5", "5B", "3KB", "3 kb", "1.5MiB", "2g", "10 Gi", "123456789012345", "0.7kb"],
}  # fmt: skip
PIECES = [
    "0", "1", "7", "12", "999999", "123456789012345678901", ".", "-", "+", "e", "E5", "_", ",",
    " ", "x", "ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "b", "B", "k", "K", "Mi", "iB",
    "GiB", "e", "inf", "NaN", "0x", "é", "\n", "٣",
]  # fmt: skip


def _asked(store: Store, texts: list[str], kind: str) -> list[tuple[bool, float]]:
    found = KINDS[kind][0]("t")
    sql = (
        f"SELECT {found.plain} AS plain, {found.value} AS value FROM (SELECT arrayJoin("
        f"arrayEnumerate(all)) AS i, all[i] AS t FROM (SELECT {array(map(string, texts))} AS all)) "
        "ORDER BY i"
    )
    table = store.engine.query(sql)
    plain, values = table.column("plain").to_pylist(), table.column("value").to_pylist()
    return [(bool(p), v) for p, v in zip(plain, values, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_plain_texts_are_converted_alike(kind: str, data: st.DataObject, store: Store) -> None:
    text = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
    texts = data.draw(st.lists(text | st.sampled_from(PLAIN[kind]), min_size=1, max_size=60))
    for one, (plain, value) in zip(texts, _asked(store, texts, kind), strict=True):
        if plain:
            assert KINDS[kind][1](one) == value, one


@pytest.mark.parametrize("kind", KINDS)
def test_usual_texts_are_plain(kind: str, store: Store) -> None:
    for text, (plain, value) in zip(PLAIN[kind], _asked(store, PLAIN[kind], kind), strict=True):
        assert (True, KINDS[kind][1](text)) == (plain, value), text
