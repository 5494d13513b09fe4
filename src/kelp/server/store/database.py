"""What the store needs of an engine; `embedded` and `remote` are the two there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pyarrow as pa

from kelp.server.ports import Engine


class Database(Engine, Protocol):
    """An engine that can also be written to. Must be safe to call from several threads at once."""

    embedded: bool

    def command(self, sql: str, *, settings: Mapping[str, Any] | None = None) -> None:
        """Run one statement that gives no rows; raises EngineError."""

    def insert(self, table: str, rows: pa.Table, *, settings: Mapping[str, Any]) -> None:
        """Insert the columns of `rows`, by name, as one block; raises EngineError."""

    def close(self) -> None:
        """Give everything back. No call may follow."""


# Arrow as Kelp wants it: strings as bytes (a body need not be UTF-8), no dictionaries, and no
# compression of what is read at once.
ARROW_SETTINGS: Mapping[str, Any] = {
    "output_format_arrow_string_as_string": 0,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_compression_method": "none",
}

# One insert must be one block: the engine drops repeats block by block, so that an insert that was
# cut in pieces by chance could not be told from another one.
INSERT_SETTINGS: Mapping[str, Any] = {
    "max_threads": 1,
    "max_insert_threads": 1,
    "max_insert_block_size": 1 << 40,
    "min_insert_block_size_rows": 1 << 40,
    "min_insert_block_size_bytes": 1 << 40,
    "max_partitions_per_insert_block": 1000,
    "async_insert": 0,
}
