"""Which rows of a batch are looked at, and what is told of them."""

import numpy as np
import pyarrow as pa
import pytest

from kelp.agent.parse.problems import find_problems
from kelp.model.lines import NO_STREAM, STDERR, STDOUT, Lines
from kelp.model.raw import Instance
from kelp.model.severity import ERROR, INFO, UNSET, WARN

KERNEL = {"dataset": "kernel"}
KUBELET = {"dataset": "node", "unit": "kubelet.service"}
SYSLOG = {"dataset": "node", "filename": "/var/log/syslog"}
AUDITD = {"dataset": "audit", "filename": "/var/log/audit/audit.log"}
APP = {"dataset": "app", "namespace": "shop", "pod": "web-1", "container": "app"}
PROXY = APP | {"container": "kube-proxy"}

REFUSED = b"dial tcp 10.96.14.2:5432: connect: connection refused"
READONLY = b"EXT4-fs (sda1): Remounting filesystem read-only"
PROBE = b'"Probe failed" probeType="Liveness" pod="shop/web-1"'


def lines_of(rows, marks=None):
    """Lines of (labels, stream, body)."""
    return Lines(
        instances=[Instance(str(sorted(labels.items())), labels) for labels, _, _ in rows],
        instance=np.arange(len(rows), dtype=np.int32),
        stream=np.array([stream for _, stream, _ in rows], np.uint8),
        timestamp=np.zeros(len(rows), np.int64),
        position=np.arange(len(rows), dtype=np.uint64),
        body=pa.array([body for _, _, body in rows], pa.binary()),
        marks=marks or {},
        observed_ns=0,
    )


def reasons(rows, severities=None, formats=(), marks=None):
    numbers = np.array(severities or [UNSET] * len(rows), np.uint8)
    found = find_problems(lines_of(rows, marks), numbers, formats)
    assert found.marks.keys() <= found.severity.keys()
    return {row: marks["problem"] for row, marks in found.marks.items()}


@pytest.mark.parametrize(
    ("labels", "body", "expected"),
    [
        (KERNEL, READONLY, {0: "FilesystemIsReadOnly"}),
        (KERNEL, PROBE, {}),
        (KUBELET, PROBE, {0: "Unhealthy"}),
        (KUBELET, READONLY, {}),
        (SYSLOG, PROBE, {0: "Unhealthy"}),
        (SYSLOG, b"Nov  3 10:11:12 n1 kernel: [1.5] " + READONLY, {0: "FilesystemIsReadOnly"}),
        (SYSLOG, READONLY, {}),
        (AUDITD, b'type=AVC msg=audit(1.2:3): apparmor="DENIED" operation="open"',
         {0: "AppArmorDenied"}),
        (AUDITD, READONLY, {}),
        ({"dataset": "audit", "filename": "/var/log/kubernetes/audit/audit.log"},
         b'apparmor="DENIED"', {}),
        (PROXY, b'"Failed to execute iptables-restore" err="exit status 4"',
         {0: "ProxyRulesFailed"}),
        ({}, REFUSED, {}),
    ],
)  # fmt: skip
def test_the_place_decides_on_the_rules(labels, body, expected):
    assert expected == reasons([(labels, NO_STREAM, body)])


@pytest.mark.parametrize(
    ("stream", "severity", "body", "looked_at"),
    [
        (STDOUT, ERROR, REFUSED, True),
        (STDERR, ERROR, REFUSED, True),
        (STDERR, UNSET, REFUSED, True),
        (STDOUT, UNSET, REFUSED, False),
        (STDERR, INFO, REFUSED, False),
        (STDOUT, WARN, REFUSED, False),
        (STDOUT, WARN, b"java.net.ConnectException: Connection refused\n\tat a.b(C.java:1)", True),
        (STDOUT, UNSET, b"Traceback\nModuleNotFoundError: No module named 'x'", True),
    ],
)
def test_of_containers_only_what_is_an_error(stream, severity, body, looked_at):
    assert looked_at == bool(reasons([(APP, stream, body)], [severity]))


def test_rows_keep_their_places_among_others():
    rows = [
        (APP, STDOUT, b"fine"),
        (KERNEL, NO_STREAM, READONLY),
        (APP, STDERR, b""),
        (APP, STDERR, REFUSED),
        (KUBELET, NO_STREAM, PROBE),
        (APP, STDERR, b"a\nb: open /x: permission denied"),
    ]
    assert reasons(rows) == {
        1: "FilesystemIsReadOnly", 3: "ConnectionRefused", 4: "Unhealthy", 5: "PermissionDenied",
    }  # fmt: skip


def test_access_logs_are_not_looked_at():
    rows = [(APP, STDOUT, b'"GET /connection refused" 502'), (APP, STDERR, REFUSED)]
    formats = ["", "ingress-nginx", "", "", "ingress-nginx", ""]
    assert {1: "ConnectionRefused"} == reasons(rows, [ERROR, ERROR], formats)


def test_other_formats_are():
    formats = ["", "json", ""]
    assert {0: "ConnectionRefused"} == reasons([(APP, STDOUT, REFUSED)], [ERROR], formats)


def test_what_is_marked_keeps_its_problem_and_is_an_error():
    rows = [(KERNEL, NO_STREAM, b"Kernel panic - not syncing: Out of memory")]
    marks = {0: {"problem": "OOMKilling"}}
    found = find_problems(lines_of(rows, marks), np.zeros(1, np.uint8))
    assert ({}, {0: 21}) == (found.marks, found.severity)


def test_the_severity_is_the_rules():
    found = find_problems(lines_of([(KERNEL, NO_STREAM, READONLY)]), np.zeros(1, np.uint8))
    assert {0: ERROR + 1} == found.severity


def test_an_empty_batch():
    assert {} == reasons([])
