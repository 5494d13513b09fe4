import struct

from kelp.base.oom.framing import Framer

from .found import only
from .reports import memcg_6


def texts(lines):
    framer = Framer()
    found = [k for raw in lines for k in framer.feed(raw)]
    return [k.text for k in [*found, *framer.end()]]


def binary(name, data):
    return name + b"\n" + struct.pack("<Q", len(data)) + data


def entry(*fields, transport=b"kernel"):
    return b"\n".join([b"__CURSOR=x", b"_TRANSPORT=" + transport, *fields, b""])


def test_a_message_of_several_lines():
    data = entry(binary(b"MESSAGE", b"one\ntwo\r\nthree"))
    assert texts(data.split(b"\n")) == ["one", "two\r", "three"]


def test_a_field_whose_length_looks_like_a_line_end():
    for size in (10, 13, 10 * 256 + 10):
        data = entry(binary(b"MESSAGE", b"x" * size), b"PRIORITY=6")
        assert texts(data.split(b"\n")) == ["x" * size]


def test_a_field_that_quotes_an_entry():
    data = entry(binary(b"COREDUMP", b"\n\n__CURSOR=y\n_TRANSPORT=kernel\nMESSAGE=lie\n\n"))
    assert texts(data.split(b"\n")) == []


def test_a_great_field_is_passed_over():
    data = entry(binary(b"COREDUMP", b"ab\n" * (1 << 20)), b"MESSAGE=then")
    assert texts(data.split(b"\n")) == ["then"]


def test_a_repeated_field_and_one_without_value():
    data = entry(b"_UDEV_DEVLINK=a", b"_UDEV_DEVLINK=b", b"X=", b"MESSAGE=hello")
    assert texts(data.split(b"\n")) == ["hello"]


def test_other_transports_are_no_kernel_lines():
    for transport in (b"stdout", b"journal", b"audit", b"driver"):
        data = entry(b"SYSLOG_IDENTIFIER=kernel", b"MESSAGE=lie", transport=transport)
        assert texts(data.split(b"\n")) == []
    forwarded = entry(b"SYSLOG_IDENTIFIER=kernel", b"MESSAGE=true", transport=b"syslog")
    assert texts(forwarded.split(b"\n")) == ["true"]


def test_an_entry_at_the_end_without_its_blank_line():
    assert texts([b"__REALTIME_TIMESTAMP=1", b"_TRANSPORT=kernel", b"MESSAGE=last"]) == ["last"]


def test_lines_of_a_kmsg_records_dictionary_are_no_lines():
    lines = [b"6,1,2,-;one", b" SUBSYSTEM=pci", b" DEVICE=+pci:0000:00:01.0", b"6,2,3,-;two"]
    assert texts(lines) == ["one", "two"]


def test_what_kmsg_escapes():
    assert texts([rb"6,1,2,-;a\x5cb \xe6\xbc\xa2 \x0asecond \xff"]) == [
        "a\\b 漢 ",
        "second \\xff",
    ]


def test_journalctl_indents_the_lines_of_a_message():
    report = memcg_6()
    at = next(i for i, line in enumerate(report) if line.startswith("anon "))
    lines = [f"Nov  3 10:11:12 n kernel: {x}" for x in report[:at]]
    lines += [" " * 26 + x for x in report[at : at + 3]]
    lines += [f"Nov  3 10:11:12 n kernel: {x}" for x in report[at + 3 :]]
    kill = only(lines)
    assert list(kill.cgroup_stats.values()) == [{"anon": 65536000, "file": 0, "pgfault": 12345}]


def test_indented_lines_of_another_program_stay_that_programs():
    lines = [b"Nov  3 10:11:12 n app[1]: said", b"    Killed process 1 (x) total-vm:1kB"]
    assert texts(lines) == []


def test_a_brace_on_a_line_of_its_own_swallows_nothing():
    assert texts([b"{", b"[    1.000000] next", b"[    1.000000] one more"]) == ["next", "one more"]


def test_a_pretty_object_that_does_not_end():
    lines = [b"{", *(b'  "k": 1,' for _ in range(10_000)), b"[    1.000000] after"]
    assert texts(lines)[-1] == "after"


def test_bad_json_is_passed_over():
    assert texts([b"{not json", b'{"MESSAGE": 12, "_TRANSPORT": "kernel"}', b"{}", b"[1]"]) == [
        "[1]"
    ]
    assert texts([b'{"MESSAGE": ' + b"[" * 5000 + b"]" * 5000 + b"}"]) == []
