"""What a server's store says of instances: `/kelp/v1/trace` and its records, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kelp.base.errors import KelpError
from kelp.cli.client import Client
from kelp.cli.logs_select import Matcher, selector
from kelp.model.lines import STREAM_NAMES
from kelp.model.stored import StoredInstances
from kelp.node.trace.compare import Records
from kelp.node.trace.ranges import Range

_PATH = "/kelp/v1/trace"
_PAGE = 100_000  # records that one request may answer with
_STREAMS_KEY = b"kelp.streams"


class TraceStore:
    """Asks one server; raises what its client raises."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def instances(self, matchers: Sequence[Matcher], limit: int, runs: int = 0) -> StoredInstances:
        """The instances that fit, of each container its newest `runs`; 0: all."""
        return self._ask({"query": _selector(matchers), "limit": limit, "runs": runs})

    def of_record(self, record: str) -> StoredInstances:
        """The instance of STREAM_ID:POSITION; none where the store has no such stream."""
        return self._ask({"record": record})

    def _ask(self, params: dict[str, str | int | list[str]]) -> StoredInstances:
        answer = self._client.get_bytes(_PATH, params)
        try:
            return msgspec.json.decode(answer, type=StoredInstances)
        except msgspec.MsgspecError as e:
            raise KelpError(f"expected an answer of Kelp's trace API; got {e}") from e

    def records(
        self, labels: Mapping[str, str], positions: Range, times_ns: Range | None = None
    ) -> Records:
        """All records of an instance at these positions, in order; see Records."""
        pages: list[pa.Table] = []
        start = positions.start
        while True:
            page = self._page(labels, Range(start, positions.end), times_ns)
            if page.num_rows < _PAGE:
                return _records([*pages, page])
            # The last position may go on in the next page.
            last = int(page.column("position")[-1].as_py())
            whole = page.filter(pc.less(page.column("position"), pa.scalar(last, pa.uint64())))
            if not whole.num_rows:
                return _records([*pages, page])  # so many at one position: enough to tell
            pages.append(whole)
            start = last

    def _page(
        self, labels: Mapping[str, str], positions: Range, times_ns: Range | None
    ) -> pa.Table:
        params: dict[str, str | int | list[str]] = {
            "query": _selector([Matcher(name, "=", value) for name, value in labels.items()]),
            "from": positions.start,
            "to": positions.end,
            "limit": _PAGE,
        }
        if times_ns is not None:
            # As fractions of seconds: a small integer would be taken for seconds.
            params |= {"start": _seconds(times_ns.start), "end": _seconds(times_ns.end)}
        answer = self._client.get_bytes(f"{_PATH}/records", params)
        try:
            with pa.ipc.open_stream(answer) as reader:
                return _with_streams(reader.read_all())
        except (pa.ArrowException, OSError) as e:
            raise KelpError(f"expected records as an Arrow stream; got {e}") from e


def _selector(matchers: Sequence[Matcher]) -> str:
    return "{" + ", ".join(map(str, matchers)) + "}" if matchers else selector(matchers)


def _seconds(ns: int) -> str:
    return f"{ns // 10**9}.{ns % 10**9:09d}"


def _with_streams(table: pa.Table) -> pa.Table:
    """The table with a column `stream`: the number of each record's stdout or stderr."""
    labels = msgspec.json.decode((table.schema.metadata or {}).get(_STREAMS_KEY, b"{}"))
    ids = table.column("id").to_numpy()
    stream = np.zeros(len(ids), np.uint8)
    for text, of in labels.items():
        name = of.get("stream", "")
        stream[ids == np.uint64(int(text))] = (
            STREAM_NAMES.index(name) if name in STREAM_NAMES else 0
        )
    return table.replace_schema_metadata(None).append_column("stream", pa.array(stream))


def _records(pages: Sequence[pa.Table]) -> Records:
    table = pa.concat_tables(pages).combine_chunks()
    truncated = [int(t) if t.isdigit() else 0 for t in table.column("truncated").to_pylist()]
    return Records(
        stream_id=table.column("id").to_numpy(),
        position=table.column("position").to_numpy(),
        time=table.column("time").to_numpy(),
        stream=table.column("stream").to_numpy(),
        body=_one(table.column("body")),
        truncated=np.array(truncated, np.int64),
        malformed=np.array([bool(m) for m in table.column("malformed").to_pylist()], np.bool_),
    )


def _one(column: pa.ChunkedArray) -> pa.BinaryArray:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
