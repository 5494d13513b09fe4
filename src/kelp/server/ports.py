"""What the server's stages ask of each other, without knowing each other; app.py joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream


class Engine(Protocol):
    """A ClickHouse, embedded or remote. Must be safe to call from several threads at once."""

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        query_id: str = "",
    ) -> pa.Table:
        """Run a SELECT with `{name:Type}` parameters bound; raises EngineError.

        Columns of type String (also within Map, Array and LowCardinality) come as pa.binary, for
        what is stored need not be UTF-8. Parameters are str, int, float, or lists of
        them; arbitrary bytes go into the text, through `Dialect`. `settings` become a SETTINGS
        clause: `sql` must have none of its own. What was read for it: `read_for`.
        """

    def cancel(self, query_id: str) -> None:
        """Stop the query with that id; does nothing where there is none."""


_ROWS_READ, _BYTES_READ = b"kelp.rows_read", b"kelp.bytes_read"


def with_cost(table: pa.Table, rows_read: int, bytes_read: int) -> pa.Table:
    """The same rows, with what the engine read from its tables for them (uncompressed bytes)."""
    said = {_ROWS_READ: str(rows_read), _BYTES_READ: str(bytes_read)}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **said})


def read_for(table: pa.Table) -> tuple[int, int]:
    """Rows and bytes that an engine read for this answer; zeros where it did not tell."""
    said = table.schema.metadata or {}
    return int(said.get(_ROWS_READ, 0)), int(said.get(_BYTES_READ, 0))


class EngineError(Exception):
    """The engine refused or failed; `code` is ClickHouse's error code.

    0 where it gave none: the engine was not reached, or went away.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class RefusedError(EngineError):
    """The engine will never take this data, however often it is offered."""


class Dialect(Protocol):
    """What the store knows about asking itself: conditions that its indexes answer."""

    def contains(self, column: str, needle: bytes) -> str:
        """An SQL condition that holds exactly where the bytes of `column` contain `needle`.

        `column` is an SQL expression of type String; indexes help where it is `body`.
        """


@dataclass(frozen=True)
class Received:
    """What one sender of one tenant sent as a whole: a segment, or a push of another protocol."""

    tenant: str
    agent_id: str  # empty: no agent of ours, `seq` then says nothing
    seq: int
    batches: Sequence[pa.RecordBatch]  # of RECORD_SCHEMA; stream ids are those of the tenant
    streams: Sequence[Stream]  # of the tenant: each stream_id of `batches` is among them
    files: Sequence[SourceFile] = ()
    losses: Sequence[Loss] = ()


@dataclass(frozen=True)
class Group:
    """What goes into the store as one insert.

    The same name must always stand for the same content: the store drops a group whose name it
    has seen, which is how a repeat after a crash does no harm.
    """

    name: str
    created_ns: int  # the server's time when the group was put together
    parts: Sequence[Received]


@dataclass(frozen=True)
class Scope:
    """Who asks, as a condition on every read: the streams of a tenant, narrowed by SQL.

    The one way to records leads through the table `streams`, and this condition stands in each
    such query. `condition` is an expression over the columns of `streams` that Kelp made itself.
    """

    tenant: str = ""
    condition: str = "1"


@dataclass(frozen=True)
class Deletion:
    """A request to delete records; `scope` is the condition of the Scope of whoever asked."""

    id: str
    tenant: str
    query: str  # a selector with line filters
    scope: str
    start_ns: int
    end_ns: int  # both ends included
    created_ns: int
    processed: bool = False


@dataclass(frozen=True)
class Doomed:
    """What a Deletion means: records of these streams that fulfil an SQL condition."""

    stream_ids: Sequence[int]
    condition: str


class Deletions(Protocol):
    """Requests to delete. Must be safe to call from several threads; raises EngineError."""

    def add(self, deletion: Deletion) -> None:
        """Keep a request; it must survive a restart from here on."""

    def listed(self, scope: Scope) -> list[Deletion]:
        """Those that the scope may know of, the newest first, without cancelled ones."""

    def cancel(self, deletion: Deletion) -> bool:
        """Whether it was cancelled; False where it is under way or processed."""


class QueryError(Exception):
    """The query is wrong: the user's to mend (HTTP 400).

    `has_place`: the text says line and column of what is wrong.
    """

    def __init__(self, message: str, *, has_place: bool = False) -> None:
        super().__init__(message)
        self.has_place = has_place


class BudgetError(Exception):
    """The query is right but costs more than it may; says which limit, and how to narrow it.

    `divisible`: it was one question that would have cost too much, and part of it may not.
    `cancelled`: nobody waits for the answer any more, so that a partial one is of no use either.
    `read_to_ns`: how far a log query had come by then, in its direction; None: nowhere.
    """

    def __init__(self, message: str, *, divisible: bool = False, cancelled: bool = False) -> None:
        super().__init__(message)
        self.divisible = divisible
        self.cancelled = cancelled
        self.read_to_ns: int | None = None

    def cut_short(self) -> str:
        """What is said beside an answer that holds only what was found by then."""
        reached = "nothing was read"
        if self.read_to_ns is not None:
            reached = f"what was read ends at {np.datetime64(self.read_to_ns, 'ns')}Z"
        return f"the answer is not complete: {self}; {reached}"
