"""The task table of a report: rows with the columns that this kernel prints.

The head names the columns, and where it was lost they follow from how many numbers a row has
(`dump_tasks` in `mm/oom_kill.c`): seven with page tables as a count (3.10) or in bytes (4.15),
eight with `nr_pmds` (4.1), nine with `nr_puds`, ten since `rss` was split (6.8). A process may be
called "7", so the row with the fewest leading numbers decides.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from kelp.base.oom.kill import TaskRow

# A machine has at most 4 Mi tasks; a table of more rows than this is kept up to here.
MAX_ROWS = 65_536

_NUMBERS_MAX = 10
_PAGE_TABLES = "nr_ptes"
_BY_COUNT: dict[int, tuple[str, ...]] = {
    7: ("uid", "tgid", "total_vm", "rss", _PAGE_TABLES, "swapents", "oom_score_adj"),
    8: ("uid", "tgid", "total_vm", "rss", _PAGE_TABLES, "nr_pmds", "swapents", "oom_score_adj"),
    9: (
        *("uid", "tgid", "total_vm", "rss", _PAGE_TABLES, "nr_pmds", "nr_puds", "swapents"),
        "oom_score_adj",
    ),
    10: (
        *("uid", "tgid", "total_vm", "rss", "rss_anon", "rss_file", "rss_shmem"),
        *("pgtables_bytes", "swapents", "oom_score_adj"),
    ),
}
_KNOWN = frozenset(TaskRow.__struct_fields__) - {"pid", "name"}
_PAGE_BYTES = 4096  # the smallest page; page tables are whole pages


class TaskTable:
    """Gathers the rows of one report; they are read when the report is whole."""

    def __init__(self) -> None:
        self.columns: tuple[str, ...] | None = None
        self._rows: list[tuple[int, str]] = []
        self._pids: set[int] = set()

    def __bool__(self) -> bool:
        return self.columns is not None or bool(self._rows)

    @property
    def has_rows(self) -> bool:
        """Is there a row yet? (A head alone is a table too.)"""
        return bool(self._rows)

    def add(self, pid: int, rest: str) -> None:
        """Take a row: its pid and what follows the bracket."""
        if len(self._rows) < MAX_ROWS:
            self._rows.append((pid, rest))
            self._pids.add(pid)

    def has(self, pid: int) -> bool:
        """Is this process in the table?"""
        return pid in self._pids

    def rows(self) -> list[TaskRow]:
        """All rows that can be read; one that is cut off before its name is left out."""
        columns = self.columns or _columns_of(self._rows)
        if columns is None:
            return []
        found = (_row(pid, rest, columns) for pid, rest in self._rows)
        return [row for row in found if row is not None]


def is_row(rest: str) -> bool:
    """Can this be what follows a task's pid?"""
    return _leading_numbers(rest) >= 7


def _leading_numbers(rest: str) -> int:
    count = 0
    for token in rest.split(None, _NUMBERS_MAX + 1)[: _NUMBERS_MAX + 1]:
        if not _is_number(token):
            break
        count += 1
    return count


def _is_number(token: str) -> bool:
    digits = token[1:] if token[:1] == "-" else token
    return len(digits) <= 20 and digits.isascii() and digits.isdigit()


def _columns_of(rows: list[tuple[int, str]]) -> tuple[str, ...] | None:
    counts = [c for c in (_leading_numbers(rest) for _, rest in rows) if c >= 7]
    if not counts:
        return None
    columns = _BY_COUNT[min(*counts, _NUMBERS_MAX)]
    if len(columns) == 7:
        tables = [int(rest.split(None, 5)[4]) for _, rest in rows if _leading_numbers(rest) >= 7]
        if any(tables) and all(size % _PAGE_BYTES == 0 for size in tables):
            return tuple("pgtables_bytes" if c == _PAGE_TABLES else c for c in columns)
    return columns


def _row(pid: int, rest: str, columns: tuple[str, ...]) -> TaskRow | None:
    tokens = rest.split(None, len(columns) - 1)
    if len(tokens) < len(columns):
        return None
    # One blank before the name is the kernel's, any more are the name's own.
    last, _, name = tokens[-1].partition(" ")
    tokens[-1] = last
    if not all(_is_number(token) for token in tokens):
        return None
    values: dict[str, int | UnsetType] = {
        column: int(token) for column, token in zip(columns, tokens, strict=True)
    }
    # A vendor's own columns have no place here; uid -1 is printed by %d for the overflow uid.
    kept = {column: value for column, value in values.items() if column in _KNOWN}
    return TaskRow(pid=pid, name=name, **kept)


def number(value: int | UnsetType) -> int | None:
    """A cell, None where the kernel has no such column."""
    return None if value is UNSET or isinstance(value, UnsetType) else value
