import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.node.host.routes import RouteSampler, parse_v4, parse_v6
from kelp.node.host.selection import Selection
from kelp.node.host.show import route as show_route

from .tree import CONTAINER_V2

V4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t1400\t0\t0
cni0\t0000F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t0010F40A\t00000000\t0201\t0\t0\t0\t00F0FFFF\t0\t0\t0
eth0\t08080808\t0100A8C0\t0007\t2\t5\t0\tFFFFFFFF\t0\t65535\t9
"""
ZERO = "0" * 32
LINK = "fe800000000000000000000000000000"
HOP = "fe800000000000000000000000000001"
V6 = f"""\
{ZERO} 00 {ZERO} 00 {HOP} 00000400 00000002 00000000 00000003     eth0
{LINK} 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0
fe80000000000000000000000000000a 80 {ZERO} 00 {ZERO} 00000000 00000002 00000000 80200001     eth0
ff000000000000000000000000000000 08 {ZERO} 00 {ZERO} 00000100 00000003 00000000 00000001     eth0
{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo
"""


@pytest.fixture
def own(tree):
    tree.write("proc/net/route", V4)
    tree.write("proc/net/ipv6_route", V6)
    return tree


def test_v4():
    found = list(parse_v4(V4.splitlines()))
    assert [(r.destination, r.gateway, r.flags, r.interface) for r in found] == [
        ("0.0.0.0/0", "192.168.0.1", "UG", "eth0"),
        ("10.244.0.0/24", None, "U", "cni0"),
        ("10.244.16.0/20", None, "U!", "*"),
        ("8.8.8.8/32", "192.168.0.1", "UGH", "eth0"),
    ]
    assert (found[0].metric, found[0].mtu, found[0].window) == (100, 1400, None)
    assert (found[3].window, found[3].irtt, found[3].references, found[3].uses) == (65535, 9, 2, 5)


def test_v6():
    found = list(parse_v6(V6.splitlines()))
    assert (found[0].destination, found[0].gateway, found[0].metric) == ("::/0", "fe80::1", 1024)
    assert (found[1].destination, found[1].gateway, found[1].flags) == ("fe80::/64", None, "U")
    assert [r.local for r in found] == [False, False, True, False, False]


@given(st.text(max_size=300))
def test_no_table_is_an_exception(data):
    list(parse_v4(data.splitlines()))
    list(parse_v6(data.splitlines()))


def test_housekeeping_is_left_out_unless_asked_for(own, clock):
    def shown(**asked):
        return [r.destination for r in RouteSampler(own.roots, clock, **asked).sample().routes]

    assert shown()[4:] == ["::/0", "fe80::/64"]
    assert len(shown(everything=True)) == 9
    assert shown(families=frozenset({6})) == ["::/0", "fe80::/64"]


def test_the_table(own, clock):
    lines = list(show_route.lines(RouteSampler(own.roots, clock).sample()))
    assert lines[0].split() == ["DESTINATION", "GATEWAY", "FLAGS", "METRIC", "MTU", "INTERFACE"]
    assert lines[1].split() == ["0.0.0.0/0", "192.168.0.1", "UG", "100", "1400", "eth0"]


def test_the_routes_of_a_pod(own, clock):
    own.pod()
    own.process(1, "init", ppid=0, network=1)
    own.process(7, cgroup=f"0::{CONTAINER_V2}\n", network=2)
    own.write("proc/7/net/route", V4.replace("cni0", "eth0"))
    report = RouteSampler(own.roots, clock, Selection(pod="web-0")).sample()
    assert {(r.pod, r.network, r.node_network) for r in report.routes} == {("web-0", 2, False)}
    assert len(report.routes) == 4
    assert next(iter(show_route.lines(report))).split()[0] == "POD"


def test_a_pod_without_a_network_of_its_own_is_told(own, clock):
    own.pod()
    own.process(1, "init", ppid=0, network=1)
    own.process(7, cgroup=f"0::{CONTAINER_V2}\n", network=1)
    report = RouteSampler(own.roots, clock, Selection(pod="web-0")).sample()
    assert report.routes == []
    assert "a pod with hostNetwork uses the node's routes" in report.notes[0]
