"""Journal entries of other projects' tests and documents, as records."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kelp.agent.assemble import JournalAssembler
from kelp.agent.collect.journalctl import ALWAYS, FIELDS
from kelp.model.entries import Entries
from kelp.model.lines import Lines
from kelp.model.raw import Instance
from kelp.model.severity import NUMBER_OF_PRIORITY
from kelp.wire.journal_export import Entry, ExportParser
from tests.agent.samples.samples import DATA
from tests.wire.test_journal_export import export

FOLDER = DATA / "klog-journald"
EXPORTED = sorted((FOLDER / "victorialogs-journal-export").glob("*.json"))
DOCUMENT = FOLDER / "systemd-doc.export"
JSON_LINES = FOLDER / "vector_journalctl_json.jsonl"
VIAQ = FOLDER / "openshift-logsamples" / "viaq_journal.json"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no ../shared/data/klog-journald here")


def entries_of(data: bytes, size: int = 1 << 20) -> tuple[list[Entry], ExportParser]:
    parser = ExportParser(1 << 20, [*ALWAYS, *FIELDS])
    found = []
    for at in range(0, len(data), size):
        found += parser.feed(data[at : at + size])
    return found, parser


def lines_of(entries: list[Entry]) -> Lines:
    instances = [Instance("journal:x", {})] * len(entries)
    return JournalAssembler().assemble(
        Entries(entries, instances, range(len(entries)), 0, observed_ns=1)
    )


@pytest.mark.parametrize("path", EXPORTED, ids=lambda p: p.stem)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_export_streams(path: Path, size: int) -> None:
    case = json.loads(path.read_text())
    entries, parser = entries_of(base64.b64decode(case["input_base64"]), size)
    if case.get("expect_error"):
        # Told as broken, or as cut off where the stream ends.
        assert parser.malformed or parser.inside
        return
    # An upload's end ends its last entry, too; that of a journalctl may have cut it in two.
    entries += parser.feed(b"\n")
    lines = lines_of(entries)
    expected = [json.loads(text) for text in case["expected_jsonl"]]
    assert [e.get("_msg", "").encode() for e in expected] == lines.body.to_pylist()
    assert case["expected_timestamps_ns"] == lines.timestamp.tolist()
    for row, fields in enumerate(expected):
        assert lines.told is not None
        priority = fields.get("PRIORITY")
        severity = NUMBER_OF_PRIORITY[int(priority)] if priority else 0
        assert severity == lines.told[row]
        same = {"_PID": "process.pid", "_CMDLINE": "process.command_line"}
        for name, attribute in same.items():
            assert fields.get(name) == lines.marks[row].get(attribute)


def test_the_formats_own_document() -> None:
    entries, parser = entries_of(DOCUMENT.read_bytes())
    lines = lines_of(entries)
    assert 0 == parser.malformed
    assert [1342540861413961000, 1423944916372858000] == lines.timestamp.tolist()
    bodies = lines.body.to_pylist()
    assert bodies[0].startswith(b"AccountsService-DEBUG(+): ")
    assert b"foo\nbar" == bodies[1]
    assert lines.told is not None
    assert [NUMBER_OF_PRIORITY[4], 0] == lines.told.tolist()
    assert ("587", "daemon") == (
        lines.marks[0]["process.pid"], lines.marks[0]["syslog.facility"]
    )  # fmt: skip
    assert "<string>" == lines.marks[1]["code.file.path"]


def exported(fields: dict[str, Any]) -> bytes:
    """journalctl's JSON as its export: lists of texts are fields that come again."""
    flat = []
    for name, value in fields.items():
        if isinstance(value, list) and value and isinstance(value[0], int):
            flat.append((name, bytes(value)))
        else:
            values = value if isinstance(value, list) else [value]
            flat += [(name, str(v).encode()) for v in values]
    return export(flat)


def test_entries_in_json() -> None:
    rows = [json.loads(line) for line in JSON_LINES.read_text().splitlines()]
    lines = lines_of(entries_of(b"".join(map(exported, rows)))[0])
    for row, fields in enumerate(rows):
        message = fields["MESSAGE"]
        body = bytes(message) if isinstance(message, list) else message.encode()
        assert body == lines.body[row].as_py()
        micros = fields.get("_SOURCE_REALTIME_TIMESTAMP") or fields["__REALTIME_TIMESTAMP"]
        assert int(micros) * 1000 == lines.timestamp[row]
        assert lines.told is not None
        assert NUMBER_OF_PRIORITY[int(fields["PRIORITY"])] == lines.told[row]
    repeated = next(i for i, r in enumerate(rows) if isinstance(r.get("SYSLOG_FACILITY"), list))
    assert ", ".join(rows[repeated]["SYSLOG_FACILITY"]) == lines.marks[repeated]["syslog.facility"]


def test_a_record_as_another_collector_shows_it() -> None:
    """What ViaQ calls systemd.t are the trusted fields, systemd.u the sender's own."""
    case = json.loads(VIAQ.read_text())
    trusted, own = case["systemd"]["t"], case["systemd"]["u"]
    fields = {f"_{name}": value for name, value in trusted.items()} | own
    fields |= {"MESSAGE": case["message"], "PRIORITY": "5"}
    fields["__REALTIME_TIMESTAMP"] = "1697575589048949"
    lines = lines_of(entries_of(exported(fields))[0])
    assert case["message"].encode() == lines.body[0].as_py()
    assert 1697575589048949000 == lines.timestamp[0]
    expected = {
        "boot.id": trusted["BOOT_ID"],
        "process.pid": trusted["PID"],
        "process.executable.name": trusted["COMM"],
        "process.executable.path": trusted["EXE"],
        "process.command_line": trusted["CMDLINE"],
        "process.user.id": trusted["UID"],
        "syslog.identifier": own["SYSLOG_IDENTIFIER"],
        "syslog.facility": "daemon",
    }
    assert expected == lines.marks[0]
