"""Counters of kills against the kills that were read, over a tree of cgroups made by hand."""

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.oomcounts import OomCountCollector
from kelp.base.settings import Agent

from .harness import TurnableClock

POD = "6f1c3a52-08de-4b6c-9a41-77d0c2e94b10"
OTHER = "11111111-2222-3333-4444-555555555555"
CONTAINER = "c0ffee" + "0123456789abcdef" * 3 + "0123456789"


class Node:
    """A node's cgroups, and the collector that looks at them."""

    def __init__(self, folder, version=2, root="kubepods.slice"):
        self.cgroup = folder / "sys" / "fs" / "cgroup"
        self.version = version
        self.base = self.cgroup if version == 2 else self.cgroup / "memory"
        self.base.mkdir(parents=True)
        if version == 2:
            (self.cgroup / "cgroup.controllers").write_text("memory\n")
        self.root = self.base / root
        self.clock = TurnableClock()
        self.told = []
        self.checkpoints = {}
        self.boot = "b1"
        self.settings = Agent(node="n1", sys_dir=str(folder / "sys"), oom_count_interval_s=5.0)
        self.start()

    def start(self):
        def told():
            found, self.told = self.told, []
            return found

        metrics = CollectMetrics(CollectorRegistry())
        self.collector = OomCountCollector(
            self.settings, self.clock, self.checkpoints, metrics, self.boot, told
        )

    def commit(self):
        self.checkpoints.update(self.collector.changes())

    def pod(self, uid=POD):
        tier = "kubepods-burstable.slice" if self.root.name.endswith(".slice") else "burstable"
        name = uid.replace("-", "_")
        if tier == "burstable":
            return self.root / tier / f"pod{uid}"
        return self.root / tier / f"kubepods-burstable-pod{name}.slice"

    def container(self, uid=POD, container=CONTAINER):
        return self.pod(uid) / f"cri-containerd-{container}.scope"

    def set(self, folder, count):
        folder.mkdir(parents=True, exist_ok=True)
        if self.version == 2:
            text = f"low 0\nhigh 0\nmax 9\noom 2\noom_kill {count}\noom_group_kill 0\n"
            (folder / "memory.events").write_text(text)
        else:
            text = f"oom_kill_disable 0\nunder_oom 0\noom_kill {count}\n"
            (folder / "memory.oom_control").write_text(text)

    def killed(self, count, uid=POD, container=CONTAINER):
        """So often in one container of one pod; what lies above counts it in v2."""
        self.set(self.container(uid, container), count)
        above = count if self.version == 2 else 0
        self.set(self.pod(uid), above)
        self.set(self.root, above)

    def look(self, after_s=6.0):
        self.clock.sleep(after_s)
        entries = self.collector.poll()
        return [] if entries is None else list(entries.rows)

    def look_until_late(self):
        """All that is given out within the time that a kill waits for its lines."""
        return [row for _ in range(5) for row in self.look()]


@pytest.fixture(params=[(2, "kubepods.slice"), (2, "kubepods"), (1, "kubepods")], ids=str)
def node(request, tmp_path):
    version, root = request.param
    node = Node(tmp_path, version, root)
    node.killed(0)
    node.look()
    return node


def test_a_kill_that_no_line_told_of_is_given_out(node):
    node.killed(1)
    (row,) = node.look_until_late()
    assert (POD, CONTAINER, 1) == (row.pod_uid, row.container_id, row.count)
    assert row.cgroup.endswith(f"cri-containerd-{CONTAINER}.scope")
    assert [] == node.look_until_late()


def test_one_that_was_told_is_not(node):
    node.told = [(POD, CONTAINER)]
    node.killed(1)
    assert [] == node.look_until_late()


def test_nor_one_that_is_told_later(node):
    node.killed(1)
    assert [] == node.look()
    node.told = [(POD, "")]
    assert [] == node.look_until_late()


def test_of_three_kills_two_were_told(node):
    node.told = [(POD, CONTAINER)] * 2
    node.killed(3)
    assert 1 == len(node.look_until_late())


def test_a_kill_in_another_pod_is_another(node):
    node.told = [(OTHER, "")]
    node.killed(1)
    assert [POD] == [row.pod_uid for row in node.look_until_late()]


def test_one_whose_pod_the_kernel_did_not_say_may_be_this(node):
    node.told = [("", "")]
    node.killed(1)
    assert [] == node.look_until_late()


def test_a_new_pod_began_at_zero(node):
    node.killed(2, uid=OTHER)
    assert [OTHER] * 2 == [row.pod_uid for row in node.look_until_late()]


def test_what_was_before_the_first_start_is_not_told(tmp_path):
    node = Node(tmp_path)
    node.killed(7)
    assert [] == node.look_until_late()


def test_counters_are_looked_at_at_their_interval(node):
    node.look()
    node.killed(1)
    node.look(after_s=1.0)
    assert [] == node.collector._state.open


def test_a_start_goes_on_where_the_last_one_was(node):
    node.look()
    node.commit()
    node.killed(1)
    node.start()
    rows = node.look_until_late()
    assert [1] == [row.count for row in rows]
    node.commit()
    node.start()
    assert [] == node.look_until_late()


def test_what_waits_is_kept_over_a_start(node):
    node.killed(1)
    node.told = [(OTHER, "")]
    node.look()
    node.commit()
    node.start()
    assert [POD] == [row.pod_uid for row in node.look_until_late()]
    assert [OTHER] == [told.pod_uid for told in node.collector._state.told]


def test_what_was_told_since_the_last_look_is_committed_too(node):
    node.told = [(POD, "")]
    node.commit()
    node.killed(1)
    node.start()
    assert [] == node.look_until_late()


def test_positions_go_on(node):
    positions = []
    for count in (1, 3):
        node.killed(count)
        for _ in range(6):
            node.clock.sleep(6)
            entries = node.collector.poll()
            positions += list(entries.positions) if entries else []
        node.commit()
        node.start()
    assert [0, 1, 2] == positions


def test_after_a_boot_all_counters_began_at_zero(node):
    node.killed(5)
    node.look_until_late()
    node.commit()
    node.boot = "b2"
    node.killed(1)
    node.start()
    assert [1] == [row.count for row in node.look_until_late()]


def test_a_told_kill_that_is_never_counted_is_forgotten(node):
    node.told = [(POD, "")]
    for _ in range(30):
        node.look()
    assert [] == node.collector._state.told


def test_a_checkpoint_that_cannot_be_read(node):
    node.killed(1)
    node.checkpoints = {"counts": b"nonsense"}
    node.start()
    assert [] == node.look_until_late()


def test_a_node_without_counters(tmp_path):
    node = Node(tmp_path)
    assert [] == node.look_until_late()
    assert {} == node.collector.changes()


def test_v2_keeps_the_count_of_a_container_that_is_gone(tmp_path):
    node = Node(tmp_path)
    node.killed(0)
    node.look()
    node.set(node.pod(), 1)
    node.set(node.root, 1)
    for file in node.container().iterdir():
        file.unlink()
    node.container().rmdir()
    (row,) = node.look_until_late()
    assert (POD, "") == (row.pod_uid, row.container_id)


def test_v2_keeps_the_count_of_a_pod_that_is_gone(tmp_path):
    node = Node(tmp_path)
    node.killed(0)
    node.look()
    node.set(node.root, 1)
    (row,) = node.look_until_late()
    assert ("", "/kubepods.slice") == (row.pod_uid, row.cgroup)


def test_a_kill_between_the_total_and_the_pods_counts_once(tmp_path):
    node = Node(tmp_path)
    node.killed(0)
    node.look()
    node.killed(2)
    node.set(node.root, 1)  # it was read before the second one
    node.look()
    node.set(node.root, 2)
    assert 2 == len(node.look_until_late())


def test_pods_of_a_node_that_is_a_container(tmp_path):
    node = Node(tmp_path, root="kubelet.slice/kubelet-kubepods.slice")
    node.killed(0)
    node.look()
    node.killed(1)
    assert [POD] == [row.pod_uid for row in node.look_until_late()]
