"""How logs look: for eyes (`default`), byte for byte (`raw`), and for programs (`json`, `jsonl`).

What the bodies may do to a terminal is in kelp.cli.terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import msgspec

from kelp.cli.logs_items import ContainerKey, Item, Loss, container_of
from kelp.cli.terminal import harmless
from kelp.cli.times import format_clock, format_ns, format_utc_ns

# Pods get these in turn, the pod's name in bold. Red and yellow are for severities.
_POD_COLOURS = (36, 32, 35, 34, 96, 92, 95, 94)
_SEVERITY_COLOURS = {
    "trace": 90, "debug": 90, "warn": 33, "error": 31, "critical": 91, "fatal": 91,
}  # fmt: skip
_LOSS_COLOUR = 95

REASONS = {
    "rotated_away": "rotated away",
    "deleted": "deleted",
    "truncated": "truncated",
    "unreadable": "unreadable",
}


class Printer(Protocol):
    """Must write what is whole; nothing may be held back when `flush` is called."""

    def item(self, item: Item) -> None:
        """One record or loss."""

    def flush(self) -> None:
        """Show what was written."""

    def close(self) -> None:
        """After the last item."""


@dataclass(frozen=True)
class Look:
    """What stands before a line and how it is coloured."""

    colour: bool = False
    namespace: bool = True
    timestamps: bool = False
    terminal: bool = False


class DefaultPrinter:
    """`namespace pod container line`, and losses where they fall."""

    def __init__(self, out: BinaryIO, look: Look, now_ns: Callable[[], int]) -> None:
        self._out = out
        self._look = look
        self._now_ns = now_ns
        self._prefixes: dict[ContainerKey, bytes] = {}
        self._pods: dict[tuple[str, str], int] = {}  # in the order in which they came

    def item(self, item: Item) -> None:
        """See Printer; a body of several lines has its prefix on each."""
        head = self._time(item) + self._prefix(item)
        if isinstance(item, Loss):
            text = loss_text(item, self._now_ns()).encode()
            self._out.write(head + self._paint(text, _LOSS_COLOUR) + b"\n")
            return
        body = harmless(item.body) if self._look.terminal else item.body
        colour = _SEVERITY_COLOURS.get(item.severity, 0)
        for line in body.split(b"\n"):
            self._out.write(head + self._paint(line, colour) + b"\n")

    def flush(self) -> None:
        """See Printer."""
        self._out.flush()

    def close(self) -> None:
        """See Printer."""
        self._out.flush()

    def _time(self, item: Item) -> bytes:
        return f"{format_ns(item.time_ns)} ".encode() if self._look.timestamps else b""

    def _prefix(self, item: Item) -> bytes:
        key = container_of(item)
        if key not in self._prefixes:
            if len(self._prefixes) > 10_000:  # a long `-f` among many short-lived pods
                self._prefixes.clear()
                self._pods.clear()
            namespace, pod, _, container = key
            self._prefixes[key] = self._make_prefix(namespace, pod, container)
        return self._prefixes[key]

    def _make_prefix(self, namespace: str, pod: str, container: str) -> bytes:
        number = self._pods.setdefault((namespace, pod), len(self._pods))
        colour = _POD_COLOURS[number % len(_POD_COLOURS)]
        parts = [(namespace, False)] if self._look.namespace else []
        parts += [(pod, True), (container, False)]
        painted = (self._paint(text.encode(), colour, bold) for text, bold in parts if text)
        return b"".join(text + b" " for text in painted)

    def _paint(self, text: bytes, colour: int, bold: bool = False) -> bytes:
        if not (self._look.colour and colour):
            return text
        return b"\x1b[%b%dm%b\x1b[0m" % (b"1;" if bold else b"", colour, text)


class RawPrinter:
    """Bodies byte for byte, a newline after each; losses on standard error."""

    def __init__(
        self, out: BinaryIO, err: Callable[[str], None], look: Look, now_ns: Callable[[], int]
    ) -> None:
        self._out = out
        self._err = err
        self._look = look
        self._now_ns = now_ns

    def item(self, item: Item) -> None:
        """See Printer."""
        if isinstance(item, Loss):
            self._out.flush()
            self._err(f"{_names(item)} {loss_text(item, self._now_ns())}")
            return
        time = f"{format_ns(item.time_ns)} ".encode() if self._look.timestamps else b""
        self._out.write(time + item.body + b"\n")

    def flush(self) -> None:
        """See Printer."""
        self._out.flush()

    def close(self) -> None:
        """See Printer."""
        self._out.flush()


class JsonPrinter:
    """One object a line (`jsonl`), or an array of them (`json`)."""

    def __init__(self, out: BinaryIO, *, array: bool) -> None:
        self._out = out
        self._array = array
        self._first = True

    def item(self, item: Item) -> None:
        """See Printer."""
        shown = msgspec.json.encode(as_json(item))
        if not self._array:
            self._out.write(shown + b"\n")
            return
        self._out.write((b"[\n" if self._first else b",\n") + shown)
        self._first = False

    def flush(self) -> None:
        """See Printer."""
        self._out.flush()

    def close(self) -> None:
        """See Printer."""
        if self._array:
            self._out.write(b"[]\n" if self._first else b"\n]\n")
        self._out.flush()


def as_json(item: Item) -> dict[str, object]:
    """A record, or a loss under the key `loss`, for programs: times in UTC."""
    if isinstance(item, Loss):
        times = {"start": format_utc_ns(int(item.start)), "end": format_utc_ns(int(item.end))}
        return {"loss": {**msgspec.structs.asdict(item), **times}}
    record = {
        "timestamp": format_utc_ns(item.time_ns),
        "severity": item.severity,
        "line": item.line,
        "line_base64": item.line_base64,
        "labels": item.labels,
        "metadata": item.metadata,
        "parsed": item.parsed,
        "position": item.position,
        "id": item.id,
    }
    optional = ("line_base64", "metadata", "parsed", "id")
    return {k: v for k, v in record.items() if v or k not in optional}


def _names(item: Item) -> str:
    namespace, pod, _, container = container_of(item)
    return " ".join(name for name in (namespace, pod, container) if name)


def loss_text(loss: Loss, now_ns: int) -> str:
    """… 1.2 MiB not collected between 10:11:12 and 10:11:15: rotated away."""
    size = format_bytes(loss.size_bytes) if loss.size_bytes else "logs of unknown size"
    start = format_clock(int(loss.start), now_ns)
    end = format_clock(int(loss.end), now_ns)
    reason = REASONS.get(loss.reason, loss.reason)
    return f"… {size} not collected between {start} and {end}: {reason}"


def format_bytes(size: int) -> str:
    """1.2 MiB."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
