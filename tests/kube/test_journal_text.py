"""journalctl's text to entries: made ones, any bytes, and what the real journalctl prints."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.kube.journal_text import JournalText, TextEntry
from kelp.kube.reading import complaint, in_a_file
from tests.wire.test_journal_export import export

REMOTE = "/lib/systemd/systemd-journal-remote"
HEAD = b"Nov 21 04:36:11.123456 host kubelet[42]: "


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e9)


NOW = ns("2026-11-21T12:00:00")


def entries(data: bytes, now_ns: int = NOW) -> tuple[list[TextEntry], list[str]]:
    text = JournalText(now_ns)
    found = [e for line in data.splitlines() for e in text.feed(line)]
    return [*found, *text.end()], text.notes


def test_an_entry():
    (found,), notes = entries(HEAD + b"E1121 it failed\n")
    assert ("host", "kubelet", "42", b"E1121 it failed") == (
        found.host, found.identifier, found.pid, found.message,
    )  # fmt: skip
    assert ns("2026-11-21T04:36:11") // 1000 + 123456 == found.time_us
    assert len(HEAD) + 16 == found.size
    assert [] == notes


def test_a_message_of_several_lines():
    indent = b" " * len(HEAD)
    data = HEAD + b"panic:\n" + indent + b"  at a\n" + indent + b"\n" + indent + b"b\n"
    (found,), _ = entries(data + HEAD.replace(b"42", b"43")[:0])
    assert b"panic:\n  at a\n\nb" == found.message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"Nov 02 04:36:11.000001 h systemd[1]: Started.", ("h", "systemd", "1", b"Started.")),
        (b"Nov  2 04:36:11.000001 h systemd[1]: Started.", ("h", "systemd", "1", b"Started.")),
        (b"Nov 21 04:36:11.000001 h my prog: x", ("h", "my prog", "", b"x")),
        (b"Nov 21 04:36:11.000001 kubelet[1]: x: y", ("", "kubelet", "1", b"x: y")),
        (b"Nov 21 04:36:11.000001 h a:b[1]: x", ("h", "a:b", "1", b"x")),
        (b"Nov 21 04:36:11.000001 h kernel: ", ("h", "kernel", "", b"")),
        (b"Nov 21 04:36:11.000001 h a[1]: [1.2K blob data]", ("h", "a", "1", b"[1.2K blob data]")),
    ],
)
def test_heads(line, expected):
    (e,), _ = entries(line)
    assert expected == (e.host, e.identifier, e.pid, e.message)


@pytest.mark.parametrize(
    ("line", "now", "expected"),
    [
        (b"Dec 31 23:59:59.000000", "2027-01-01T00:00:10", "2026-12-31T23:59:59"),
        (b"Jan 01 00:00:01.000000", "2026-12-31T23:59:59", "2027-01-01T00:00:01"),
        (b"Feb 29 10:00:00.000000", "2026-11-21T00:00:00", "2024-02-29T10:00:00"),
        (b"Nov 21 23:00:00.000000", "2026-11-21T12:00:00", "2026-11-21T23:00:00"),
        (b"Nov 23 23:00:00.000000", "2026-11-21T12:00:00", "2025-11-23T23:00:00"),
    ],
)
def test_the_year_is_the_latest_that_can_be(line, now, expected):
    (found,), _ = entries(line + b" h a[1]: x", ns(now))
    assert ns(expected) // 1000 == found.time_us


@pytest.mark.parametrize(
    "line",
    [
        b"error: journal output not available",
        b"log not found for nothing",
        b"Xxx 21 04:36:11.123456 h a[1]: x",
        b"Feb 30 04:36:11.123456 h a[1]: x",
        b"Nov 21 24:36:11.123456 h a[1]: x",
        b"Nov 21 04:36:11 h a[1]: x",
    ],
)
def test_other_lines_are_notes(line):
    assert ([], [line.decode()]) == entries(b"\n" + line + b"\n")


@pytest.mark.parametrize(
    "line", [b"-- No entries --", b"-- Boot 6c7c --", b"-- Journal begins at Tue, ends at Sun. --"]
)
def test_what_journalctl_says_itself_is_none(line):
    found, notes = entries(HEAD + b"a\n" + line + b"\n" + HEAD + b"b\n")
    assert ([b"a", b"b"], []) == ([e.message for e in found], notes)


def test_the_last_entry_of_a_text_that_was_cut_is_left_out():
    text = JournalText(NOW)
    assert [] == list(text.feed(HEAD + b"a"))
    assert [b"a"] == [e.message for e in text.feed(HEAD + b"b")]
    assert [] == list(text.end(whole=False))


def test_what_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr("kelp.kube.journal_text.MAX_MESSAGE_BYTES", 200)
    line = b" " * len(HEAD) + b"more\n"
    (found,), _ = entries(HEAD + b"first\n" + line * 100)
    assert found.size < 300
    assert 20 == len(entries(b"no entry\n" * 100)[1])


def test_equal_entries_have_equal_digests():
    a, b, c = entries(HEAD + b"x\n" + HEAD + b"x\n" + HEAD + b"y\n")[0]
    assert a.digest == b.digest != c.digest


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([HEAD, b" " * 60, b"-- x --"]))))
def test_any_lines(lines):
    text = JournalText(NOW)
    found = [e for line in lines for e in text.feed(line.replace(b"\n", b""))] + list(text.end())
    assert len(found) + len(text.notes) <= len(lines)


@given(st.binary(min_size=1, max_size=60))
def test_heads_of_any_kind_take_linear_time(data):
    entries(b"Nov 21 04:36:11.000001 " + data.replace(b"\n", b"") * 2000)


@pytest.mark.skipif(
    not (shutil.which("journalctl") and shutil.which(REMOTE)),
    reason="no journalctl with systemd-journal-remote here",
)
def test_the_real_journalctl_prints_what_is_understood(tmp_path):
    first_us = ns("2026-11-20T10:00:00") // 1000
    messages = [b"plain", b"two\nlines", b"", b"a: b [1]: c", "ünïcode".encode(), b"x" * 5000]

    def entry(number: int, message: bytes) -> bytes:
        fields = {
            "__CURSOR": b"s=1;i=%x;b=1;m=1;t=1;x=1" % number,
            "__REALTIME_TIMESTAMP": b"%d" % (first_us + number),
            "__MONOTONIC_TIMESTAMP": b"%d" % number,
            "_BOOT_ID": b"6c7c6013a26343b29e964691ff25d04c",
            "_MACHINE_ID": b"7c7c6013a26343b29e964691ff25d04c",
            "_HOSTNAME": b"node-1", "_SYSTEMD_UNIT": b"kubelet.service", "_PID": b"42",
            "SYSLOG_IDENTIFIER": b"kubelet", "MESSAGE": message,
        }  # fmt: skip
        return export([*fields.items()])

    source = tmp_path / "in"
    source.write_bytes(b"".join(entry(n, m) for n, m in enumerate(messages)))
    made = subprocess.run(
        [REMOTE, f"--output={tmp_path}/made.journal", str(source)], capture_output=True, check=False
    )
    assert 0 == made.returncode, made.stderr
    words = ["journalctl", f"--file={tmp_path}/made.journal", "--utc", "--no-pager"]
    shown = subprocess.run(
        [*words, "--output=short-precise", "--since=2026-11-20 9:0:0", "--unit=kubelet"],
        capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
    ).stdout  # fmt: skip
    found, notes = entries(shown)
    assert [] == notes
    expected = [m for m in messages if m]
    assert expected == [e.message for e in found if e.message]
    assert [first_us + n for n, m in enumerate(messages) if m] == [
        e.time_us for e in found if e.message
    ]
    assert {("node-1", "kubelet", "42")} == {(e.host, e.identifier, e.pid) for e in found}


@pytest.mark.parametrize(
    ("notes", "complains", "file"),
    [
        ([], "", False),
        (["Hint: You are currently not seeing messages", "      Pass -q to turn off."], "", False),
        (["log not found for x"], "log not found for x", False),
        (["Failed to get boot id"], "Failed to get boot id", False),
        (["options present and query resolved to log files for [x]",
          "try without specifying options"],
         "options present and query resolved to log files for [x]", True),
        (["I1121 10:00:00.000000 1 a.go:1] a file's line"], "", True),
    ],
)  # fmt: skip
def test_notes_say_why_there_is_nothing(notes, complains, file):
    assert (complains, file) == (complaint(notes), in_a_file(notes))
