"""What a query may cost, and what is said when it would cost more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kelp.base.settings import Query as QuerySettings
from kelp.server.ports import BudgetError, EngineError, QueryError


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper bounds of one query; 0: no bound of its own, the server's counts."""

    timeout_s: float = 0.0
    max_memory_bytes: int = 0
    max_scanned_rows: int = 0
    max_scanned_bytes: int = 0

    def within(self, limits: QuerySettings) -> Budget:
        """The smaller of each bound: a request can ask for less, never for more."""
        return Budget(
            _least(self.timeout_s, limits.timeout_s),
            int(_least(self.max_memory_bytes, limits.max_memory_bytes)),
            int(_least(self.max_scanned_rows, limits.max_scanned_rows)),
            int(_least(self.max_scanned_bytes, limits.max_scanned_bytes)),
        )

    def left(self, spent_s: float, rows: int, size: int) -> Budget:
        """What is left of it when so much was spent; BudgetError where there is nothing left."""
        self.check_time(spent_s)
        if self.max_scanned_rows and rows >= self.max_scanned_rows:
            raise over(_LIMITS[_ROWS])
        if self.max_scanned_bytes and size >= self.max_scanned_bytes:
            raise over(_LIMITS[_BYTES])
        return Budget(
            self.timeout_s - spent_s if self.timeout_s else 0.0,
            self.max_memory_bytes,
            self.max_scanned_rows - rows if self.max_scanned_rows else 0,
            self.max_scanned_bytes - size if self.max_scanned_bytes else 0,
        )

    def check_time(self, spent_s: float) -> None:
        """BudgetError where the time is over."""
        if self.timeout_s and spent_s >= self.timeout_s:
            raise over(f"it took longer than timeout_s ({self.timeout_s:g} s)")

    def settings(self) -> dict[str, float | int]:
        """As settings of the engine."""
        named = {
            "max_execution_time": max(self.timeout_s, 0.001) if self.timeout_s else 0,
            "max_memory_usage": self.max_memory_bytes,
            "max_rows_to_read": self.max_scanned_rows,
            "max_bytes_to_read": self.max_scanned_bytes,
        }
        return {name: value for name, value in named.items() if value}


def _least(asked: float, allowed: float) -> float:
    return min(asked, allowed) if asked and allowed else asked or allowed


# ClickHouse's error codes: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
_ROWS, _MEMORY, _BYTES = 158, 241, 307
_LIMITS: Mapping[int, str] = {
    _ROWS: "it would read more rows than max_scanned_rows",
    159: "it took longer than timeout_s",
    160: "it would take longer than timeout_s",
    _MEMORY: "it needed more memory than max_memory_bytes",
    _BYTES: "it would read more bytes than max_scanned_bytes",
    396: "its result grew too large",
}
_CANCELLED = 394
_BAD_REGEXP = 427
_ADVICE = "narrow the time range or the selector, or add a line filter"


def over(why: str, *, divisible: bool = False) -> BudgetError:
    """The error for a limit that was reached."""
    return BudgetError(f"query stopped: {why}; {_ADVICE}", divisible=divisible)


def engine_failed(error: EngineError) -> Exception:
    """The error as the one who asked should see it; the engine's own where it is no limit."""
    if error.code in _LIMITS:
        return over(_LIMITS[error.code], divisible=error.code in (_ROWS, _MEMORY, _BYTES))
    if error.code == _CANCELLED:
        return BudgetError("query stopped: it was cancelled", cancelled=True)
    if error.code == _BAD_REGEXP:
        return QueryError(f"the engine does not take this regexp: {error}")
    return error
