"""Every parser of Kelp that reads what others wrote: one table, each with inputs that it knows.

A run takes one input as its callers would, and lets through only the errors that its callers
expect. A collector's parser gets its inputs as the lines of one file, as many as there are at once.
Left out: kelp.yaml, which is its owner's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa

from kelp.agent.assemble import JournalAssembler, PlainAssembler
from kelp.agent.assemble.traces.assembler import RecordAssembler
from kelp.agent.collect.filetree import FileNaming
from kelp.agent.collect.links import LinkNaming
from kelp.agent.collect.paths import parse_log_name, parse_pod_folder
from kelp.agent.parse.problems import find_problems
from kelp.base.cgroup import locate
from kelp.base.formats import FORMATS, recognise
from kelp.base.oom.calendar import Calendar
from kelp.base.oom.scan import Scanner
from kelp.base.redact import Redactor
from kelp.base.settings import Agent, File
from kelp.base.severity import detect_severity
from kelp.kube.errors import AwayError
from kelp.kube.journal_text import JournalText
from kelp.kube.nodelogs import listing
from kelp.kube.pods import PodAnnotations
from kelp.kube.reflector import decode_event
from kelp.model.entries import Entries
from kelp.model.lines import Lines
from kelp.model.raw import Instance, RawBatch
from kelp.server.http.times import parse_duration, parse_time
from kelp.server.ports import QueryError
from kelp.server.query.logql.parser import parse
from kelp.server.query.pipeline.compile import check_stages, compile_stages, run_steps
from kelp.server.query.pipeline.line_fields import fields_of_line
from kelp.server.query.pipeline.row import Row
from kelp.server.query.template.compile import compile_template
from kelp.server.query.template.nodes import TemplateError
from kelp.wire import loki, loki_proto, otlp
from kelp.wire.journal_export import ExportParser
from kelp.wire.kmsg import parse_record
from kelp.wire.pushed import PushError
from kelp.wire.segment import SegmentError, decode_segment, read_header
from tests.fuzz import seeds

NOW_NS = 1_795_169_472_000_000_000
TRACES = Path(__file__).parents[1] / "golden" / "traces"

Inputs = Sequence[bytes]


@dataclass(frozen=True)
class Parser:
    """`run` takes inputs that are told apart; `joined`: they are lines of one file."""

    name: str
    run: Callable[[Inputs], object]
    seeds: Inputs
    large_bytes: int = 1 << 16  # of the larger inputs of the test of linearity


def each(one: Callable[[bytes], object], *expected: type[Exception]) -> Callable[[Inputs], None]:
    """Each input for itself; these errors are meant."""

    def run(inputs: Inputs) -> None:
        for data in inputs:
            with suppress(*expected):
                one(data)

    return run


def text(one: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of text: what is no UTF-8 has become something else before it."""
    return lambda data: one(data.decode(errors="replace"))


def raw_batch(inputs: Inputs) -> RawBatch:
    """One file of these lines."""
    data = b"".join(line + b"\n" for line in inputs)
    end = np.array([len(data)], np.int64)
    labels = {"dataset": "app", "namespace": "n", "pod": "p", "container": "c"}
    return RawBatch(
        np.frombuffer(data, np.uint8), end * 0, end, np.zeros(1, np.uint64), end * 0,
        [Instance("n/p/u/c/0", labels)], NOW_NS,
    )  # fmt: skip


def container_file(inputs: Inputs) -> None:
    """All lines of a container, their traces joined."""
    assembler = RecordAssembler(Agent(), {})
    lines = assembler.assemble(raw_batch(inputs))
    late = assembler.expire(NOW_NS + 3600 * 10**9)
    assert lines.body.validate(full=True) is None
    assert late is None or len(late)


def trace(inputs: Inputs) -> None:
    """Bodies of one container, behind the heads that a runtime gives them."""
    head = b"2026-11-20T10:11:12.123456789Z stderr F "
    container_file([head + line.replace(b"\n", b" ") for line in inputs])


def plain_file(inputs: Inputs) -> None:
    """Lines of a file: kept byte by byte, whatever they are."""
    raw = raw_batch(inputs)
    lines = PlainAssembler(1 << 20, None).assemble(raw)
    assert raw.data.tobytes() == b"".join(b + b"\n" for b in lines.body.to_pylist())


def journal(inputs: Inputs) -> None:
    """One stream, in blocks that end anywhere."""
    parser = ExportParser(1 << 16)
    entries = [entry for block in inputs for entry in parser.feed(block)]
    instances = [Instance("journal:x", {})] * len(entries)
    JournalAssembler().assemble(Entries(entries, instances, range(len(entries)), 0, NOW_NS))


def journal_text(inputs: Inputs) -> None:
    """What a node's journalctl prints; every line is in an entry, or a note."""
    parser = JournalText(NOW_NS)
    lines = [line for block in inputs for line in block.split(b"\n")]
    entries = [entry for line in lines for entry in parser.feed(line)] + list(parser.end())
    assert all(e.size > len(e.message) for e in entries)
    assert sum(len(e.raw) for e in entries) + len(parser.notes) <= len(lines)


def api_event(data: bytes) -> None:
    """An event of a watch, and what it does to the annotations."""
    event = decode_event(data)
    PodAnnotations().changed(event.type, event.object.metadata)


def severity(inputs: Inputs) -> None:
    """A batch of bodies."""
    numbers, texts = detect_severity(pa.array(inputs, pa.binary()))
    assert len(numbers) == len(texts) == len(inputs)


def problems(inputs: Inputs) -> None:
    """A batch of bodies, of each dataset that has rules."""
    count = len(inputs)
    for labels in ({"dataset": "kernel"}, {"dataset": "node", "unit": "kubelet.service"}, {}):
        lines = Lines(
            [Instance("i", labels)], np.zeros(count, np.int32), np.full(count, 2, np.uint8),
            np.zeros(count, np.int64), np.arange(count, dtype=np.uint64),
            pa.array(inputs, pa.binary()), {}, NOW_NS,
        )  # fmt: skip
        find_problems(lines, np.zeros(count, np.uint8))


def kernel_log(inputs: Inputs) -> None:
    """A saved kernel log, in blocks of whole lines."""
    scanner = Scanner(Calendar(not_after=datetime(2027, 1, 1, tzinfo=UTC)))
    for block in inputs:
        list(scanner.feed(block + b"\n"))


def names(data: bytes) -> None:
    """What is found in a folder may be called anything."""
    name = data.decode(errors="surrogateescape").replace("/", "")
    parse_log_name(name)
    parse_pod_folder(name)
    LinkNaming(Path("/l"), Path("/d"), "x-json.log", "", "", "n", "").parse(name)
    FileNaming(Path("/l"), [(lambda n: n.endswith(".log"), File(path="/l"))], "n", "").parse(name)


def fields(data: bytes) -> None:
    """The line as one of its own format, and as one of some other."""
    # By the first bytes alone, so that inputs that differ in length are read alike.
    other = FORMATS[crc32(data[:4]) % len(FORMATS)]
    name = recognise(data)
    for known in (None, other, *(f for f in FORMATS if f.name == name)):
        fields_of_line(known, data, NOW_NS)


def redacted(data: bytes) -> None:
    """A file of a bundle."""
    Redactor().data(data)


def query(words: str) -> None:
    """A query, and what its pipeline is made of."""
    check_stages(parse(words))


def template(words: str) -> None:
    """A template, made and run."""
    compile_template("t", words).run({"a": "b", "n": "12"}, "a line", NOW_NS)


def stages(pipeline: str) -> Callable[[bytes], object]:
    """A line through the stages of a query."""
    steps = compile_stages(parse('{a="b"} ' + pipeline).stages)  # type: ignore[union-attr]

    def run(line: bytes) -> None:
        run_steps(steps, Row({"a": "b"}, {}, line, NOW_NS))

    return run


def golden(path: Path) -> Inputs:
    """The lines of the traces of one language."""
    return [line for line in path.read_bytes().split(b"\n") if line != b"-----"]


SLOW = 1 << 14
EXAMPLES = [example for known in FORMATS for example in known.examples]

COLLECTED = [
    Parser("cri", container_file, seeds.CRI),
    Parser("json-file", container_file, seeds.JSON_FILE),
    Parser("plain", plain_file, seeds.PLAIN),
    Parser("journal-export", journal, seeds.JOURNAL),
    Parser("journal-text", journal_text, seeds.JOURNAL_TEXT),
    Parser("node-folder", each(listing), seeds.NODE_FOLDERS),
    Parser("api-event", each(api_event, AwayError), seeds.API_EVENTS),
    Parser("kmsg", each(parse_record), seeds.KMSG),
    Parser("severity", severity, seeds.BODIES),
    Parser("problems", problems, seeds.PROBLEMS),
    Parser("oom", kernel_log, seeds.KERNEL, SLOW),
    Parser("cgroup", each(text(locate)), seeds.CGROUPS),
    Parser("names", each(names), seeds.NAMES, SLOW),
    Parser("formats", each(recognise), [*seeds.BODIES, *EXAMPLES]),
    Parser("redact", each(redacted), [*seeds.SECRETS, *seeds.BODIES]),
    *(Parser(f"trace-{path.stem}", trace, golden(path)) for path in sorted(TRACES.glob("*.txt"))),
]
RECEIVED = [
    Parser("segment", each(decode_segment, SegmentError), seeds.SEGMENTS),
    Parser("segment-header", each(read_header, SegmentError), seeds.SEGMENTS),
    Parser("loki-json", each(loki.decode_json, PushError), seeds.LOKI_JSON),
    Parser("loki-proto", each(loki_proto.decode, PushError), seeds.LOKI_PROTO),
    Parser(
        "loki-snappy", each(lambda d: loki_proto.decode_snappy(d, 1 << 24), PushError),
        seeds.LOKI_SNAPPY,
    ),
    Parser("otlp-proto", each(lambda d: otlp.decode_proto(d, NOW_NS), PushError), seeds.OTLP_PROTO),
    Parser("otlp-json", each(lambda d: otlp.decode_json(d, NOW_NS), PushError), seeds.OTLP_JSON),
    Parser("labels", each(text(loki_proto.parse_labels), ValueError), seeds.LABELS, SLOW),
]  # fmt: skip
ASKED = [
    Parser("logql", each(text(query), QueryError), seeds.QUERIES, SLOW),
    Parser("template", each(text(template), TemplateError), seeds.TEMPLATES, SLOW),
    Parser("fields", each(fields), [*seeds.BODIES, *EXAMPLES], 1 << 12),
    Parser("time", each(text(parse_time), ValueError), seeds.TIMES),
    Parser("duration", each(text(parse_duration), ValueError), seeds.TIMES),
    *(
        Parser(f"stage-{name}", each(stages(pipeline)), seeds.BODIES, SLOW)
        for name, pipeline in {
            "json": "| json",
            "json-paths": '| json a="b.c[0]", d="e"',
            "logfmt": "| logfmt",
            "logfmt-strict": '| logfmt --strict --keep-empty a="b"',
            "pattern": '| pattern "<a> - <_> [<b>] \\"<c> <_>\\" <d>"',
            "regexp": '| regexp "(?P<a>[a-z]+) (?P<b>[0-9]*)(?P<c>.*)$"',
            "unpack": "| unpack",
            "decolorize": "| decolorize",
            "ip": '|= ip("10.0.0.0/8") != ip("::1")',
            "label-filters": "| logfmt | a > 10 or b > 2s or c > 4KB",
        }.items()
    ),
]
PARSERS = [*COLLECTED, *RECEIVED, *ASKED]
