"""Lines of loggers, Kubernetes' components, DNS, flows and audit, odd ones included."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelp.base.formats import format_of, recognise
from tests.base.formats.test_http import fields

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("json", '{"level":"INFO","time":"2026-11-20T10:11:12Z","msg":"x"}'),
        ("json", '{"level":30,"time":1795132800003,"pid":7,"hostname":"h","v":0,"msg":"bunyan"}'),
        ("json", ' {"a": 1}'),
        ("klog-json", '{"ts":1580306777.04728,"v":4,"msg":"x","status":"ready"}'),
        ("klog-json", '{"ts":1580306777.04,"caller":"a.go:1","msg":"x","err":"no such thing"}'),
        ("logfmt", 'time="2026-11-20T10:11:12.1Z" level=info msg="loading plugin \\"x\\"" type=y'),
        ("logfmt", "level=debug ts=1 caller=x"),
        ("klog", "I1120 10:11:12.123456       1 a.go:1] "),
        ("klog", 'E1120 10:11:12.123456 1042 a.go:1] "Unhandled" err="a\\nb"'),
        ("klog", "I1120 10:11:12.123456 1042 a.go:1] first\nsecond"),
        ("etcd", '{"level":"info","ts":"2026","logger":"raft","caller":"v3rpc/x.go:1","msg":"y"}'),
        (
            "etcd",
            '2026-11-20T10:11:12.1Z {"level":"info","ts":"2026","caller":"embed/x.go:1","msg":"y"}',
        ),
        ("coredns", '[INFO] [::1]:5 - 1 "PTR IN 1. udp 48 false 12" NXDOMAIN qr,rd 111 0.09s'),
        ("coredns", "[INFO] plugin/reload: Running configuration SHA512 = ab"),
        ("auditd", "node=a type=EOE msg=audit(1364481363.243:24287): "),
        ("bird", "bird6: Mesh_2001_db8_7: State changed to up"),
        ("calico", "2026-11-20 10:11:12.414 [WARNING][9] felix/x.go 1: y\nz"),
        ("hubble", '{"flow":{"verdict":"FORWARDED","IP":{},"l4":{}},"node_name":"n"}'),
    ],
)
def test_what_a_line_is(name: str, line: str) -> None:
    assert recognise(line.encode()) == name


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        (
            "klog",
            'I0222 15:13:31.645988  197901 example.go:54] "a \\"b\\"" logger="x" duration="1m0s"',
            {
                "level": "I",
                "time": "0222 15:13:31.645988",
                "thread": "197901",
                "file": "example.go",
                "line": "54",
                "message": 'a \\"b\\"',
                "rest": 'logger="x" duration="1m0s"',
            },
        ),
        (
            "klog",
            "I1025 00:15:15.525108       1 httplog.go:79] GET /api/v1/pods: (1.512ms) 200 "
            "[a/v0.0.0 (linux/amd64) b/$Format 10.56.1.19:51756]",
            {
                "method": "GET",
                "path": "/api/v1/pods",
                "duration": "1.512ms",
                "status": "200",
                "user_agent": "a/v0.0.0 (linux/amd64) b/$Format",
                "remote_addr": "10.56.1.19:51756",
            },
        ),
        ("klog", "W1025 00:15:15.525108 1 a.go:79] one\ntwo", {"message": "one\ntwo"}),
        (
            "coredns",
            '2026-03-06T08:55:28.903Z [INFO] 172.17.0.4:36413 - 21583 "A IN a.b. udp 43 false 512" '
            'NXDOMAIN qr,rd,ra 136 0.000102078s "0"',
            {
                "time": "2026-03-06T08:55:28.903Z",
                "remote_addr": "172.17.0.4",
                "remote_port": "36413",
                "qname": "a.b.",
                "qtype": "A",
                "rcode": "NXDOMAIN",
                "rflags": "qr,rd,ra",
                "response_size": "136",
                "duration": "0.000102078",
            },
        ),
        (
            "bird",
            "2017-08-05_09:50:25.95632 bird: Mesh_10_39_1_219: State changed to feed",
            {"session": "Mesh_10_39_1_219", "state": "feed", "time": "2017-08-05_09:50:25.95632"},
        ),
        (
            "calico-denied",
            'INFO <nil> <nil>:  action="deny" proto="6"',
            {"rest": 'action="deny" proto="6"'},
        ),
        (
            "auditd",
            "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e\x1dARCH=x86_64",
            {"type": "SYSCALL", "time": "1364481363.243", "serial": "24287"},
        ),
        (
            "auditd",
            "node=h type=USER_LOGIN msg=audit(1795169472.300:44): pid=4 uid=0 auid=1 ses=2 "
            'msg=\'op=login acct="root" res=failed\'\x1dUID="root"',
            {"pid": "4", "ses": "2", "rest": 'op=login acct="root" res=failed'},
        ),
        (
            "auditd",
            'type=AVC msg=audit(1795169472.200:43): avc:  denied  { read open } for  comm="x"',
            {"result": "denied", "permission": "read open", "rest": 'comm="x"'},
        ),
        (
            "coredns",
            '[INFO] [2001:db8::5]:41234 - 1 "AAAA IN x. tcp 56 true 1232" NXDOMAIN qr 110 1.2e-05s',
            {"remote_addr": "[2001:db8::5]", "duration": "1.2e-05"},
        ),
    ],
)
def test_fields(name: str, line: str, expected: dict[str, str]) -> None:
    assert recognise(line.encode()) == name
    found = fields(format_of(name), line.encode())
    assert expected == {k: v for k, v in found.items() if k in expected}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("network/coredns/query.log", {"coredns"}),
        ("network/etcd/slow-apply.log", {"etcd"}),
        ("network/calico/dns.jsonl", {"calico-dns"}),
        ("network/calico/felix-denied-syslog.log", {"calico-denied"}),
        ("network/calico/bird-bgp.log", {"bird", "calico"}),
        ("network/cilium/hubble-flows.jsonl", {"hubble"}),
        ("real-k8s/logs/containerd.log", {"logfmt"}),
        ("real-k8s/logs/etcd.log", {"etcd"}),
        ("real-k8s/logs/kube-scheduler.log", {"klog"}),
        ("real-k8s/logs/kubelet.log", {"klog"}),
    ],
)
def test_real_samples(path: str, names: set[str]) -> None:
    file = DATA / path
    if not file.exists():
        pytest.skip(f"no sample at {file}")
    lines = file.read_bytes().splitlines()
    known = [recognise(line) for line in lines]
    # Components print their usage, and panics, between their lines.
    assert sum(name in names for name in known) >= 0.5 * len(lines)
    assert set(known) - names <= {""}
