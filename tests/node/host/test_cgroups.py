import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.clock import SystemClock
from kelp.node.host.cgroups import CgroupSampler, kind_of
from kelp.node.host.cgroupstat import read_counters
from kelp.node.host.hierarchy import Hierarchy
from kelp.node.host.process import TICKS_PER_S
from kelp.node.host.ps import PsSampler
from kelp.node.host.reading import Notes, Roots
from kelp.node.host.selection import Selection
from kelp.node.host.show import cgroups as show_cgroups

from ...waiting import wait_until
from .tree import CONTAINER_V1, CONTAINER_V2, ID, POD_V1, POD_V2

V2 = {
    "cpu.stat": "usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\nnr_periods 100\n"
    "nr_throttled 20\nthrottled_usec 3000000\n",
    "cpu.max": "50000 100000\n",
    "memory.current": "1000000\n",
    "memory.max": "2000000\n",
    "memory.stat": "anon 5\ninactive_file 400000\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n",
    "memory.peak": "1500000\n",
    "memory.swap.current": "10\n",
    "pids.current": "4\n",
    "pids.max": "max\n",
    "io.stat": "254:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n8:0 rbytes=1\n",
}
V1 = {
    "cpuacct/cpuacct.usage": "5000000000\n",
    "cpuacct/cpuacct.stat": f"user {4 * TICKS_PER_S}\nsystem {TICKS_PER_S}\n",
    "cpu/cpu.stat": "nr_periods 100\nnr_throttled 20\nthrottled_time 3000000000\n",
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.usage_in_bytes": "1000000\n",
    "memory/memory.limit_in_bytes": "2000000\n",
    "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 400000\ntotal_swap 10\n",
    "memory/memory.failcnt": "7\n",
    "memory/memory.max_usage_in_bytes": "1500000\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 1\noom_kill 1\n",
    "pids/pids.current": "4\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "254:0 Read 100\n254:0 Write 200\n"
    "254:0 Sync 300\n8:0 Read 1\nTotal 301\n",
    "blkio/blkio.throttle.io_serviced": "254:0 Read 1\n254:0 Write 2\nTotal 3\n",
}


def put_v2(tree, path, files=None):
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n")
    for name, text in (files or V2).items():
        tree.write(f"sys/fs/cgroup{path}/{name}", text)


def put_v1(tree, path, files=None):
    for name, text in (files or V1).items():
        controller, file = name.split("/")
        tree.write(f"sys/fs/cgroup/{controller}{path}/{file}", text)


@pytest.mark.parametrize(
    ("put", "path"),
    [
        (put_v2, CONTAINER_V2),
        (put_v1, CONTAINER_V1),
        (put_v2, CONTAINER_V1),
        (put_v1, CONTAINER_V2),
    ],
)
def test_every_counter_in_both_versions_with_both_drivers(tree, clock, put, path):
    tree.pod()
    put(tree, path)
    report = CgroupSampler(tree.roots, clock, sort="cpu").sample()
    c = next(c for c in report.cgroups if c.kind == "container")
    assert (c.pod, c.container_id, c.path) == ("web-0", ID, path)
    assert (c.cpu_s, c.cpu_user_s, c.cpu_system_s, c.cpu_limit) == (5.0, 4.0, 1.0, 0.5)
    assert (c.cpu_periods, c.cpu_throttled_periods, c.cpu_throttled_s) == (100, 20, 3.0)
    assert (c.memory_bytes, c.memory_working_set_bytes) == (1000000, 600000)
    assert (c.memory_limit_bytes, c.memory_limit_percent) == (2000000, 30.0)
    assert (c.memory_limit_hits, c.memory_peak_bytes, c.memory_swap_bytes) == (7, 1500000, 10)
    assert (c.oom_kills, c.pids, c.pids_limit) == (1, 4, None)
    assert (c.read_bytes, c.written_bytes, c.reads, c.writes) == (101, 200, 1, 2)
    assert (c.oom_events, c.under_oom) == ((2, None) if put is put_v2 else (None, True))


def test_versions(tree):
    sys = tree.roots.sys
    assert Hierarchy.of(sys).version is None
    tree.write("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "")
    assert Hierarchy.of(sys).version == "v1"
    assert set(Hierarchy.of(sys).controllers) == {"cpu", "cpuacct"}
    tree.write("sys/fs/cgroup/unified/cgroup.controllers", "")
    assert Hierarchy.of(sys).version == "hybrid"
    tree.write("sys/fs/cgroup/cgroup.controllers", "")
    assert Hierarchy.of(sys).version == "v2"


def test_rates_over_an_interval(tree, clock):
    put_v2(tree, CONTAINER_V2)
    sampler = CgroupSampler(tree.roots, clock)
    first = next(c for c in sampler.sample().cgroups if c.kind == "container")
    assert (first.cpu, first.cpu_throttled_percent) == (None, None)
    clock.sleep(2.0)
    put_v2(tree, CONTAINER_V2, {
        "cpu.stat": "usage_usec 6000000\nnr_periods 120\nnr_throttled 25\n",
        "io.stat": "254:0 rbytes=2101 wbytes=100\n",
    })  # fmt: skip
    second = next(c for c in sampler.sample().cgroups if c.kind == "container")
    assert (second.cpu, second.cpu_throttled_percent) == (0.5, 25.0)
    assert (second.read_bytes_per_s, second.written_bytes_per_s) == (1000.0, 0.0)


def test_no_limit_in_v2(tree):
    put_v2(tree, CONTAINER_V2, {"memory.max": "max\n", "cpu.max": "max 100000\n"})
    found = read_counters(Hierarchy.of(tree.roots.sys), CONTAINER_V2, Notes())
    assert (found.memory_limit_bytes, found.cpu_limit) == (None, None)


def test_no_limit_in_v1(tree):
    put_v1(tree, CONTAINER_V1, {
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    })  # fmt: skip
    found = read_counters(Hierarchy.of(tree.roots.sys), CONTAINER_V1, Notes())
    assert (found.memory_limit_bytes, found.cpu_limit, found.memory_bytes) == (None, None, None)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (POD_V1, "pod"),
        (POD_V2, "pod"),
        (CONTAINER_V1, "container"),
        (CONTAINER_V2, "container"),
        (f"{CONTAINER_V2}/init.scope", "other"),
        (f"{POD_V1}/kelp", "other"),
        (f"{POD_V2}/crio-conmon-{ID}.scope", "other"),
        (f"/docker/{ID}", "container"),
        (f"/docker/{ID}/kubelet{CONTAINER_V1}", "container"),
        ("/kubepods/burstable", "qos"),
        ("/kubepods.slice", "kubepods"),
        ("/system.slice/kubelet.service", "unit"),
        ("/system.slice", "other"),
        ("/", "other"),
    ],
)
def test_what_a_cgroup_is(path, kind):
    assert kind_of(path) == kind


@given(st.text(max_size=100))
def test_no_path_is_an_exception(path):
    kind_of(path)


def test_tiers_and_services_only_when_asked_for(tree, clock):
    put_v2(tree, CONTAINER_V2)
    put_v2(tree, "/system.slice/kubelet.service")

    def kinds(**asked):
        return sorted(c.kind for c in CgroupSampler(tree.roots, clock, **asked).sample().cgroups)

    assert kinds() == ["container", "pod"]
    assert kinds(everything=True) == ["container", "kubepods", "pod", "qos", "unit"]


def test_what_is_missing_is_told(tree, clock):
    (note,) = CgroupSampler(tree.roots, clock).sample().notes
    assert note.startswith("no cgroup file system under --sys")
    tree.write("sys/fs/cgroup/cgroup.controllers", "")
    (note,) = CgroupSampler(tree.roots, clock).sample().notes
    assert note.startswith("no pod's or container's cgroup on this node")


def test_the_table(tree, clock):
    tree.pod()
    tree.container("nginx")
    put_v2(tree, CONTAINER_V2)
    lines = list(show_cgroups.lines(CgroupSampler(tree.roots, clock).sample()))
    assert lines[2].split() == [
        "shop/web-0", "nginx", "-", "0.50", "-", "0:05.00", "977K", "586K", "1.9M", "30.0", "1",
        "7", "4", "101", "200",
    ]  # fmt: skip


@pytest.fixture
def real_pod():
    """A cgroup of this machine's, named as a kubelet names a container's: (uid, id, folder)."""
    uid, container = str(uuid.uuid4()), uuid.uuid4().hex * 2
    v1 = Path("/sys/fs/cgroup/memory")
    root = v1 if (v1 / "cgroup.procs").exists() else Path("/sys/fs/cgroup")
    path = root / "kubepods" / "burstable" / f"pod{uid}" / container
    made = []
    try:
        for folder in [*reversed(path.parents), path]:
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        yield uid, container, path
    except OSError as e:
        pytest.skip(f"cgroups cannot be made here: {e}")
    finally:
        for folder in reversed(made):
            folder.rmdir()


def test_a_real_process_in_a_pods_cgroup(real_pod):
    uid, container, path = real_pod
    code = "import sys; held = b'x' * (8 << 20); print('ready', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", "import os,sys\n"
                              "open(sys.argv[1], 'w').write(str(os.getpid()))\n" + code,
                              str(path / "cgroup.procs")],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        if child.stdout.readline() != b"ready\n":
            pytest.skip("a process cannot be put into a cgroup here")
        roots, selection = Roots(), Selection(pod=uid)
        (process,) = PsSampler(roots, SystemClock(), selection).sample().processes
        assert (process.pid, process.pod_uid, process.container_id) == (child.pid, uid, container)
        report = CgroupSampler(roots, SystemClock(), selection).sample()
        assert [c.kind for c in report.cgroups] == ["pod", "container"]
        inside = report.cgroups[1]
        if inside.memory_bytes is not None:  # v2 may have no memory controller switched on here
            assert 8 << 20 < inside.memory_bytes < 64 << 20
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        wait_until(lambda: not (path / "cgroup.procs").read_text())
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait()
