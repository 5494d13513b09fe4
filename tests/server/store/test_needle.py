from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelp.server.store.needle import NeedleDialect
from kelp.server.store.store import Store
from tests.server.samples import group, part
from tests.server.store.reading import column

HEX32 = "0123456789abcdef0123456789abcdef"
UUID = "f373ca53-f3b7-873b-5c9b-b0a82587be6b"
DIGEST = HEX32 * 2
BODIES = [
    f"id={HEX32}",
    f"{HEX32} first",
    f"longer {HEX32}0",
    f"longer 0{HEX32}",
    f"digest sha256:{DIGEST}",
    f"pod {UUID} started",
    f"pvc-{UUID}",
    f"{UUID}-1",
    f"{UUID[:-1]}",
    f"ab-{HEX32}-",
    f"{HEX32[:31]}",
    "-" * 40,
    "",
    "plain words, permission denied",
    f"{UUID}{UUID}",
    f"{HEX32[:24]}{UUID}",
    f"{HEX32} {UUID} {DIGEST}",
    HEX32.upper(),
]
NEEDLES = [
    HEX32, UUID, DIGEST, f"id={HEX32}", f" {UUID} ", f"{HEX32}0", f"0{HEX32}", UUID[1:], UUID[:35],
    UUID[:33], HEX32[:31], HEX32[:16], f"-{HEX32}-", f":{DIGEST}", DIGEST[:40], "-" * 32, "-" * 36,
    "permission denied", "", "it's", f"{HEX32} {UUID}", f"{HEX32} f", HEX32.upper(), "\\",
    f"{UUID}f", f"=\x00{HEX32}",
]  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    store.insert(group("g", part([b.encode() for b in BODIES])))
    store.insert(group("h", part([b"filler"] * 20_000)))
    store.engine.command("OPTIMIZE TABLE records FINAL")  # type: ignore[attr-defined]
    return store


@pytest.mark.parametrize("needle", NEEDLES)
def test_a_needle_is_found_wherever_it_is(filled: Store, needle: str) -> None:
    condition = filled.dialect.contains("body", needle.encode())
    sql = f"SELECT body FROM records WHERE body != 'filler' AND {condition} ORDER BY body"
    expected = sorted(b.encode() for b in BODIES if needle in b)
    assert expected == column(filled.engine, sql)


@pytest.mark.parametrize("needle", NEEDLES)
def test_a_negated_needle_is_the_complement(filled: Store, needle: str) -> None:
    condition = filled.dialect.contains("body", needle.encode())
    sql = f"SELECT body FROM records WHERE body != 'filler' AND NOT ({condition}) ORDER BY body"
    expected = sorted(b.encode() for b in BODIES if needle not in b)
    assert expected == column(filled.engine, sql)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_runs_of_any_shape_are_found(store: Store, data: st.DataObject) -> None:
    """The condition itself, without an index: what it claims of a body that holds the needle."""
    run = st.text(alphabet="a0-", min_size=25, max_size=45)
    pieces = st.sampled_from([" ", "g", "", HEX32, UUID])
    needle = data.draw(st.tuples(pieces, run, pieces).map("".join))
    body = data.draw(pieces) + data.draw(run) + needle + data.draw(run) + data.draw(pieces)
    condition = NeedleDialect().contains("body", needle.encode())
    sql = f"SELECT {condition} FROM (SELECT materialize('{body}') AS body)"
    assert column(store.engine, sql) == [1]


def test_an_identifier_is_found_through_the_index(filled: Store) -> None:
    condition = filled.dialect.contains("body", b"ffffffffffffffffffffffffffffffff")
    plan = column(
        filled.engine, f"EXPLAIN indexes = 1 SELECT count() FROM records WHERE {condition}"
    )
    text = b"\n".join(plan).decode()
    assert "Name: ids" in text


def test_other_columns_are_asked_without_the_index() -> None:
    found = NeedleDialect().contains("upper(body)", HEX32.encode())
    assert f"position(upper(body), '{HEX32}') > 0" == found
