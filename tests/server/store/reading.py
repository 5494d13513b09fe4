"""Short ways to ask a store in tests."""

from __future__ import annotations

from typing import Any

from kelp.server.ports import Engine


def scalar(engine: Engine, sql: str, **parameters: Any) -> Any:
    """The one value of a query."""
    return engine.query(f"{sql} ", parameters=parameters).column(0)[0].as_py()


def column(engine: Engine, sql: str) -> list[Any]:
    """The first column of a query."""
    table = engine.query(sql)
    return table.column(0).to_pylist() if table.num_columns else []
