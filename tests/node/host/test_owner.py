import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.podnames import PodNames
from kelp.node.host.owner import Owners, cgroup_of
from kelp.node.host.reading import Notes

from .tree import CONTAINER_V1, CONTAINER_V2, ID, POD_V1, UID


@pytest.mark.parametrize(
    ("table", "path"),
    [
        (f"0::{CONTAINER_V2}\n", CONTAINER_V2),
        (f"9:name=systemd:/\n4:memory:{CONTAINER_V1}\n0::/\n", CONTAINER_V1),
        (f"4:memory:{POD_V1}\n3:cpu,cpuacct:{CONTAINER_V1}\n", CONTAINER_V1),
        ("1:name=systemd:/system.slice/kubelet.service\n0::/\n", "/system.slice/kubelet.service"),
        ("0::/user.slice/x:y\n", "/user.slice/x:y"),
        (f"0::/../..{CONTAINER_V2}\n", f"/../..{CONTAINER_V2}"),
        (f"0::{CONTAINER_V2} (deleted)\n", CONTAINER_V2),
        ("0::/\n", "/"),
        ("", None),
        ("nonsense\n", None),
    ],
)
def test_the_path_that_says_most(table, path):
    assert cgroup_of(table) == path


@given(st.text(max_size=200))
def test_no_table_is_an_exception(table):
    Owners(PodNames.__new__(PodNames)) and cgroup_of(table)


def test_names_of_pods_and_containers(tree):
    tree.pod()
    tree.pod("kube-system", "etcd-n1", "e" * 32)
    tree.container("web-server")
    (tree.roots.pods / "no_pod").mkdir()
    (tree.roots.pods / "a_b_c_d").mkdir()
    tree.write("log/containers/README", "")
    tree.write("log/containers/a_b_c-xyz.log", "")
    names = PodNames(tree.roots.pods)
    assert names.pod(UID).pod == "web-0"
    assert names.pod("e" * 32).namespace == "kube-system"
    assert names.container(ID) == "web-server"
    assert (names.pod("pod"), names.pod(None), names.container("xyz")) == (None, None, None)


def test_a_service_is_an_owner_without_a_pod(tree):
    owners = Owners(PodNames(tree.roots.pods))
    found = owners.of_path("/system.slice/containerd.service")
    assert (found.unit, found.known) == ("containerd.service", False)
    notes = Notes()
    owners.tell(notes)
    assert notes.texts() == []
