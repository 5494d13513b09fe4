import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.node.host.disks import DiskCounters, IostatSampler, parse_disks, rates
from kelp.node.host.show import iostat as show_iostat

BEFORE = DiskCounters(100, 10, 2000, 500, 50, 5, 800, 250, 0, 1000, 4000)
# In 2 s: 20 reads of 320 sectors in 60 ms, 10 writes of 400 in 90 ms, 5 flushes in 50 ms.
NOW = DiskCounters(120, 12, 2320, 560, 60, 9, 1200, 340, 3, 1500, 5000, 0, 0, 0, 0, 5, 50)


def line(name, counters):
    return f"   8  0 {name} " + " ".join(str(getattr(counters, f)) for f in FIELDS) + "\n"


FIELDS = DiskCounters.__struct_fields__


def test_the_figures_of_an_interval():
    disk = rates("sda", BEFORE, NOW, 2.0)
    assert (disk.reads_per_s, disk.writes_per_s, disk.flushes_per_s) == (10.0, 5.0, 2.5)
    assert (disk.read_kb_per_s, disk.written_kb_per_s) == (80.0, 100.0)
    assert (disk.reads_merged_per_s, disk.writes_merged_per_s) == (1.0, 2.0)
    assert (disk.read_await_ms, disk.write_await_ms, disk.flush_await_ms) == (3.0, 9.0, 10.0)
    assert disk.await_ms == pytest.approx(200 / 35)
    assert (disk.aqu_sz, disk.util_percent, disk.in_flight) == (0.5, 25.0, 3)
    assert disk.discard_await_ms is None


def test_a_device_that_was_put_in_again_stands_still_for_once():
    disk = rates("sda", NOW, BEFORE, 2.0)
    assert (disk.reads_per_s, disk.await_ms, disk.util_percent) == (0.0, None, 0.0)


def test_a_device_is_never_busier_than_always():
    assert rates("sda", BEFORE, NOW, 0.1).util_percent == 100.0


@pytest.mark.parametrize("columns", [11, 15, 17, 20])
def test_kernels_with_fewer_and_more_columns(columns):
    words = [str(n) for n in range(1, columns + 1)]
    found = parse_disks(f"8 0 sda {' '.join(words)}\n")["sda"]
    assert (found.reads, found.queued_ms) == (1, 11)
    assert found.flush_ms == (17 if columns >= 17 else 0)


@given(st.text(max_size=300))
def test_no_table_is_an_exception(data):
    parse_disks(data)


def test_first_since_boot_then_since_the_last_look(tree, clock):
    tree.write("proc/diskstats", line("sda", BEFORE))
    (tree.roots.sys / "block" / "sda").mkdir(parents=True)
    sampler = IostatSampler(tree.roots, clock)
    first = sampler.sample()
    assert (first.interval_s, first.devices[0].reads_per_s) == (20.0, 5.0)
    clock.sleep(2.0)
    tree.write("proc/diskstats", line("sda", NOW))
    second = sampler.sample()
    assert (second.interval_s, second.devices[0].reads_per_s) == (2.0, 10.0)


def test_partitions_and_unused_devices_only_when_asked_for(tree, clock):
    rows = [line(n, NOW) for n in ("sda", "sda1", "cciss/c0d0")] + [line("loop0", DiskCounters())]
    tree.write("proc/diskstats", "".join(rows))
    for name in ("sda", "loop0", "cciss!c0d0"):
        (tree.roots.sys / "block" / name).mkdir(parents=True)

    def names(**asked):
        return [d.device for d in IostatSampler(tree.roots, clock, **asked).sample().devices]

    assert names() == ["cciss/c0d0", "sda"]
    assert names(everything=True) == ["cciss/c0d0", "loop0", "sda", "sda1"]


def test_without_sys_all_devices_are_shown(tree, clock):
    tree.write("proc/diskstats", line("sda", NOW) + line("sda1", NOW))
    assert len(IostatSampler(tree.roots, clock).sample().devices) == 2


def test_a_device_that_came_between_two_looks_waits_for_the_next(tree, clock):
    tree.write("proc/diskstats", line("sda", BEFORE))
    sampler = IostatSampler(tree.roots, clock)
    sampler.sample()
    clock.sleep(1.0)
    tree.write("proc/diskstats", line("sda", NOW) + line("sdb", NOW))
    assert [d.device for d in sampler.sample().devices] == ["sda"]


def test_a_kernel_without_the_file(tree, clock):
    report = IostatSampler(tree.roots, clock).sample()
    assert (report.devices, report.notes) == ([], [])


def test_the_table(tree, clock):
    tree.write("proc/diskstats", line("sda", NOW))
    lines = list(show_iostat.lines(IostatSampler(tree.roots, clock, "util").sample()))
    assert lines[0].split()[:5] == ["DEVICE", "r/s", "w/s", "rkB/s", "wkB/s"]
    assert lines[1].split()[:5] == ["sda", "6.00", "3.00", "58.00", "30.00"]
