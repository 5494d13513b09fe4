"""Questions in SQL to a server, for subcommands that show what is stored.

The server puts the caller's own records behind the views, whatever the text says.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kelp.cli.client import Client, Connection
from kelp.server.store.quoting import literal

__all__ = ["Stored", "literal", "time_literal"]


class Stored:
    """One server."""

    def __init__(self, connection: Connection) -> None:
        self._client = Client(connection)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows by column name; raises KelpError."""
        answer = self._client.post("/kelp/v1/sql", {"query": sql}, {"format": "json"})
        found = msgspec.json.decode(answer)
        names = [column["name"] for column in found["columns"]]
        return [dict(zip(names, row, strict=True)) for row in found["rows"]]


def time_literal(time_ns: int) -> str:
    """A moment as SQL compares it with `timestamp`."""
    return f"fromUnixTimestamp64Nano(toInt64({time_ns}))"
