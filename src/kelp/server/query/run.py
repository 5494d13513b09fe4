"""One question's way to the engine: its budget, its id, its clock, and what it has cost."""

from __future__ import annotations

import pyarrow as pa

from kelp.base.clock import Clock
from kelp.server.ports import Engine, EngineError, read_for
from kelp.server.query.budget import Budget, engine_failed
from kelp.server.result import Stats


class Run:
    """Asks the engine for one query of a user, which may take several of its own."""

    def __init__(self, engine: Engine, budget: Budget, clock: Clock, query_id: str = "") -> None:
        self._engine = engine
        self._budget = budget
        self._clock = clock
        self._started = clock.monotonic()
        self.query_id = query_id
        self.stats = Stats()
        self.warnings: list[str] = []
        self.sql: list[str] = []

    def ask(self, sql: str) -> pa.Table:
        """The rows of a SELECT; BudgetError where it would cost too much."""
        spent = self.spent_s()
        self.sql.append(sql)
        # Rows of other tables are no lines of anybody's log: they are bounded, and not added up.
        of_records = " FROM records " in sql
        read = (self.stats.rows_read, self.stats.bytes_read) if of_records else (0, 0)
        left = self._budget.left(spent, *read)
        try:
            table = self._engine.query(sql, settings=left.settings(), query_id=self.query_id)
        except EngineError as e:
            raise engine_failed(e) from e
        finally:
            self.stats.seconds = self.spent_s()
        if of_records:
            rows, size = read_for(table)
            self.stats.rows_read += rows
            self.stats.bytes_read += size
        return table

    def spent_s(self) -> float:
        """Seconds since the question was asked."""
        return self._clock.monotonic() - self._started

    def check_time(self) -> None:
        """BudgetError when the time is over; for work that is done outside the engine."""
        self._budget.check_time(self.spent_s())
