import pytest

from kelp.node.host.process import PAGE_BYTES
from kelp.node.host.show import vmstat as show_vmstat
from kelp.node.host.vmstat import VmstatSampler

from .tree import STAT

PAGES = "pgpgin 2000\npgpgout 4000\npswpin 10\npswpout 20\noom_kill 3\nnr_x y\n"


def test_first_since_boot_then_since_the_last_look(tree, clock):
    tree.write("proc/vmstat", PAGES)
    sampler = VmstatSampler(tree.roots, clock)
    first = sampler.sample()
    assert (first.r, first.b, first.swpd, first.free) == (2, 1, 20, 300)
    assert (first.buff, first.cache) == (50, 350)
    assert (first.bi, first.bo, first.in_, first.cs) == (100.0, 200.0, 250.0, 450.0)
    assert (first.us, first.sy, first.id) == (20.0, 10.0, 70.0)
    assert (first.si, first.oom_kills) == (pytest.approx(10 * PAGE_BYTES / 1024 / 20), 3)
    clock.sleep(2.0)
    tree.write("proc/vmstat", PAGES.replace("2000", "2500"))
    tree.write("proc/stat", STAT.replace("cpu  400 0 200 1400 0 0 0 0 0 0",
                                         "cpu  440 10 220 1400 20 5 5 10 30 10"))  # fmt: skip
    second = sampler.sample()
    assert (second.interval_s, second.bi, second.bo, second.cs) == (2.0, 250.0, 0.0, 0.0)
    assert second.us == pytest.approx(100 * 10 / 110)
    assert second.sy == pytest.approx(100 * 30 / 110)
    assert second.gu == pytest.approx(100 * 40 / 110)
    assert second.us + second.sy + second.id + second.wa + second.st + second.gu == 100.0


def test_a_kernel_without_the_file(tree, clock):
    report = VmstatSampler(tree.roots, clock).sample()
    assert (report.bi, report.oom_kills) == (0.0, None)


def test_the_line_stands_under_its_heading(tree, clock):
    tree.write("proc/vmstat", PAGES)
    line = show_vmstat.line(VmstatSampler(tree.roots, clock).sample())
    named = dict(zip(show_vmstat.heading().split(), line.split(), strict=True))
    assert len(line) == len(show_vmstat.heading())
    assert (named["free"], named["in"], named["us"]) == ("300", "250", "20")
