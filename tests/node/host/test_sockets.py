import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.clock import SystemClock
from kelp.node.host.reading import Roots
from kelp.node.host.selection import Selection
from kelp.node.host.show import ss as show_ss
from kelp.node.host.sockets import SocketSampler, Wanted
from kelp.node.host.sockettable import parse_inet, parse_unix

from .tree import CONTAINER_V2

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ...\n"


def row(local, peer, state, inode, queues="00000000:00000000", timer="00:00000000 00000000"):
    return f"   0: {local} {peer} {state} {queues} {timer}     0        0 {inode} 1 0 100 0 0\n"


LISTEN = row("0100007F:1F90", "00000000:0000", "0A", 501, "00000000:00000003")
INSIDE, OUTSIDE = "0A00F40A:1F90", "0B00F40A:C001"
ESTAB = row(INSIDE, OUTSIDE, "01", 502, "00000010:00000020", "02:000003E8 00000001")
WAIT = row("0A00F40A:1F90", "0B00F40A:C002", "06", 0, timer="03:FFFFFFFE 00000000")
V6 = row("00000000000000000000000001000000:0050", "0" * 32 + ":0000", "0A", 503)
UDP = " 12: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 101 0 504 2 0 7"
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01  601 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03  602 @abstract
0000000000000000: 00000002 00000000 00000000 0002 01  603
"""


def test_a_listening_and_an_established_socket():
    listening, established = parse_inet([HEAD, LISTEN, ESTAB], "tcp")
    assert (listening.state, listening.local, listening.local_port) == ("LISTEN", "127.0.0.1", 8080)
    assert (listening.receive_queue, listening.timer, listening.inode) == (3, None, 501)
    assert (established.local, established.peer, established.peer_port) == (
        "10.244.0.10",
        "10.244.0.11",
        49153,
    )
    assert (established.send_queue, established.receive_queue) == (16, 32)
    timer = established.timer
    assert (timer.name, timer.expires_s, timer.retransmits) == ("keepalive", 10.0, 1)


def test_a_timer_that_is_late_has_no_time_left():
    (waiting,) = parse_inet([WAIT], "tcp")
    assert (waiting.state, waiting.timer.name, waiting.timer.expires_s) == (
        "TIME-WAIT",
        "timewait",
        0.0,
    )


def test_ipv6_and_udp():
    (six,) = parse_inet([V6], "tcp")
    assert (six.family, six.local, six.local_port, six.peer) == (6, "::1", 80, "::")
    (udp,) = parse_inet([UDP], "udp")
    assert (udp.state, udp.local_port, udp.drops, udp.uid) == ("UNCONN", 53, 7, 101)


def test_unix():
    found = list(parse_unix(UNIX.splitlines(keepends=True)))
    assert [(s.protocol, s.state, s.local, s.inode) for s in found] == [
        ("u_str", "LISTEN", "/run/a b.sock", 601),
        ("u_str", "ESTAB", "@abstract", 602),
        ("u_dgr", "UNCONN", "", 603),
    ]


@given(st.text(max_size=300))
def test_no_table_is_an_exception(data):
    list(parse_inet(data.splitlines(), "tcp"))
    list(parse_inet(data.splitlines(), "udp"))
    list(parse_unix(data.splitlines()))


@given(st.lists(st.sampled_from([*LISTEN.split(), *V6.split(), ":", "zz", "-1"]), max_size=20))
def test_no_words_of_a_table_are_an_exception(words):
    list(parse_inet([" ".join(words)], "udp"))
    list(parse_unix([" ".join(words)]))


@pytest.fixture
def node(tree):
    """The node with a service and kubelet, and a pod with a network of its own."""
    tree.pod()
    tree.container("nginx")
    unit = "0::/system.slice/kubelet.service\n"
    tree.process(1, "init", ppid=0, network=1)
    tree.process(5, "kubelet", cgroup=unit, network=1, descriptors=("socket:[501]", "/dev/null"))
    inside = f"0::{CONTAINER_V2}\n"
    twice = ("socket:[502]", "socket:[502]")
    tree.process(7, "nginx", cgroup=inside, network=2, descriptors=twice)
    tree.process(8, "nginx", cgroup=inside, network=2, descriptors=("socket:[502]",))
    for pid in (1, 5):
        tree.write(f"proc/{pid}/net/tcp", HEAD + LISTEN)
        tree.write(f"proc/{pid}/net/udp", UDP)
    for pid in (7, 8):
        tree.write(f"proc/{pid}/net/tcp", HEAD + ESTAB + WAIT)
        tree.write(f"proc/{pid}/net/unix", UNIX)
    return tree


def shown(tree, clock, *args, **asked):
    return SocketSampler(tree.roots, clock, *args, **asked).sample().sockets


def test_each_network_once_with_who_holds_what(node, clock):
    found = shown(node, clock)
    assert [(s.state, s.network, s.node_network) for s in found] == [
        ("LISTEN", 1, True),
        ("ESTAB", 2, False),
        ("UNCONN", 1, True),
    ]
    assert [(p.pid, p.name, p.fd) for p in found[0].processes] == [(5, "kubelet", 3)]
    assert (found[0].unit, found[0].pod) == ("kubelet.service", None)
    assert [p.pid for p in found[1].processes] == [7, 8]
    assert (found[1].pod, found[1].container) == ("web-0", "nginx")


def test_a_socket_that_nobody_holds_is_the_pods_in_whose_network_it_is(node, clock):
    wanted = Wanted(states=None)
    (waiting,) = [s for s in shown(node, clock, wanted=wanted) if s.state == "TIME-WAIT"]
    assert (waiting.pod, waiting.container, waiting.processes) == ("web-0", None, [])


def test_filters(node, clock):
    def states(**asked):
        return sorted(s.state for s in shown(node, clock, wanted=Wanted(**asked)))

    assert states(listening=True) == ["LISTEN", "UNCONN"]
    assert states(protocols=frozenset({"udp"})) == ["UNCONN"]
    assert states(families=frozenset({6})) == []
    assert states(protocols=frozenset({"unix"}), listening=True) == ["LISTEN"]
    chosen = SocketSampler(node.roots, clock, Selection(namespace="shop")).sample().sockets
    assert [s.state for s in chosen] == ["ESTAB"]


def test_a_process_that_ends_leaves_its_table_to_the_next(node, clock):
    (node.proc / "7" / "net" / "tcp").unlink()
    assert "ESTAB" in [s.state for s in shown(node, clock)]


def test_without_any_namespace_the_nodes_own_tables_are_read(tree, clock):
    tree.write("proc/net/tcp", HEAD + LISTEN)
    assert [s.local_port for s in shown(tree, clock)] == [8080]


def test_the_lines(node, clock):
    report = SocketSampler(node.roots, clock, wanted=Wanted(states=None)).sample()
    lines = list(show_ss.lines(report, processes=True, timers=True))
    assert lines[1].split() == [
        "tcp", "LISTEN", "3", "0", "127.0.0.1:8080", "0.0.0.0:*", "kubelet.service", "-",
        "kubelet[5]", "fd=3", "-",
    ]  # fmt: skip
    assert "nginx[7] fd=3,nginx[8] fd=3" in lines[2]
    assert lines[2].endswith("keepalive,10.00s,1")
    assert "nginx[7] +1" in list(show_ss.lines(report))[2]


def test_a_real_listening_socket_is_found_with_its_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = SocketSampler(Roots(), SystemClock(), wanted=Wanted(listening=True)).sample()
        (mine,) = [s for s in found.sockets if s.local_port == port]
        assert (mine.protocol, mine.family, mine.local) == ("tcp", 4, "127.0.0.1")
        assert os.getpid() in [p.pid for p in mine.processes]


def test_without_rights_processes_are_missing_and_that_is_told(as_nobody):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def look():
            report = SocketSampler(Roots(), SystemClock()).sample()
            mine = [s for s in report.sockets if s.local_port == port]
            return [[[p.pid for p in s.processes] for s in mine], report.notes]

        (holders,), notes = as_nobody(look)  # once, although most links cannot be read
    assert os.getpid() not in holders
    assert any(n.endswith("do not show this user which sockets they hold; run as root")
               for n in notes)  # fmt: skip


def test_a_socket_in_another_network_namespace_is_found(tmp_path):
    """A real one, made with unshare."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    code = (
        "import socket, sys\n"
        "s = socket.socket(); s.bind(('0.0.0.0', 7777)); s.listen()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(["unshare", "-n", sys.executable, "-c", code],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        if child.stdout.readline() != b"ready\n":
            pytest.skip("a network namespace cannot be made here")
        found = SocketSampler(Roots(), SystemClock(), wanted=Wanted(listening=True)).sample()
        (inside,) = [s for s in found.sockets if child.pid in [p.pid for p in s.processes]]
        assert (inside.local_port, inside.node_network) == (7777, False)
        assert inside.network == Path(f"/proc/{child.pid}/ns/net").stat().st_ino
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait()
