"""The embedded engine: ClickHouse in this process, through chDB.

`clickhouse-connect` opens it, too, but takes one call at a time for each client and writes each
insert as plain text to a temporary file before the engine reads it. Here a call takes a handle of
its own from a pool, and the engine reads the Arrow memory of an insert in place: cheaper, and no
text of an encrypted store ever lies in the open.

A process can hold one engine on one path at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import chdb
import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.binding import format_bind_value

from kelp.server.ports import EngineError, with_cost
from kelp.server.store.database import ARROW_SETTINGS, INSERT_SETTINGS
from kelp.server.store.engine_config import NO_SPILL, EngineConfig, in_memory_file
from kelp.server.store.errors import query_failed
from kelp.server.store.quoting import identifier, literal, settings_clause

_TAG = "kelp:"  # before the query's id in `log_comment`: the engine gives its own query_id


class EmbeddedDatabase:
    """See Database. The engine runs from here until close; raises EngineError if it cannot."""

    embedded = True

    def __init__(self, config: EngineConfig) -> None:
        self._path = str(config.directory)
        self._settings = {**ARROW_SETTINGS, **(NO_SPILL if config.key else {})}
        self._lock = threading.Lock()
        self._closed = False
        self._idle: list[Any] = []
        fd = in_memory_file(config.xml())
        try:
            # The first handle starts the engine, which reads its configuration then and never more;
            # it asks nothing and stays open, for the engine ends with the last handle.
            self._first = self._open(f"{self._path}?config-file=/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        query_id: str = "",
    ) -> pa.Table:
        """See Engine."""
        tag = {"log_comment": _TAG + query_id} if query_id else {}
        clause = settings_clause({**(settings or {}), **tag})
        with self._handle() as handle:
            result = _run(handle, f"{sql}\n{clause}", "Arrow", _bound(parameters))
            buffer = _memory_of(result)
            read = result.storage_rows_read(), result.storage_bytes_read()
        table = pa.ipc.open_file(buffer).read_all() if buffer.size else pa.table({})
        return with_cost(table, *read)

    def command(self, sql: str, *, settings: Mapping[str, Any] | None = None) -> None:
        """See Database."""
        with self._handle() as handle:
            _run(handle, f"{sql}\n{settings_clause(settings or {})}", "Null", {})

    def insert(self, table: str, rows: pa.Table, *, settings: Mapping[str, Any]) -> None:
        """See Database."""
        if not rows.num_rows:
            return
        kelp_rows = rows  # noqa: F841  # the engine looks the name up in this very frame
        columns = ", ".join(map(identifier, rows.column_names))
        clause = settings_clause({**INSERT_SETTINGS, **settings})
        sql = f"INSERT INTO {table} ({columns}) {clause} SELECT {columns} FROM Python(kelp_rows)"
        with self._handle() as handle:
            try:
                handle.query(sql, "Null")
            except (RuntimeError, chdb.ChdbError) as e:
                raise query_failed(str(e)) from e

    def cancel(self, query_id: str) -> None:
        """See Engine."""
        tag = literal(_TAG + query_id)
        self.command(f"KILL QUERY WHERE Settings['log_comment'] = {tag} ASYNC")

    def close(self) -> None:
        """See Database. Waits for nothing: calls still under way end first."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
        for handle in (*idle, self._first):
            handle.close()

    @contextmanager
    def _handle(self) -> Iterator[Any]:
        """A handle that nobody else uses meanwhile; as many are made as there are calls at once.

        One that raised is not used again: of a query that was cancelled in the midst of its answer
        it may keep the beginning, and put that before the answer of the next.
        """
        with self._lock:
            if self._closed:
                raise EngineError("the store is closed")
            handle = self._idle.pop() if self._idle else None
        handle = handle or self._open(self._path)
        sound = False
        try:
            yield handle
            sound = True
        finally:
            with self._lock:
                kept = sound and not self._closed
                if kept:
                    self._idle.append(handle)
            if not kept:
                handle.close()

    def _open(self, connection: str) -> Any:
        try:
            # Whether chdb has types depends on which of its two packages was unpacked last.
            handle: Any = cast(Any, chdb).connect(connection)
        except (RuntimeError, chdb.ChdbError) as e:
            raise query_failed(str(e)) from e
        for name, value in self._settings.items():
            _run(handle, f"SET {name} = {literal(str(value))}", "Null", {})
        return handle


def _memory_of(result: Any) -> pa.Buffer:
    """The bytes of an answer, in place.

    A view of chDB's keeps nothing: the memory is the result's, and is given back with it. So each
    buffer, and every array that is made of it, has to hold the result.
    """
    view = np.frombuffer(result.get_memview().view(), np.uint8)
    return pa.foreign_buffer(view.ctypes.data, len(view), base=result)


def _bound(parameters: Mapping[str, Any] | None) -> dict[str, str]:
    return {k: format_bind_value(v) for k, v in (parameters or {}).items()}


def _run(handle: Any, sql: str, fmt: str, parameters: dict[str, str]) -> Any:
    try:
        return handle.query(sql, fmt, params=parameters)
    except (RuntimeError, chdb.ChdbError) as e:
        raise query_failed(str(e)) from e
