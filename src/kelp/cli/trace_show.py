"""How a trace looks: for eyes as tables, for programs as one JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from kelp.cli.logs_print import REASONS
from kelp.cli.table import table
from kelp.cli.trace_point import DIFFERENT, NO_STORE, NOT_ON_DISK, NOT_STORED, SAME, Point
from kelp.cli.trace_report import FileReport, LogReport
from kelp.cli.trace_verify import Finding, Verdict
from kelp.node.text import printable, size
from kelp.node.trace.runtime import LogConfiguration

_COLUMNS = ("FILE", "DISK", "CONTENT", "POSITIONS", "COLLECTED", "SPOOLED", "STORED", "MISSING")
_SHOWN_TEXT = 400
_SHOWN_FINDINGS = 20
_NONE, _UNKNOWN = "-", "?"

_FOUND = {
    SAME: "the stored record is what the file says",
    DIFFERENT: "the stored record is NOT what the file says",
    NOT_STORED: "no stored record has this line",
    NOT_ON_DISK: "the line is not on this node's disk",
    NO_STORE: "no store was asked",
}


class TraceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All that `kelp trace -o json` prints."""

    logs: list[LogReport]
    point: Point | None = None
    verified: list[Verdict] | None = None  # in the order of `logs`
    configuration: LogConfiguration | None = None  # None: nothing of it is on this node
    notes: list[str] = []


def as_json(answer: TraceAnswer) -> str:
    """One object on lines of its own."""
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def lines(answer: TraceAnswer) -> Iterator[str]:
    """What is printed for people."""
    if answer.point is not None:
        yield from _point(answer.point)
        yield ""
    for number, log in enumerate(answer.logs):
        if number:
            yield ""
        yield from _log(log)
        if answer.verified is not None:
            yield from _verdict(answer.verified[number])
    if answer.configuration is not None and answer.configuration.settings:
        yield ""
        yield from _configuration(answer.configuration)


def _log(log: LogReport) -> Iterator[str]:
    yield _title(log.labels)
    if log.folder is None:
        yield f"  folder  not on this machine{_node(log.labels)}"
    else:
        yield f"  folder  {printable(log.folder)}"
    for link in log.links:
        yield f"  link    {printable(link.path)}"
        if link.container_id:
            yield f"          of container {link.container_id}"
    yield f"  agent   {_agent(log)}"
    yield f"  store   {_store(log)}"
    if log.files:
        rows = [_row(f) for f in log.files]
        yield from (f"  {line}" for line in table(_COLUMNS, rows))
    else:
        yield "  no file of it is known"
    yield from _missing(log)


def _title(labels: dict[str, str]) -> str:
    get = labels.get
    if not get("pod"):
        named = " ".join(f"{k}={v}" for k, v in labels.items() if k not in ("node", "filename"))
        return printable(" ".join(x for x in (get("filename", ""), named) if x)) + _node(labels)
    parts = [f"{get('namespace', '?')}/{get('pod')}", f"container {get('container', '?')}"]
    parts.append(f"run {get('restart', '0')}")
    if get("pod_uid"):
        parts.append(f"uid {get('pod_uid')}")
    return printable("  ".join(parts)) + _node(labels)


def _node(labels: dict[str, str]) -> str:
    return f"  node {printable(labels['node'])}" if labels.get("node") else ""


def _agent(log: LogReport) -> str:
    if log.agent is None:
        return "its state is not known here"
    if log.agent.collected is None:
        return "has not read this log"
    text = f"has read up to position {log.agent.collected:,}"
    if log.agent.spooled_records:
        text += f"; {log.agent.spooled_records:,} records wait in its spool"
    if log.agent.holds_back:
        text += "; a record waits for its rest"
    return text


def _store(log: LogReport) -> str:
    if log.records is None:
        return "was not asked, or has nothing of it"
    streams = ", ".join(f"{s or 'stream'} {i}" for i, s in log.stream_ids.items())
    return f"{log.records:,} records{f' ({streams})' if streams else ''}"


def _row(file: FileReport) -> list[str]:
    return [
        printable(Path(file.path).name) + _state(file),
        size(file.disk_bytes) if file.on_disk else _NONE,
        size(file.size),
        _positions(file),
        _part(file),
        _count(file.spooled),
        _count(file.stored),
        _missing_bytes(file),
    ]


def _state(file: FileReport) -> str:
    if file.altered:
        return " (altered: begins otherwise than when it was read)"
    return "" if file.on_disk else " (gone)"


def _positions(file: FileReport) -> str:
    if file.base is None:
        return _NONE
    return f"{file.base}–{file.base + (file.size or 0)}"


def _part(file: FileReport) -> str:
    """How much of a file the agent has read."""
    if file.collected is None:
        return _UNKNOWN
    if file.size and file.collected >= file.size:
        return "all"
    return size(file.collected) if file.collected else _NONE


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else f"{number:,}" if number else _NONE


def _missing_bytes(file: FileReport) -> str:
    if file.error:
        return f"? ({file.error})"
    if file.missing is None:
        return _UNKNOWN
    count = sum(m.end - m.start for m in file.missing)
    return size(count) if file.missing else _NONE


def _missing(log: LogReport) -> Iterator[str]:
    for file in log.files:
        for one in file.missing or ():
            reason = REASONS.get(one.reason, one.reason)
            where = f"{printable(Path(file.path).name)} bytes {one.start}–{one.end}"
            yield f"  missing {where}: {size(one.end - one.start)}, {reason}"
    placed = {(f.base or 0) + m.start for f in log.files for m in f.missing or ()}
    for loss in log.losses:
        if loss.position not in placed:
            reason = REASONS.get(loss.reason, loss.reason)
            much = size(loss.size_bytes) if loss.size_bytes else "an unknown size"
            yield f"  lost    at position {loss.position}: {much}, {reason}"
    if not log.gaps_searched:
        yield "  note    too many records to look for gaps between them; --verify finds each"


def _point(point: Point) -> Iterator[str]:
    if point.path is not None:
        start = point.offset if point.line_start is None else point.line_start
        yield f"{printable(point.path)}:{start}"
    if point.line_start is not None:
        inside = "" if point.offset == point.line_start else f", byte {point.offset} is in it"
        yield f"  line      bytes {point.line_start}–{point.line_end}{inside}"
    if point.position is not None:
        yield f"  position  {point.position}"
    if point.record is not None:
        stream = f"  {point.stream}" if point.stream else ""
        yield f"  record    {point.record}  {point.timestamp}{stream}"
    if point.line is not None:
        yield f"  on disk   {_text(point.line)}"
    if point.text is not None:
        yield f"  stored    {_text(point.text)}"
    yield f"  {_FOUND[point.found]}"


def _text(text: str) -> str:
    shown = text[:_SHOWN_TEXT].removesuffix("\n")
    return printable(shown) + ("…" if len(text) > _SHOWN_TEXT else "")


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield (
        f"  verify  {verdict.equal:,} records equal ({size(verdict.equal_bytes)}), "
        f"{verdict.differing:,} {'differs' if verdict.differing == 1 else 'differ'}, "
        f"{verdict.missing + verdict.lost:,} lines missing in the "
        f"store, {verdict.not_on_disk:,} records stored and no longer on the disk"
    )
    more = {
        "records stored twice": verdict.repeated,
        "of the missing lines are told as lost": verdict.lost,
        "lines not delivered yet": verdict.waiting,
        "lines of a record that begins in a file which is gone": verdict.unverified,
        "files could not be read to their end": verdict.unreadable,
    }
    yield from (f"          {count:,} {what}" for what, count in more.items() if count)
    for finding in verdict.findings[:_SHOWN_FINDINGS]:
        yield f"  {_finding(finding)}"
    if len(verdict.findings) > _SHOWN_FINDINGS:
        yield f"  … and {len(verdict.findings) - _SHOWN_FINDINGS:,} more; -o json shows 1,000"


def _finding(finding: Finding) -> str:
    where = f"{printable(finding.path)}:{finding.offset}" if finding.path else "no file here"
    what = f"record {finding.record}" if finding.record else ""
    if finding.lines:
        what = "1 line" if finding.lines == 1 else f"{finding.lines:,} lines"
    parts = [finding.kind, what, where, printable(finding.text)]
    return "  ".join(p for p in parts if p)


def _configuration(found: LogConfiguration) -> Iterator[str]:
    rows = [(s.program, s.key, s.value, s.source) for s in found.settings]
    yield from table(("PROGRAM", "SETTING", "VALUE", "FROM"), rows)
