"""Lines of `GET /kelp/v1/logs`: records and losses, as the server's HTTP API documents them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from kelp.base.errors import KelpError
from kelp.cli.client import AwayError


class Record(msgspec.Struct, frozen=True):
    """One log record."""

    timestamp: str  # nanoseconds since the epoch
    position: int
    labels: dict[str, str]
    line: str
    line_base64: str = ""
    metadata: dict[str, str] = {}
    parsed: dict[str, str] = {}
    severity: str = "unknown"
    stream_id: str = ""

    @property
    def id(self) -> str:
        """STREAM_ID:POSITION, as `kelp trace --record` takes it; empty where it is not known."""
        return f"{self.stream_id}:{self.position}" if self.stream_id else ""

    @property
    def time_ns(self) -> int:
        """When it happened."""
        return int(self.timestamp)

    @property
    def body(self) -> bytes:
        """The exact bytes."""
        return base64.b64decode(self.line_base64) if self.line_base64 else self.line.encode()


class Loss(msgspec.Struct, frozen=True):
    """Bytes of a container that were gone before they were read."""

    labels: dict[str, str]
    position: int
    size_bytes: int
    start: str
    end: str
    reason: str

    @property
    def time_ns(self) -> int:
        """Where it falls among records."""
        return int(self.start)


class End(msgspec.Struct, frozen=True):
    """The last line of a whole answer."""

    records: int = 0
    warnings: list[str] = []


class _Line(msgspec.Struct, frozen=True):
    record: Record | None = None
    loss: Loss | None = None
    end: End | None = None
    error: dict[str, Any] | None = None


Item: TypeAlias = Record | Loss
ContainerKey: TypeAlias = tuple[str, str, str, str]  # (namespace, pod, pod_uid, container)

_decoder = msgspec.json.Decoder(_Line)

# Labels that do not tell one run of a container from another.
_NOT_OF_INSTANCE = frozenset({"stream", "filename"})


def items(lines: Iterable[bytes], warnings: list[str], *, endless: bool = False) -> Iterator[Item]:
    """The records and losses of an answer; the server's warnings are added to `warnings`.

    Raises AwayError where the answer broke off: with the server's reason, or without a last line
    (save where it is endless, and simply stops).
    """
    for line in lines:
        if not line:
            continue
        try:
            decoded = _decoder.decode(line)
        except msgspec.MsgspecError as e:
            raise KelpError(f"expected a line of Kelp's log API; got {line[:80]!r}: {e}") from e
        item = decoded.record or decoded.loss
        if item is not None:
            yield item
        elif decoded.end is not None:
            warnings.extend(decoded.end.warnings)
            return
        elif decoded.error is not None:
            raise AwayError(f"the answer broke off: {decoded.error.get('message', 'no reason')}")
    if not endless:
        raise AwayError("the answer was cut on its way")


def container_of(item: Item) -> ContainerKey:
    """The container that the item belongs to, whichever its run."""
    get = item.labels.get
    return get("namespace", ""), get("pod", ""), get("pod_uid", ""), get("container", "")


def instance_of(item: Item) -> tuple[tuple[str, str], ...]:
    """What tells the run of a container that the item belongs to; positions are ordered in it."""
    return tuple(sorted((k, v) for k, v in item.labels.items() if k not in _NOT_OF_INSTANCE))


def order(item: Item) -> tuple[int, tuple[tuple[str, str], ...], int]:
    """The total order of records and losses."""
    return item.time_ns, instance_of(item), item.position
