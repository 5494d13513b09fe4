import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.node.host.pressure import PressureSampler, parse_pressure
from kelp.node.host.selection import Selection
from kelp.node.host.show import pressure as show_pressure

from .tree import CONTAINER_V2, POD_V2

PSI = (
    "some avg10=1.50 avg60=2.00 avg300=3.00 total=4500000\n"
    "full avg10=0.50 avg60=0.00 avg300=0.00 total=1\n"
)


def test_both_lines():
    found = parse_pressure(PSI)
    assert (found.some.avg10, found.some.avg300, found.some.total_s) == (1.5, 3.0, 4.5)
    assert found.full.avg10 == 0.5


@pytest.mark.parametrize(
    "data", ["", "some", "some avg10=x avg60=1 avg300=1 total=1", "some avg10"]
)
def test_a_line_of_another_form_is_none(data):
    assert parse_pressure(data).some is None


@given(st.text(max_size=200))
def test_no_file_is_an_exception(data):
    parse_pressure(data)


def put_psi(tree, *, unified):
    for name in ("cpu", "memory", "io"):
        tree.write(f"proc/pressure/{name}", PSI)
    if unified:
        tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory io\n")
        for path in (POD_V2, CONTAINER_V2, f"{CONTAINER_V2}/inner", "/system.slice"):
            tree.write(f"sys/fs/cgroup{path}/memory.pressure", PSI)


def test_the_node_and_its_pods(tree, clock):
    put_psi(tree, unified=True)
    tree.pod()
    tree.container("nginx")
    report = PressureSampler(tree.roots, clock).sample()
    assert list(report.resources) == ["cpu", "memory", "io"]
    assert [(c.kind, c.pod, c.container) for c in report.cgroups] == [
        ("pod", "web-0", None),
        ("container", "web-0", "nginx"),
    ]
    assert report.cgroups[0].resources["memory"].some.avg60 == 2.0
    assert report.notes == []
    lines = list(show_pressure.lines(report))
    assert lines[1].split() == ["cpu", "some", "1.50", "2.00", "3.00", "4.500"]
    assert lines[-1].split() == ["shop/web-0", "nginx", "-", "-", "1.50", "0.50", "-", "-"]


def test_pods_are_chosen(tree, clock):
    put_psi(tree, unified=True)
    tree.pod()
    sampler = PressureSampler(tree.roots, clock, Selection(namespace="other"))
    assert sampler.sample().cgroups == []


def test_v1_is_told_to_have_none_by_pod(tree, clock):
    put_psi(tree, unified=False)
    (tree.roots.sys / "fs/cgroup/memory").mkdir(parents=True)
    report = PressureSampler(tree.roots, clock).sample()
    assert report.notes == ["pressure by pod needs cgroup v2; this node's pods are in cgroup v1"]


def test_a_kernel_without_pressure_is_told(tree, clock):
    report = PressureSampler(tree.roots, clock).sample()
    assert (report.resources, report.cgroups) == ({}, [])
    assert report.notes == [
        "this kernel tells no pressure: it was built without CONFIG_PSI (before 4.20 there is none)"
    ]
    assert list(show_pressure.lines(report)) == []


def test_a_kernel_with_pressure_switched_off_is_told(tree, clock, monkeypatch):
    put_psi(tree, unified=False)

    def refuse(self):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (note,) = PressureSampler(tree.roots, clock).sample().notes
    assert note.startswith("pressure is switched off in this kernel: boot it with psi=1")
