"""Plain files by pattern: which names are of which log, and each byte once through logrotate."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect import FileLogCollector
from kelp.agent.collect.filetree import FileTree
from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.settings import Agent, File
from tests.agent.collect.harness import Pipeline


class Files(Pipeline):
    """The harness over plain files below a folder."""

    def __init__(self, folder: Path, *patterns: str, **settings: object) -> None:
        self.patterns = [File(path=str(folder / p), labels={"team": "x"}) for p in patterns]
        super().__init__(folder / "no-pods", **settings)

    def start(self) -> None:
        super().start()
        self.collector.close()
        self.settings = Agent(node="node-1", files=self.patterns, scan_interval_s=0.0)
        metrics = CollectMetrics(CollectorRegistry())
        self.collector = FileLogCollector(  # type: ignore[assignment]
            self.settings, self.clock, dict(self.checkpoints), metrics
        )


def lines(word: str, first: int, last: int) -> bytes:
    return b"".join(
        f"Nov 20 10:{n // 60 % 60:02}:{n % 60:02} host {word}[{n}]: message {n}\n".encode()
        for n in range(first, last)
    )


def naming(*patterns: str):
    return FileTree([], "n", "")._naming(Path("/var/log"), [File(path=p) for p in patterns])


@pytest.mark.parametrize(
    ("pattern", "name", "log"),
    [
        ("/var/log/syslog", "syslog", "syslog"),
        ("/var/log/syslog", "syslog.1", "syslog"),
        ("/var/log/syslog", "syslog.2.gz", "syslog"),
        ("/var/log/syslog", "syslog-20261120", "syslog"),
        ("/var/log/syslog", "syslog-20261120.gz", "syslog"),
        ("/var/log/syslog", "syslog-1795169472", "syslog"),
        ("/var/log/syslog", "syslog.1.tmp", None),
        ("/var/log/syslog", "syslog.1.xz", "syslog"),
        ("/var/log/syslog", "syslog-20261120.zst", "syslog"),
        ("/var/log/kubelet.log", "kubelet-20261120.log.bz2", "kubelet.log"),
        ("/var/log/*", "syslog.zst", None),
        ("/var/log/syslog", "syslog.1.lz4", None),
        ("/var/log/syslog", "syslogs", None),
        ("/var/log/kubelet.log", "kubelet-20261120.log.gz", "kubelet.log"),
        ("/var/log/kubelet.log", "kubelet-20261120.log", "kubelet.log"),
        ("/var/log/audit.log", "audit-2026-11-20T10-11-12.123.log", "audit.log"),
        ("/var/log/*.log", "a.log.1", "a.log"),
        ("/var/log/*.log", "a-20261120.log", "a.log"),
        ("/var/log/*", "syslog.1", "syslog"),
        ("/var/log/*", "kube-proxy", "kube-proxy"),
        ("/var/log/kube*", "kube-apiserver.log.3.gz", "kube-apiserver.log"),
    ],
)
def test_whose_a_name_is(pattern, name, log):
    found = naming(pattern).parse(name)
    assert log == (found.restart if found and found.ordered else None)


@pytest.mark.parametrize(
    "names",
    [
        ["s.3.gz", "s.2.gz", "s.1", "s"],
        ["s-20261119.gz", "s-20261120", "s"],
        ["s.log-20261119", "s.log-20261119-101112.gz", "s.log"],
    ],
)
def test_the_order_of_rotated_files(names):
    of = naming("/var/log/s", "/var/log/s.log")
    assert names == sorted(names, key=lambda n: of.parse(n).key)


def test_labels_are_those_of_the_first_pattern_that_fits(tmp_path):
    files = Files(tmp_path, "a.log", "*.log")
    (tmp_path / "a.log").write_bytes(lines("a", 0, 3))
    files.run()
    (source,) = files.files
    expected = {
        "dataset": "node", "node": "node-1", "filename": str(tmp_path / "a.log"), "team": "x",
    }  # fmt: skip
    assert expected == source.labels
    assert lines("a", 0, 3) == files.data()


PACKERS = [
    ("gz", gzip.compress),
    ("bz2", bz2.compress),
    ("xz", lzma.compress),
    ("zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
]


@pytest.mark.parametrize(("ending", "pack"), PACKERS)
def test_logrotate_by_rename_with_late_packing_and_kills(tmp_path, ending, pack):
    files = Files(tmp_path, "syslog")
    log = tmp_path / "syslog"
    written = b""
    for turn in range(6):
        part = lines("app", turn * 50, turn * 50 + 50)
        log.write_bytes(part)
        written += part
        if turn % 2:
            files.run()
        else:
            files.take()  # read, and killed before the commit
        files.kill()
        for number in range(4, 1, -1):
            older = tmp_path / f"syslog.{number}.{ending}"
            if older.exists():
                older.rename(tmp_path / f"syslog.{number + 1}.{ending}")
        one = tmp_path / "syslog.1"
        if one.exists():
            (tmp_path / f"syslog.2.{ending}").write_bytes(pack(one.read_bytes()))
            one.unlink()
        log.rename(one)
    files.run()
    assert written == files.data(str(log))
    assert files.losses == []


@pytest.mark.parametrize(("ending", "pack"), PACKERS)
def test_what_was_packed_before_the_first_start_is_read_in_order(tmp_path, ending, pack):
    files = Files(tmp_path, "syslog")
    parts = [lines("app", turn * 50, turn * 50 + 50) for turn in range(4)]
    (tmp_path / f"syslog.3.{ending}").write_bytes(pack(parts[0]))
    (tmp_path / f"syslog.2.{ending}").write_bytes(pack(parts[1]))
    (tmp_path / "syslog.1").write_bytes(parts[2])
    (tmp_path / "syslog").write_bytes(parts[3])
    files.run()
    assert b"".join(parts) == files.data(str(tmp_path / "syslog"))


@pytest.mark.parametrize(("ending", "pack"), PACKERS)
def test_of_a_packed_file_that_is_cut_short_the_rest_is_a_loss(tmp_path, ending, pack):
    files = Files(tmp_path, "syslog")
    old = b"".join(b"%d %s\n" % (n, os.urandom(20).hex().encode()) for n in range(40_000))
    (tmp_path / f"syslog.2.{ending}").write_bytes(pack(old)[:-3000])
    (tmp_path / "syslog").write_bytes(lines("app", 0, 50))
    files.run()
    data = files.data(str(tmp_path / "syslog"))
    assert data.endswith(lines("app", 0, 50))
    assert old.startswith(data[: -len(lines("app", 0, 50))])
    assert ["unreadable"] == [loss.reason for loss in files.losses]


def test_copytruncate_with_dateext(tmp_path):
    files = Files(tmp_path, "messages")
    log = tmp_path / "messages"
    first, second = lines("app", 0, 100), lines("app", 100, 150)
    log.write_bytes(first[:4000])
    files.run()
    with log.open("ab") as out:
        out.write(first[4000:])
    (tmp_path / "messages-20261120").write_bytes(log.read_bytes())
    with log.open("r+b") as out:
        out.truncate(0)
    with log.open("ab") as out:
        out.write(second)
    files.run()
    assert first + second == files.data(str(log))


def test_several_logs_in_one_folder_and_in_folders_that_come(tmp_path):
    files = Files(tmp_path, "*.log", "*/audit.log")
    for name in ("a", "b"):
        (tmp_path / f"{name}.log").write_bytes(lines(name, 0, 20))
    files.run()
    later = tmp_path / "kube"
    later.mkdir()
    (later / "audit.log").write_bytes(lines("audit", 0, 5))
    files.run()
    expected = {
        str(tmp_path / "a.log"): lines("a", 0, 20),
        str(tmp_path / "b.log"): lines("b", 0, 20),
        str(later / "audit.log"): lines("audit", 0, 5),
    }
    assert expected == dict(files.kept)


def test_a_path_that_comes_again_goes_on_with_its_position(tmp_path):
    files = Files(tmp_path, "k.log")
    log = tmp_path / "k.log"
    log.write_bytes(lines("a", 0, 10))
    files.run()
    log.unlink()
    files.run()
    files.kill()
    log.write_bytes(lines("b", 0, 10))
    files.run()  # the harness checks that positions go on
    assert lines("a", 0, 10) + lines("b", 0, 10) == files.data(str(log))
    assert files.losses == []


def test_a_pattern_that_is_taken_out_of_the_settings_is_no_loss(tmp_path):
    files = Files(tmp_path, "a.log", "b.log")
    (tmp_path / "a.log").write_bytes(lines("a", 0, 10))
    (tmp_path / "b.log").write_bytes(lines("b", 0, 10))
    files.run()
    files.patterns = files.patterns[:1]
    files.kill()
    (tmp_path / "b.log").write_bytes(lines("b", 0, 20))
    files.run()
    assert lines("b", 0, 10) == files.data(str(tmp_path / "b.log"))
    assert files.losses == []
    assert str(tmp_path / "b.log") in files.checkpoints
