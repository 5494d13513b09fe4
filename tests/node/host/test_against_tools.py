"""This machine's figures beside those of its own tools, which are skipped where they are absent."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from kelp.base.clock import SystemClock
from kelp.node.host.disks import IostatSampler
from kelp.node.host.memory import read_meminfo, summarise
from kelp.node.host.ps import PsSampler
from kelp.node.host.reading import Roots
from kelp.node.host.routes import RouteSampler
from kelp.node.host.sockets import SocketSampler, Wanted
from kelp.node.host.top import TopSampler
from kelp.node.host.vmstat import VmstatSampler

ROOTS, CLOCK = Roots(), SystemClock()


def run(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    environment = {**os.environ, "LC_ALL": "C", "S_TIME_FORMAT": "ISO"}
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_ps():
    text = run("ps", "-wweo", "pid,ppid,stat,rss,nlwp,user:32,args", "--no-headers")
    theirs = {int(line.split()[0]): line.split(maxsplit=6) for line in text.splitlines()}
    ours = {p.pid: p for p in PsSampler(ROOTS, CLOCK).sample().processes}
    both = theirs.keys() & ours.keys()
    assert len(both) >= len(ours) * 0.8
    me = ours[os.getpid()]
    _, ppid, _, rss, threads, user, args = theirs[os.getpid()]
    assert (me.ppid, me.threads, me.user) == (int(ppid), int(threads), user)
    assert me.rss_bytes / 1024 == pytest.approx(int(rss), rel=0.1)
    assert me.command[:40] == args[:40]
    stable = [p for p in both if ours[p].ppid == int(theirs[p][1])]
    assert len(stable) >= len(both) * 0.95


def test_top():
    text = run("top", "-b", "-n", "1", "-w", "512")
    total = int(re.search(r"Tasks: +(\d+) total", text)[1])
    report = TopSampler(ROOTS, CLOCK).sample()
    assert report.tasks.total == pytest.approx(total, abs=max(20, total * 0.2))
    first = float(re.search(r"load average: ([\d.]+)", text)[1])
    assert report.load.load1 == pytest.approx(first, abs=1.0)


def test_free():
    words = run("free", "-b").splitlines()[1].split()
    memory = summarise(read_meminfo(ROOTS))
    near = pytest.approx
    slack = memory.total_bytes * 0.05  # others work beside
    assert memory.total_bytes == int(words[1])
    assert memory.free_bytes == near(int(words[3]), abs=slack)
    assert memory.buff_cache_bytes == near(int(words[5]), abs=slack)
    assert memory.available_bytes == near(int(words[6]), abs=slack)


def test_vmstat():
    lines = run("vmstat", "-n", "1", "1").splitlines()
    theirs = dict(zip(lines[1].split(), map(int, lines[2].split()), strict=True))
    ours = VmstatSampler(ROOTS, CLOCK).sample()
    assert ours.free == pytest.approx(theirs["free"], rel=0.1, abs=500_000)
    assert ours.cache == pytest.approx(theirs["cache"], rel=0.1, abs=500_000)
    assert ours.swpd == pytest.approx(theirs["swpd"], abs=100_000)
    for name in ("us", "sy", "id", "wa", "st"):
        assert getattr(ours, name) == pytest.approx(theirs[name], abs=2.0)


def test_vmstat_over_an_interval():
    """Both look at the same second; other work makes it no more than alike."""
    if shutil.which("vmstat") is None:
        pytest.skip("vmstat is not installed")
    sampler = VmstatSampler(ROOTS, CLOCK)
    sampler.sample()
    lines = run("vmstat", "-n", "1", "2").splitlines()
    ours = sampler.sample()
    theirs = dict(zip(lines[1].split(), map(int, lines[3].split()), strict=True))
    assert ours.id == pytest.approx(theirs["id"], abs=25)
    assert ours.cs == pytest.approx(theirs["cs"], rel=0.8, abs=500)


def test_iostat():
    text = run("iostat", "-x", "-k", "-d")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    head = next(i for i, r in enumerate(rows) if r[0].startswith("Device"))
    theirs = {r[0]: dict(zip(rows[head][1:], map(float, r[1:]), strict=True))
              for r in rows[head + 1:]}  # fmt: skip
    ours = {d.device: d for d in IostatSampler(ROOTS, CLOCK).sample().devices}
    assert set(ours) <= set(theirs)
    for name, disk in ours.items():
        for column, value in {
            "r/s": disk.reads_per_s,
            "w/s": disk.writes_per_s,
            "rkB/s": disk.read_kb_per_s,
            "wkB/s": disk.written_kb_per_s,
            "rrqm/s": disk.reads_merged_per_s,
            "r_await": disk.read_await_ms or 0.0,
            "w_await": disk.write_await_ms or 0.0,
            "aqu-sz": disk.aqu_sz,
            "%util": disk.util_percent,
        }.items():
            assert value == pytest.approx(theirs[name][column], rel=0.05, abs=0.05), column


def endpoint(text):
    """Address and port; ss writes `*` for any address of a socket of both families."""
    host, _, port = text.rpartition(":")
    return host.strip("[]").split("%")[0].replace("*", "::"), port


def test_ss_listening():
    with (
        socket.create_server(("127.0.0.1", 0)),
        socket.create_server(("::", 0), family=socket.AF_INET6),
    ):
        text = run("ss", "-tulnpH")
        report = SocketSampler(ROOTS, CLOCK, wanted=Wanted(listening=True)).sample()
    theirs = {(w[0], w[1], *endpoint(w[4])) for w in map(str.split, text.splitlines())}
    here = Roots().proc.joinpath("self", "ns", "net").stat().st_ino
    ours = {(s.protocol, s.state, s.local, str(s.local_port)) for s in report.sockets
            if s.network == here}  # fmt: skip
    mine = {row for row in ours if row in theirs}
    assert len(mine) >= 2
    # What others open or close between the two looks may differ.
    assert len(ours ^ theirs) <= max(4, len(ours) // 4)


def test_ss_processes_and_queues():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            client.sendall(b"x" * 1000)
            port = client.getsockname()[1]
            text = run("ss", "-tnpH", f"sport = :{address[1]} and dport = :{port}")
            report = SocketSampler(ROOTS, CLOCK).sample()
        (line,) = text.splitlines() or pytest.skip("ss shows no sockets here")
    words = line.split()
    (ours,) = [s for s in report.sockets if s.local_port == address[1] and s.peer_port == port]
    assert (ours.state, ours.receive_queue, ours.send_queue) == (
        words[0],
        int(words[1]),
        int(words[2]),
    )
    assert ours.receive_queue == 1000


@pytest.mark.parametrize("family", [4, 6])
def test_routes(family):
    text = run("ip", f"-{family}", "route", "show", "table", "main")
    theirs = set()
    for words in map(str.split, text.splitlines()):
        via = words[words.index("via") + 1] if "via" in words else None
        zero = "0.0.0.0/0" if family == 4 else "::/0"
        alone = "32" if family == 4 else "128"
        place = zero if words[0] == "default" else words[0]
        if "dev" in words:
            place = place if "/" in place else f"{place}/{alone}"
            theirs.add((place, via, words[words.index("dev") + 1]))
    routes = RouteSampler(ROOTS, CLOCK, families=frozenset({family})).sample().routes
    assert {(r.destination, r.gateway, r.interface) for r in routes} == theirs


def test_netstat():
    lines = run("netstat", "-rn").splitlines()[2:]
    theirs = {(w[0], w[1], w[2], w[3], w[7]) for w in map(str.split, lines)}
    routes = RouteSampler(ROOTS, CLOCK, families=frozenset({4})).sample().routes
    assert {r.flags for r in routes} == {flags for _, _, _, flags, _ in theirs}
    assert len(routes) == len(theirs)
