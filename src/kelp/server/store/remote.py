"""A ClickHouse server or cluster over HTTP(S), through clickhouse-connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import Error as DriverError
from urllib3.exceptions import HTTPError

from kelp.server.ports import EngineError
from kelp.server.store.database import ARROW_SETTINGS, INSERT_SETTINGS
from kelp.server.store.errors import query_failed
from kelp.server.store.quoting import literal

T = TypeVar("T")

_CONNECT_TIMEOUT_S = 5
_ANSWER_TIMEOUT_S = 300


class RemoteDatabase:
    """See Database. Without sessions, one client serves all threads.

    The connection is made with the first call, and again after each failure: a server that is
    away when Kelp starts must not keep it from receiving.
    """

    embedded = False

    def __init__(self, url: str, cluster: str = "") -> None:
        self._url = url
        self._on_cluster = f" ON CLUSTER {literal(cluster)}" if cluster else ""
        self._client: Any = None

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        query_id: str = "",
    ) -> pa.Table:
        """See Engine. The driver gives the bytes of an answer alone: its cost stays unknown."""
        named = {"query_id": query_id} if query_id else {}
        options = {**ARROW_SETTINGS, **(settings or {}), **named}

        def ask(client: Any) -> bytes:
            answer: bytes = client.raw_query(sql, dict(parameters or {}), options, fmt="Arrow")
            return answer

        answer = self._call(ask)
        return pa.ipc.open_file(pa.py_buffer(answer)).read_all() if answer else pa.table({})

    def command(self, sql: str, *, settings: Mapping[str, Any] | None = None) -> None:
        """See Database."""
        self._call(lambda client: client.command(sql, settings=dict(settings or {})))

    def insert(self, table: str, rows: pa.Table, *, settings: Mapping[str, Any]) -> None:
        """See Database."""
        if rows.num_rows:
            options = {**INSERT_SETTINGS, "distributed_foreground_insert": 1, **settings}
            self._call(lambda client: client.insert_arrow(table, rows, settings=options))

    def cancel(self, query_id: str) -> None:
        """See Engine."""
        self.command(f"KILL QUERY{self._on_cluster} WHERE query_id = {literal(query_id)} ASYNC")

    def close(self) -> None:
        """See Database."""
        if self._client is not None:
            self._client.close()

    def _call(self, ask: Callable[[Any], T]) -> T:
        try:
            if self._client is None:
                self._client = _connect(self._url)
            return ask(self._client)
        except DriverError as e:
            raise query_failed(str(e), e.code) from e
        except (HTTPError, OSError) as e:
            raise EngineError(f"the store cannot be reached: {e}") from e


def _connect(url: str) -> Any:
    return clickhouse_connect.get_client(
        dsn=url,
        autogenerate_session_id=False,
        connect_timeout=_CONNECT_TIMEOUT_S,
        send_receive_timeout=_ANSWER_TIMEOUT_S,
        compress="lz4",
        client_name="kelp",
    )
