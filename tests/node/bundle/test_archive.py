"""The archive: what is in it, what could not be had, and that no secret is."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from kelp.base.errors import KelpError
from kelp.base.redact import REDACTED, Redactor
from kelp.node.bundle import archive as archives
from kelp.node.bundle.archive import MANIFEST, Archive
from kelp.node.bundle.entry import AbsentError, Entry
from tests.node.host.tree import FakeClock


def made(entries, redactor=None, clock=None, time_s=60.0):
    archive = Archive("b", {"node": "n1"}, redactor or Redactor(), clock or FakeClock(), time_s)
    data = b"".join(archive.write(entries))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return {m.name.removeprefix("b/"): tar.extractfile(m).read() for m in tar}


def manifest(files):
    return json.loads(files[MANIFEST])


def raising(error):
    def make():
        raise error

    return make


def test_files_and_manifest():
    files = made([Entry("a.txt", lambda: b"x\n"), Entry("b.json", lambda: b'{"n":1}')])
    assert list(files) == ["a.txt", "b.json", MANIFEST]
    assert files["a.txt"] == b"x\n"
    assert json.loads(files["b.json"]) == {"n": 1}
    found = manifest(files)
    assert found["about"] == {"node": "n1"}
    assert found["files"][0] == {"name": "a.txt", "bytes": 2, "redacted": 0, "cut": False}
    assert (found["failed"], found["absent"]) == ([], [])


def test_what_fails_costs_itself_alone_and_is_told_without_its_secrets():
    files = made(
        [
            Entry("kelp.txt", raising(KelpError("no --password hunter2"))),
            Entry("os.txt", raising(OSError("disk"))),
            Entry("fault.txt", raising(ZeroDivisionError("token=abc"))),
            Entry("none.txt", raising(AbsentError("there is none"))),
            Entry("bad.json", lambda: b"{"),
            Entry("good.txt", lambda: b"x"),
        ]
    )
    assert list(files) == ["good.txt", MANIFEST]
    found = manifest(files)
    reasons = {m["name"]: m["reason"] for m in found["failed"]}
    assert reasons["kelp.txt"] == f"no --password {REDACTED}"
    assert reasons["os.txt"] == "disk"
    assert reasons["fault.txt"] == f"ZeroDivisionError: token={REDACTED}"
    assert "bad.json" in reasons
    assert found["absent"] == [{"name": "none.txt", "reason": "there is none"}]


def test_text_json_and_lines_of_json_are_redacted_and_counted():
    files = made(
        [
            Entry("a.txt", lambda: b"--password hunter2 and hunter3hunter3"),
            Entry("b.json", lambda: b'{"command": "x --token \\"a b\\"", "password": "hunter2"}'),
            Entry("c.jsonl", lambda: b'{"secret": "hunter2"}\n{"n": 1}\n'),
        ],
        Redactor(known=["hunter3hunter3"]),
    )
    assert b"hunter" not in b"".join(files.values())
    assert json.loads(files["b.json"])["password"] == REDACTED
    assert files["c.jsonl"] == b'{"secret":"[redacted]"}\n{"n":1}\n'
    assert [2, 2, 1] == [f["redacted"] for f in manifest(files)["files"]]


def test_what_is_too_long_is_cut_at_lines_and_says_so(monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 10)
    lines = b"1111\n2222\n3333\n4444\n"
    files = made(
        [
            Entry("begin.txt", lambda: lines),
            Entry("end.txt", lambda: lines, keep_end=True),
            Entry("end.jsonl", lambda: b"[1,1]\n[2,2]\n[3,3]\n", keep_end=True),
        ]
    )
    assert files["begin.txt"] == b"1111\n2222\n[cut: the file was longer than 10 bytes]\n"
    assert files["end.txt"] == b"[cut: the file was longer than 10 bytes]\n4444\n"
    assert files["end.jsonl"] == b"[3,3]\n"
    assert [True] * 3 == [f["cut"] for f in manifest(files)["files"]]


def test_after_its_time_no_file_is_begun():
    clock = FakeClock()

    def slow():
        clock.sleep(100)
        return b"x"

    files = made([Entry("slow.txt", slow), Entry("late.txt", lambda: b"x")], clock=clock)
    assert list(files) == ["slow.txt", MANIFEST]
    assert manifest(files)["failed"][0]["reason"] == "the time for the bundle was over"


def test_it_is_given_out_while_it_is_made():
    begun = []
    entries = (Entry(f"{i}.txt", lambda i=i: begun.append(i) or b"x" * 100) for i in range(5))
    pieces = Archive("b", {}, Redactor(), FakeClock(), 60.0).write(entries)
    next(pieces)
    assert begun == [0]


@pytest.mark.parametrize("name", ["x.txt", "x.json"])
def test_bytes_that_are_no_text_are_taken(name):
    files = made([Entry(name, lambda: b"\xff\xfe\x00 \x80")])
    assert files if name == "x.txt" else manifest(files)["failed"]
