"""`kelp parse`: what the agent would make of a file, one JSON object a record, without a server.

It runs the agent's own stages over the file, so what it shows is what would be stored, with the
fields that a query computes from it. A file that no container runtime has written is read line by
line, as agent.files are. Files of one
container that are named in their order (`0.log.20261120-101112.gz 0.log`) are one log: records that
go on in the next file are joined, positions are counted on.
"""

from __future__ import annotations

import base64
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from gzip import GzipFile
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec
import numpy as np

from kelp.agent.assemble import PlainAssembler
from kelp.agent.assemble.traces import RecordAssembler, TraceAssembler
from kelp.agent.collect.paths import make_instance, parse_log_name, parse_pod_folder
from kelp.agent.enrich import Enricher
from kelp.agent.parse import Parser
from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.base.formats import TEXT, UnknownFormatError, format_of, recognise
from kelp.base.settings import Agent, FormatRule
from kelp.cli.parse_kind import is_container_log
from kelp.model.batch import ATTR_INVALID_UTF8, LogBatch
from kelp.model.lines import Lines
from kelp.model.raw import Instance, RawBatch
from kelp.model.severity import level_of
from kelp.server.query.pipeline.line_fields import LineFields, format_named
from kelp.server.query.sql.text import to_bytes

_STDIN = "-"
_BLOCK = 4 << 20
_GZIP_MAGIC = b"\x1f\x8b"
# Kept of a line beyond the limit of its body: the longest head before it.
_HEAD = 128
# Of a file: enough for its first lines.
_BEGINNING = 64 << 10
# No more comes, whatever the clock says.
_END_OF_TIME = 1 << 62


@click.command("parse")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--max-record-bytes",
    type=click.IntRange(min=1),
    default=Agent().max_record_bytes,
    show_default=True,
    help="A longer record is cut here, as by agent.max_record_bytes.",
)
@click.option(
    "--as",
    "format_name",
    metavar="FORMAT",
    callback=lambda _context, _option, name: _format(name),
    help="Take every line for one of this format, as agent.formats does; text: of none.",
)
def parse(files: tuple[str, ...], max_record_bytes: int, format_name: str | None) -> None:
    """Show what the agent would make of FILE… (- is standard input; .gz is unpacked).

    One JSON object a record: timestamp, stream, severity, severity_number, severity_text, body,
    position, attributes, labels, format, fields. A body that is not UTF-8 has replacement
    characters, and stands in body_base64 as it is. Labels come from the path where it is in a pods
    folder: …/NAMESPACE_POD_UID/CONTAINER/RESTART.log. Whether a file elsewhere is a container's
    log or plain lines follows from its first lines.
    """
    if files.count(_STDIN) > 1:
        raise click.UsageError("expected - once: standard input can be read once; got it again")
    stages = _Stages(max_record_bytes, format_name, SystemClock())
    out = sys.stdout.buffer
    problems = []
    for name in files:
        try:
            for batch in stages.records_of(name):
                out.writelines(_lines(batch, tried=format_name is not None))
        except _ReadError as e:
            problems.append(str(e))
        out.flush()
    for batch in stages.unfinished():
        out.writelines(_lines(batch, tried=format_name is not None))
    out.flush()
    if problems:
        raise KelpError("\n".join(problems))


def _format(name: str | None) -> str | None:
    if name is not None and name != TEXT:
        try:
            format_of(name)
        except UnknownFormatError as e:
            raise click.BadParameter(str(e)) from e
    return name


class _ReadError(Exception):
    """One file cannot be read; the others can."""


@dataclass
class _Stages:
    """The agent's stages, and how far each container's log has been read."""

    max_record_bytes: int
    format_name: str | None
    clock: Clock
    containers: RecordAssembler = field(init=False)
    files: TraceAssembler[RawBatch] = field(init=False)
    plain: set[str] = field(init=False, default_factory=set)  # keys of instances
    parser: Parser = field(init=False)
    enricher: Enricher = field(init=False, default_factory=Enricher)
    positions: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        settings = Agent(
            max_record_bytes=self.max_record_bytes,
            partial_timeout_s=0,
            trace_timeout_s=0,
            formats=[FormatRule(format=self.format_name)] if self.format_name else [],
        )
        self.containers = RecordAssembler(settings, {})
        lines = PlainAssembler(self.max_record_bytes, None)
        self.files = TraceAssembler(lines, settings, {})
        self.parser = Parser(settings, {})

    def records_of(self, name: str) -> Iterator[LogBatch]:
        """The records that end in a file; raises _ReadError."""
        instance = _instance_of(name)
        try:
            with _open(name) as stream:
                for data, cut_bytes in _pieces(stream, self.max_record_bytes + _HEAD):
                    yield self._assembled(instance, data, cut_bytes)
        except OSError as e:
            why = e.strerror or str(e)
            raise _ReadError(f"cannot read {name}: {why}; name a log file, or - for stdin") from e
        except (EOFError, zlib.error) as e:
            raise _ReadError(f"expected {name} to be whole gzip data; got {e}; cut short?") from e

    def unfinished(self) -> Iterator[LogBatch]:
        """The records whose last fragment never came."""
        for assembler in (self.containers, self.files):
            lines = assembler.expire(_END_OF_TIME)
            if lines is not None:
                yield self._batch(lines)

    def _assembled(self, instance: Instance, data: bytes, cut_bytes: int) -> LogBatch:
        # What an instance's first piece is, it is to its end.
        known = instance.key in self.positions or instance.labels.get("pod")
        if not known and not is_container_log(data[:_BEGINNING]):
            self.plain.add(instance.key)
        raw = self._raw(instance, data, cut_bytes)
        assembler = self.files if instance.key in self.plain else self.containers
        return self._batch(assembler.assemble(raw))

    def _raw(self, instance: Instance, data: bytes, cut_bytes: int) -> RawBatch:
        position = self.positions.get(instance.key, 0)
        newline = 1 if cut_bytes else 0  # of a cut line; the others have theirs in the data
        self.positions[instance.key] = position + len(data) + cut_bytes + newline
        return RawBatch(
            data=np.frombuffer(data, np.uint8),
            starts=np.zeros(1, np.int64),
            ends=np.array([len(data)], np.int64),
            positions=np.array([position], np.uint64),
            cut_bytes=np.array([cut_bytes], np.int64),
            instances=[instance],
            observed_ns=self.clock.now_ns(),
        )

    def _batch(self, lines: Lines) -> LogBatch:
        return self.enricher.log_batch(lines, self.parser.parse(lines))


def _instance_of(name: str) -> Instance:
    """The container that the path speaks of; elsewhere the file is all that is known."""
    if name == _STDIN:
        return Instance(_STDIN, {})
    path = Path(name).absolute()
    parts: Sequence[str] = path.parts[-3:]
    if len(parts) == 3:
        folder, log = parse_pod_folder(parts[0]), parse_log_name(parts[2])
        if folder is not None and log is not None:
            live = str(path.with_name(f"{log.restart}.log"))
            return make_instance(folder, parts[1], log.restart, live, node="", cluster="")
    return Instance(str(path), {"filename": str(path)})


def _open(name: str) -> BinaryIO:
    raw = sys.stdin.buffer if name == _STDIN else FileIO(name)
    stream = BufferedReader(cast(RawIOBase, raw))
    if stream.peek(2)[:2] == _GZIP_MAGIC:
        return cast(BinaryIO, GzipFile(fileobj=stream))
    return cast(BinaryIO, stream)


def _pieces(stream: BinaryIO, limit: int) -> Iterator[tuple[bytes, int]]:
    """(whole lines, 0), or (one line cut at `limit` bytes, how many more it had)."""
    read = cast(BufferedReader, stream).read1  # what is there, so that a live pipe is shown live
    rest = b""
    while block := read(_BLOCK):
        rest += block
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end], 0
            rest = rest[end:]
        if len(rest) > limit:
            kept, missing = rest[:limit], len(rest) - limit
            rest = b""
            while b"\n" not in rest and (rest := read(_BLOCK)):
                missing += rest.index(b"\n") if b"\n" in rest else len(rest)
            rest = rest[rest.find(b"\n") + 1 :]
            yield kept, missing
    if rest:
        yield rest, 0


def _lines(batch: LogBatch, *, tried: bool) -> Iterator[bytes]:
    """Every record as a line of JSON; where a format is tried, lines are of that or of none."""
    encode = msgspec.json.Encoder().encode
    rows = batch.records
    times = np.datetime_as_string(rows["timestamp"].to_numpy(zero_copy_only=False), unit="ns")
    columns = (
        rows["stream_id"].to_pylist(),
        times.tolist(),
        rows["position"].to_pylist(),
        rows["severity_number"].to_pylist(),
        rows["severity_text"].to_pylist(),
        rows["body"].to_pylist(),
        rows["attributes"].to_pylist(),
        rows["timestamp"].to_numpy(zero_copy_only=False).astype(np.int64).tolist(),
    )
    readers = {i: _Reader(stream.labels, tried=tried) for i, stream in batch.streams.items()}
    for stream_id, time, position, number, text, body, attributes, at_ns in zip(
        *columns, strict=True
    ):
        labels = dict(batch.streams[stream_id].labels)
        format_name, fields = readers[stream_id].read(body, at_ns)
        record: dict[str, Any] = {
            "timestamp": time + "Z",
            "stream": labels.pop("stream", ""),
            "severity": level_of(number),
            "severity_number": number,
            "severity_text": text,
            "body": body.decode(errors="replace"),
            "position": position,
            "attributes": dict(attributes),
            "labels": labels,
            "format": format_name,
            "fields": _shown(fields),
        }
        if ATTR_INVALID_UTF8 in record["attributes"]:
            record["body_base64"] = base64.b64encode(body).decode()
        yield encode(record) + b"\n"


class _Reader:
    """Reads lines by their stream's format; one that says nothing to it, by its own."""

    def __init__(self, labels: Mapping[str, str], *, tried: bool) -> None:
        """A container's clock is UTC unless it says otherwise; a plain file's is this machine's."""
        self._zone = UTC if "pod" in labels or labels.get("stream") else _MachineZone()
        self._name = labels.get("format", "")
        self._tried = tried
        self._of_format: dict[str, LineFields] = {}

    def read(self, line: bytes, at_ns: int) -> tuple[str, dict[str, str]]:
        """(the name of the format that it was read by, its fields)."""
        fields = self._fields(self._name, line, at_ns)
        own = "" if fields or self._tried else recognise(line)
        return (own, self._fields(own, line, at_ns)) if own else (self._name, fields)

    def _fields(self, name: str, line: bytes, at_ns: int) -> dict[str, str]:
        if name not in self._of_format:
            self._of_format[name] = LineFields(format_named(name), zone=self._zone)
        return self._of_format[name](line, at_ns)


def _shown(fields: Mapping[str, str]) -> dict[str, str]:
    """Text that JSON can hold."""
    return {name: to_bytes(value).decode(errors="replace") for name, value in fields.items()}


class _MachineZone(tzinfo):
    """The zone of this machine, whatever its offset was at the time."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """See tzinfo."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, _moment: datetime | None) -> timedelta | None:
        """Not told apart."""
        return None

    def tzname(self, _moment: datetime | None) -> str | None:
        """It has no name here."""
        return None
