"""The same report under every prefix that it may have in a saved log."""

import json
import struct

import pytest

from .found import kills, only
from .reports import CONTAINER, POD, global_6, memcg_3_10, memcg_4_19, memcg_6

EPOCH = 1_793_700_672  # 2026-11-03T10:11:12Z
TIME = "2026-11-03T10:11:12Z"
BOOT = 123.456789


def each(form):
    return lambda lines: [form.format(line) for line in lines]


def journal_fields(line):
    return {
        "__CURSOR": "s=1;i=2",
        "__REALTIME_TIMESTAMP": f"{EPOCH}000000",
        "__MONOTONIC_TIMESTAMP": "123999999",
        "_BOOT_ID": "0" * 32,
        "_TRANSPORT": "kernel",
        "PRIORITY": "6",
        "SYSLOG_FACILITY": "0",
        "SYSLOG_IDENTIFIER": "kernel",
        "_SOURCE_MONOTONIC_TIMESTAMP": "123456789",
        "_HOSTNAME": "node-7",
        "MESSAGE": line,
    }


def export(lines):
    out = []
    for line in lines:
        out += [f"{k}={v}" for k, v in journal_fields(line).items()] + [""]
    return out


def export_binary(lines):
    out = []
    for line in lines:
        fields = journal_fields(line)
        text = fields.pop("MESSAGE").encode()
        whole = "\n".join(f"{k}={v}" for k, v in fields.items()).encode() + b"\nMESSAGE\n"
        whole += struct.pack("<Q", len(text)) + text + b"\n"
        out += whole.split(b"\n")
    return out


def verbose(lines):
    out = []
    for line in lines:
        out.append("Tue 2026-11-03 10:11:12.000000 UTC [s=1a;i=2;b=3;m=4;t=5;x=6]")
        out += [f"    {k}={v}" for k, v in journal_fields(line).items()]
    return out


def pretty(lines):
    def entry(line):
        body = (f'\t"{k}" : {json.dumps(v)}' for k, v in journal_fields(line).items())
        return ["{", *",\n".join(body).split("\n"), "}"]

    return [piece for line in lines for piece in entry(line)]


def array(lines):
    objects = [cloud(line) for line in lines]
    return json.dumps(objects, indent=2).split("\n")


def cloud(line):
    payload = {k: v for k, v in journal_fields(line).items() if not k.startswith("__")}
    return {"jsonPayload": payload, "timestamp": TIME, "logName": "projects/p/logs/kernel"}


JOURNAL = {"time": TIME, "boot_s": BOOT, "node": "node-7"}
STYLES = {
    "bare": (each("{}"), {}),
    "dmesg": (each("[  123.456789] {}"), {"boot_s": BOOT}),
    "dmesg in colour": (
        each("\x1b[32m[  123.456789] \x1b[0m\x1b[33m{}\x1b[0m"),
        {"boot_s": BOOT},
    ),
    "dmesg -d": (each("[  123.456789 <    0.000003>] {}"), {"boot_s": BOOT}),
    "dmesg -r": (each("<6>[  123.456789] {}"), {"boot_s": BOOT}),
    "dmesg -x": (each("kern  :info  : [  123.456789] {}"), {"boot_s": BOOT}),
    "dmesg -T": (each("[Tue Nov  3 10:11:12 2026] {}"), {"time": TIME}),
    "dmesg -T -x": (each("kern  :err   : [Tue Nov  3 10:11:12 2026] {}"), {"time": TIME}),
    "dmesg -e": (each("[  +0.000012] {}"), {}),
    "dmesg -e, a minute": (each("[Nov 3 10:11] {}"), {}),
    "dmesg iso": (each("2026-11-03T11:11:12,000000+01:00 {}"), {"time": TIME}),
    "caller id": (each("[  123.456789][ T4242] {}"), {"boot_s": BOOT}),
    "caller id apart": (each("[  123.456789] [    C1] {}"), {"boot_s": BOOT}),
    "kmsg": (each("6,1234,123456789,-;{}"), {"boot_s": BOOT}),
    "kmsg caller": (each("6,1234,123456789,-,caller=T4242;{}"), {"boot_s": BOOT}),
    "syslog": (each("Nov  3 10:11:12 node-7 kernel: {}"), {"time": TIME, "node": "node-7"}),
    "syslog boot": (each("Nov  3 10:11:12 node-7 kernel: [  123.456789] {}"), JOURNAL),
    "syslog priority": (each("<6>Nov  3 10:11:12 node-7 kernel: [  123.456789] {}"), JOURNAL),
    "busybox": (
        each("Nov  3 10:11:12 node-7 kern.warn kernel: [  123.456789] {}"),
        JOURNAL,
    ),
    "rfc 5424": (
        each('<6>1 2026-11-03T10:11:12.000000Z node-7 kernel - - [a b="\\]\\""][c d="e"] {}'),
        {"time": TIME, "node": "node-7"},
    ),
    "rsyslog": (each("2026-11-03T10:11:12.000000+00:00 node-7 kernel: [  123.456789] {}"), JOURNAL),
    "journal short": (each("Nov 03 10:11:12 node-7 kernel: {}"), {"time": TIME, "node": "node-7"}),
    "journal iso": (
        each("2026-11-03T10:11:12+0000 node-7 kernel: {}"),
        {"time": TIME, "node": "node-7"},
    ),
    "journal full": (
        each("Tue 2026-11-03 10:11:12 UTC node-7 kernel: {}"),
        {"time": TIME, "node": "node-7"},
    ),
    "journal unix": (each(f"{EPOCH}.000000 node-7 kernel: {{}}"), {"time": TIME, "node": "node-7"}),
    "journal monotonic": (
        each("[  123.456789] node-7 kernel: {}"),
        {"boot_s": BOOT, "node": "node-7"},
    ),
    "journal cat with tag": (each("kernel: {}"), {}),
    "journal export": (export, JOURNAL),
    "journal export, binary": (export_binary, JOURNAL),
    "journal verbose": (verbose, JOURNAL),
    "journal json": (lambda ls: [json.dumps(journal_fields(x)) for x in ls], JOURNAL),
    "journal json-sse": (
        lambda ls: ["data: " + json.dumps(journal_fields(x)) for x in ls],
        JOURNAL,
    ),
    "journal json, bytes": (
        lambda ls: [json.dumps({**journal_fields(x), "MESSAGE": list(x.encode())}) for x in ls],
        JOURNAL,
    ),
    "journal json-pretty": (pretty, JOURNAL),
    "cloud logging": (lambda ls: [json.dumps(cloud(x)) for x in ls], JOURNAL),
    "cloud logging, a list": (array, JOURNAL),
    "cloud logging, text": (
        lambda ls: [
            json.dumps({"textPayload": f"[  123.456789] {x}\n", "timestamp": TIME}) for x in ls
        ],
        {"time": TIME, "boot_s": BOOT},
    ),
    "fluent-bit": (
        lambda ls: [json.dumps({"ident": "kernel", "host": "node-7", "message": x}) for x in ls],
        {"node": "node-7"},
    ),
    "docker": (
        lambda ls: [
            json.dumps({"log": f"<6>[  123.456789] {x}\n", "stream": "stdout", "time": TIME})
            for x in ls
        ],
        {"time": TIME, "boot_s": BOOT},
    ),
    "cri": (
        each("2026-11-03T10:11:12.000000000Z stdout F [  123.456789] {}"),
        {"time": TIME, "boot_s": BOOT},
    ),
    "klog": (each("W1103 10:11:12.000000    4711 oom.go:12] {}"), {"time": TIME}),
    "indented": (each("    [  123.456789] {}"), {"boot_s": BOOT}),
    "with a weekday": (
        each("Tue Nov  3 10:11:12 2026 node-7 kernel: {}"),
        {"time": TIME, "node": "node-7"},
    ),
    "talos": (
        each("node-7: kern:    info: [2026-11-03T10:11:12.000000Z]: {}"),
        {"time": TIME, "node": "node-7"},
    ),
    "grep": (each("/var/log/kern.log.1:Nov  3 10:11:12 node-7 kernel: {}"), {"time": TIME}),
    "grep -n": (each("17:[  123.456789] {}"), {"boot_s": BOOT}),
    "crlf": (each("[  123.456789] {}\r"), {"boot_s": BOOT}),
}
REPORTS = {"3.10": memcg_3_10, "4.19": memcg_4_19, "6.12": memcg_6, "6.1 global": global_6}


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("style", STYLES)
def test_a_report_is_found_under_a_prefix(style, report):
    put, said = STYLES[style]
    kill = only(put(REPORTS[report]()))
    memcg = "global" not in report
    assert (4242, "ab (cd) e", not memcg) == (kill.pid, kill.process, kill.global_)
    assert (kill.anon_rss_bytes, kill.complete) == (64000 * 1024, True)
    assert (POD if memcg else None, CONTAINER if memcg else None) == (
        kill.pod_uid,
        kill.container_id,
    )
    assert said == {name: getattr(kill, name) for name in said}
    if "time" not in said:
        assert kill.time is None
    if "boot_s" not in said:
        assert kill.boot_s is None
    names = [row.name for row in kill.task_table]
    assert names[-1] == "ab (cd) e"


@pytest.mark.parametrize(
    "form",
    [
        "Nov  3 10:11:12 node-7 app[12]: {}",
        "Nov  3 10:11:12 node-7 systemd[1]: {}",
        "Nov  3 10:11:12 node-7 kernel-watch: {}",
        "<14>1 2026-11-03T10:11:12Z node-7 app 12 - - {}",
        "2026-11-03T10:11:12+0000 node-7 app[12]: {}",
        "12,1234,123456789,-;{}",
        "10.5.0.2: user: warning: [2026-11-03T10:11:12.000000Z]: {}",
        "user  :info  : [  123.456789] {}",
        "level=info msg={}",
        'Quoted by an application: "{}"',
        "    {}",
    ],
)
def test_what_another_program_says_is_no_kernel_line(form):
    assert kills(form.format(line) for line in memcg_6()) == []


@pytest.mark.parametrize(
    "found",
    [
        {"message": "{}"},
        {"log": "{}\n", "stream": "stdout", "time": TIME},
        {"msg": "{}", "level": "info", "logger": "kernel-replay"},
        {"_TRANSPORT": "stdout", "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": "{}"},
        {"_TRANSPORT": "syslog", "SYSLOG_IDENTIFIER": "app", "MESSAGE": "{}"},
        {"kind": "Event", "ident": "kernel", "message": "{}"},
        {"verb": "ADDED", "event": {"involvedObject": {"kind": "Node"}, "message": "{}"}},
        {"jsonPayload": {"message": "{}", "involvedObject": {}}, "logName": "p/logs/kernel"},
        ["{}"],
    ],
)
def test_an_object_must_say_that_it_is_the_kernels(found):
    lines = (json.dumps(found).replace("{}", json.dumps(line)[1:-1]) for line in memcg_6())
    assert kills(lines) == []
