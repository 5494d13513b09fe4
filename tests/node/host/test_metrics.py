import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kelp.node.host.metrics import NodeCollector
from kelp.node.host.metrics.filesystems import parse_mounts
from kelp.node.host.reading import Roots

from .test_disks import NOW, line


def scrape(*args, **asked):
    """Sample name and labels → value."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(*args, **asked))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(s.name, tuple(s.labels.values())): s.value for f in families for s in f.samples}


def test_this_machine_against_proc():
    found = scrape()
    stat = Path("/proc/stat").read_text()
    total = sum(v for (n, _), v in found.items() if n == "node_cpu_seconds_total")
    ticks = sum(int(x) for x in stat.split()[1:9])
    assert total == pytest.approx(ticks / os.sysconf("SC_CLK_TCK"), rel=0.01)
    assert ("node_memory_MemTotal_bytes", ()) in found
    assert found["node_load1", ()] >= 0
    assert found["node_boot_time_seconds", ()] == int(stat.split("btime ")[1].split()[0])
    down = {labels[0] for (n, labels), v in found.items()
            if n == "node_scrape_collector_success" and v != 1}  # fmt: skip
    assert down == set()


def test_names_and_units_are_node_exporters(tree):
    tree.write("proc/diskstats", line("sda", NOW) + line("sda1", NOW) + line("loop0", NOW))
    (tree.roots.sys / "block" / "sda").mkdir(parents=True)
    tree.write("proc/vmstat", "oom_kill 3\npgfault 5\nnr_free_pages 9\n")
    tree.write("proc/pressure/memory",
               "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"
               "full avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n")  # fmt: skip
    numbers = " ".join(map(str, range(1, 17)))
    tree.write("proc/net/dev", f"Inter-| x\n face |b\n  eth0: {numbers}\nvethab: {numbers}\n")
    tree.write("proc/net/sockstat", "sockets: used 9\nTCP: inuse 4 orphan 0 mem 2\n")
    tree.write("proc/sys/fs/file-nr", "100\t0\t5000\n")
    tree.write("proc/sys/net/netfilter/nf_conntrack_count", "7\n")
    tree.write("proc/sys/net/netfilter/nf_conntrack_max", "262144\n")
    found = scrape(tree.roots)
    expected = {
        ("node_cpu_seconds_total", ("0", "idle")): 14.0,
        ("node_context_switches_total", ()): 9000,
        ("node_forks_total", ()): 77,
        ("node_procs_blocked", ()): 1,
        ("node_load15", ()): 0.3,
        ("node_memory_MemAvailable_bytes", ()): 600 * 1024,
        ("node_memory_HugePages_Total", ()): 4,
        ("node_vmstat_oom_kill", ()): 3,
        ("node_pressure_memory_waiting_seconds_total", ()): 2.5,
        ("node_pressure_memory_stalled_seconds_total", ()): 1.5,
        ("node_disk_read_bytes_total", ("sda",)): 2320 * 512,
        ("node_disk_io_time_seconds_total", ("sda",)): 1.5,
        ("node_disk_io_now", ("sda",)): 3,
        ("node_network_receive_bytes_total", ("eth0",)): 1,
        ("node_network_transmit_drop_total", ("eth0",)): 12,
        ("node_sockstat_TCP_inuse", ()): 4,
        ("node_filefd_allocated", ()): 100,
        ("node_nf_conntrack_entries", ()): 7,
        ("node_nf_conntrack_entries_limit", ()): 262144,
    }
    assert {k: found.get(k) for k in expected} == expected
    devices = {labels[0] for (n, labels) in found if n.startswith(("node_disk", "node_network"))}
    assert devices == {"sda", "eth0"}
    assert not any(n == "node_vmstat_nr_free_pages" for n, _ in found)


def test_a_subject_that_fails_costs_its_own_figures_only(tree, caplog):
    def broken(roots):
        raise ValueError("no")

    def whole(roots):
        return []

    collector = NodeCollector(tree.roots, subjects={"bad": broken, "good": whole})
    registry = CollectorRegistry()
    registry.register(collector)
    for _ in range(2):
        text = generate_latest(registry).decode()
    assert 'node_scrape_collector_success{collector="bad"} 0.0' in text
    assert 'node_scrape_collector_success{collector="good"} 1.0' in text
    assert [r.collector for r in caplog.records] == ["bad"]


def test_damaged_files_are_never_an_exception(tree):
    names = "stat loadavg meminfo vmstat diskstats net/dev net/sockstat pressure/cpu"
    for name in [*names.split(), "sys/fs/file-nr", "sys/net/netfilter/nf_conntrack_count"]:
        tree.write(f"proc/{name}", "x: y\n\x00 -1 cpu0: z 1 2 3 4 5 6 7 8 9 a b c d e f g\n")
    tree.write("proc/sys/net/netfilter/nf_conntrack_max", "many")
    found = scrape(tree.roots)
    assert found["node_scrape_collector_success", ("netdev",)] == 0
    assert found["node_scrape_collector_success", ("uname",)] == 1


def test_a_folder_without_any_file(tmp_path):
    found = scrape(Roots(tmp_path / "proc", tmp_path / "sys"))
    assert found["node_procs_running", ()] == 0


def test_file_systems_of_the_node():
    found = scrape()
    sizes = {k[1]: v for k, v in found.items() if k[0] == "node_filesystem_size_bytes"}
    for labels in sizes:
        assert labels[1] in {"ext4", "xfs", "btrfs", "tmpfs", "vfat", "zfs", "ext3", "ext2", "f2fs"}
        assert not labels[2].startswith(("/proc", "/sys", "/dev", "/var/lib/kubelet/pods"))


def test_blanks_in_a_place():
    (found,) = parse_mounts("/dev/sd\\040a /mnt/my\\040disk ext4 ro,noatime 0 0\nshort\n")
    assert found == ("/dev/sd a", "/mnt/my disk", "ext4", "ro,noatime")
