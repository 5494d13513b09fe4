"""Slices of records: what costs parsing is asked of the rows that the rest leaves, of no others."""

from __future__ import annotations

from kelp.server.query.plan.slices import Source, slice_sql
from kelp.server.query.records import COLUMNS
from kelp.server.store.store import Store
from tests.server.query.store import EPOCH, SECOND, Line, insert

NEEDLE = "position(body, 'right') > 0"
PARSED = "extractGroups(body, '^right ([0-9]+)$')[1] = '7'"


def test_lines_are_parsed_behind_what_drops_them_for_less(store: Store) -> None:
    bodies = [b"wrong %d" % i if i % 7 else b"right %d" % i for i in range(1000)]
    lines = [Line({"app": "sliced"}, i * SECOND, body) for i, body in enumerate(bodies)]
    insert(store, "sliced", lines)
    end = EPOCH + 2000 * SECOND
    source = Source(COLUMNS, NEEDLE, EPOCH, end, backward=False, read=PARSED)
    sql = slice_sql(source, EPOCH, end, 500)
    before, behind = sql.split(" WHERE ")
    assert NEEDLE in before.split(" PREWHERE ")[1]
    assert behind.startswith(PARSED)
    assert [b"right 7"] == store.engine.query(sql).column("body").to_pylist()
