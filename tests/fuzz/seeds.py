"""Inputs that the parsers know, to be changed; short, so that a change hits what matters."""

from __future__ import annotations

import json
from collections.abc import Sequence

import cramjam
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from kelp.model.batch import RECORD_SCHEMA
from kelp.wire.segment import Segment, SegmentHeader, encode_segment

STAMP = b"2026-11-20T10:11:12.123456789Z"

CRI = [
    STAMP + b" stdout F hello world",
    STAMP + b" stderr P a part of ",
    STAMP + b" stderr F:x a whole",
    b"2026-11-20T10:11:12.5+02:00 stdout F short",
    b"2026-11-20T10:11:12Z stdout F",
    STAMP + b' stdout F {"level":"info","msg":"x"}',
]
JSON_FILE = [
    b'{"log":"hello\\n","stream":"stdout","time":"2026-11-20T10:11:12.123456789Z"}',
    b'{"log":"say \\"x\\" \\u003c\\\\\\n","stream":"stderr","time":"2026-11-20T10:11:12.1Z"}',
    b'{"log":"part","stream":"stdout","time":"2026-11-20T10:11:12.12345678Z"}',
    b'{"log":"a\\n","stream":"stdout","attrs":{"k":"v"},"time":"2026-11-20T10:11:12.123456789Z"}',
    b'{"log": "blank\\n", "stream": "stdout", "time": "2026-11-20T10:11:12Z"}',
]
PLAIN = [
    b"2026-11-20T10:11:12.123456+01:00 host app: x",
    b"2026-11-20 10:11:12,123 [main] INFO x",
    b'<34>1 2026-11-20T10:11:12.003Z host app 12 ID47 [e@1 a="b"] text',
    b"Nov 20 10:11:12 host app[12]: x",
    b"<13>Feb 29 10:11:12 host app: x",
    b"I1120 10:11:12.123456   42 file.go:7] x",
    b'time="2026-11-20T10:11:12Z" level=info msg=x',
    b'10.0.0.1 - - [20/Nov/2026:10:11:12 +0100] "GET / HTTP/1.1" 200 1',
    b"type=SYSCALL msg=audit(1795169472.123:42): a",
    b"Fri Nov 20 10:11:12 CET 2026 x",
]
JOURNAL = [
    b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795169472000000\nMESSAGE=hello\nPRIORITY=3\n\n",
    b"MESSAGE\n\x05\0\0\0\0\0\0\0a\nb\0c\n_PID=1\n\n",
    b"MESSAGE=a\nMESSAGE=b\nSYSLOG_FACILITY=3\n_SOURCE_REALTIME_TIMESTAMP=1\n\n",
]
JOURNAL_TEXT = [
    b"Nov 20 10:11:12.123456 host kubelet[42]: E1120 10:11:12.1 42 a.go:1] x\n%41smore" % b"",
    b"Feb 29 23:59:60.000000 kernel: x",
    b"-- Boot 6c7c6013a26343b29e964691ff25d04c --",
    b"options present and query resolved to log files for [x]",
]
API_EVENTS = [
    b'{"type":"ADDED","object":{"metadata":{"uid":"u","annotations":{"kelp.dev/format":"x"}}}}',
    b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}',
    b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"12"}}}',
]
NODE_FOLDERS = [b'<pre>\n<a href="a.log">a.log</a>\n<a href="b/">b/</a>\n</pre>\n']
KMSG = [
    b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n DEVICE=+net:eth0\n",
    b"30,1,0,c,caller=T1;text with \\x0a in it",
]
BODIES = [
    b'{"level":"error","msg":"x","n":{"a":[1,2.5e3,null,true]},"u":"\\u00e4"}',
    b'{"severity":"WARNING","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}',
    b'ts=2026-11-20T10:11:12Z level=warn msg="a \\"quoted\\" text" n=12ms a=',
    b"2026-11-20 10:11:12,123 [main] ERROR com.acme.Service - text",
    b"E1120 10:11:12.123456   42 file.go:7] text",
    b'10.0.0.1 - bob [20/Nov/2026:10:11:12 +0100] "GET /a?b=c HTTP/1.1" 500 12 "-" "curl/8"',
    b"\x1b[31mERROR\x1b[0m text <info> [warn] (debug)",
    b"<3>text", b"level=3", b"[ERR] 10.1.2.3 ::1 fe80::1%eth0",
]  # fmt: skip
KERNEL = [
    b"[ 12.3] app invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    b"[ 12.3] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,mems_allowed=0,"
    b"oom_memcg=/kubepods/burstable/pod1,task_memcg=/kubepods/burstable/pod1/c,task=a,pid=1,uid=0",
    b"[ 12.3] Memory cgroup out of memory: Killed process 1 (a) total-vm:1kB, anon-rss:2kB,"
    b" file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:52kB oom_score_adj:0",
    b"[ 12.3] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
    b"[ 12.3] [      1]     0     1      100       10     1000        0             0 app",
    b"Nov 20 10:11:12 host kernel: [ 12.3] Out of memory: Kill process 2 (b) score 1",
    b"6,339,5140900,-;Killed process 3 (c)",
]
PROBLEMS = [
    *KERNEL,
    b"EXT4-fs error (device sda1): ext4_lookup:1: inode #2: comm a: deleted inode referenced: 3",
    b"INFO: task kworker:1 blocked for more than 120 seconds.",
    b'E1120 10:11:12.123456 1 pod_workers.go:1] "Error syncing pod" pod="ns/p" err="x"',
    b"Error: connect ECONNREFUSED 10.0.0.1:5432",
    b"ModuleNotFoundError: No module named 'x'",
    b"KeyError: 'DATABASE_URL'",
]
CGROUPS = [
    b"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-"
    + b"a" * 64 + b".scope",
    b"/kubepods/besteffort/pod11111111-2222-3333-4444-555555555555/" + b"b" * 64,
    b"/system.slice/kubelet.service", b"/docker/" + b"c" * 64, b"/../../x",
]  # fmt: skip
NAMES = [
    b"0.log", b"0.log.20261120-101112.gz", b"kubelet.log.1", b"audit-2026-11-20T10-11-12.123.log",
    b"kubelet-20261120.log.gz", b"ns_pod_0b1c2d3e-aaaa-bbbb-cccc-123456789012",
]  # fmt: skip

_LABELS = '{app="web", level="a \\"b\\""}'
LABELS = [_LABELS.encode(), b"{}", b'{a="\\u00e4\\n", b=`raw`}']
LOKI_JSON = [
    json.dumps(value).encode()
    for value in (
        {"streams": [{"stream": {"a": "b"}, "values": [["1795169472000000000", "line"]]}]},
        {"streams": [{"stream": {}, "values": [["1", "x", {"m": "d"}]]}, {"values": []}]},
        {"streams": []},
    )
]


def _field(number: int, data: bytes) -> bytes:
    assert len(data) < 1 << 14
    size = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([number << 3 | 2]) + size + data


_ENTRY = (
    _field(1, b"\x08\x80\xa3\xb4\xd8\x06\x10\x05")
    + _field(2, b"a line")
    + _field(3, _field(1, b"name") + _field(2, b"value"))
)
LOKI_PROTO = [_field(1, _field(1, _LABELS.encode()) + _field(2, _ENTRY)), b""]
LOKI_SNAPPY = [bytes(cramjam.snappy.compress_raw(data)) for data in LOKI_PROTO]

_OTLP = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]},
            "scopeLogs": [
                {
                    "scope": {"name": "s"},
                    "logRecords": [
                        {
                            "timeUnixNano": "1795169472000000000", "severityNumber": 9,
                            "severityText": "INFO", "body": {"kvlistValue": {"values": []}},
                            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa",
                            "attributes": [{"key": "n", "value": {"intValue": "1"}}],
                        }
                    ],
                }
            ],
        }
    ]
}  # fmt: skip
OTLP_JSON = [json.dumps(_OTLP).encode(), b'{"resourceLogs":[]}']


def _otlp_proto() -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "a"
    record = resource.scope_logs.add().log_records.add(
        time_unix_nano=1795169472000000000, severity_number=9, trace_id=b"a" * 16, span_id=b"b" * 8
    )
    record.body.array_value.values.add(int_value=3)
    return request.SerializeToString()


OTLP_PROTO = [_otlp_proto()]


def _segment(rows: int) -> bytes:
    columns = {
        "stream_id": [1] * rows, "timestamp": [2] * rows, "observed_timestamp": [3] * rows,
        "position": list(range(rows)), "severity_number": [9] * rows,
        "severity_text": ["info"] * rows, "trace_id": [""] * rows, "span_id": [""] * rows,
        "body": [b"a line"] * rows, "attributes": [[("a", "b")]] * rows,
    }  # fmt: skip
    batch = pa.record_batch([pa.array(columns[f.name], f.type) for f in RECORD_SCHEMA],
                            schema=RECORD_SCHEMA)  # fmt: skip
    header = SegmentHeader(
        agent_id="a", seq=1, node="n", created_ns=1, records=rows, body_bytes=6 * rows,
        streams=[{"app": "x"}],
    )  # fmt: skip
    return encode_segment(Segment(header, [batch])).to_pybytes()


SEGMENTS = [_segment(1), _segment(20)]

QUERIES: Sequence[bytes] = [
    b'{app="web", pod=~"a.*"} |= "x" or "y" != `z` |~ "a+" |> "a <_> b"',
    b'{a="b"} | json a="x.y[0]" | logfmt --strict | regexp "(?P<n>.*)" | pattern "<a> <_>"',
    b'{a="b"} | n > 5 and (d < 2s or s >= 3KB), ip("10.0.0.0/8") | line_format "{{.a}}" | drop b',
    b'sum by (a) (rate({a="b"} | unwrap bytes(n) [5m] offset 1h)) / on (a) group_left 3',
    b'topk(3, quantile_over_time(0.9, {a="b"} | json | unwrap d [1m])) > bool 1 or vector(1)',
    b'label_replace(count_over_time({a="b"}[1m]), "x", "$1", "y", "(.*)") # text',
    b'{a="b"} | label_format a=b, c="{{.d}}" | decolorize | unpack | keep a, b="c"',
]
TEMPLATES: Sequence[bytes] = [
    b'{{.a}} {{ .n | ToUpper | printf "%5s" }}',
    b'{{ if eq .a "b" }}x{{ else if .n }}y{{ else }}z{{ end }}',
    b'{{ range $i, $e := fromJson "[1,2]" }}{{ $i }}{{ end }}{{- with .a -}}{{ . }}{{ end }}',
    b'{{ regexReplaceAll "(a)(b)?" .a "${1}x" }}{{ trunc 3 .a }}{{ add 1 2 | mul 3 }}',
    b'{{ define "t" }}{{ . }}{{ end }}{{ template "t" .n }}{{ date "2006-01-02" now }}',
    b"{{ __line__ }}{{ __timestamp__ | unixEpoch }}{{/* text */}}",
]
TIMES = [b"1795169472", b"1795169472.123", b"2026-11-20T10:11:12.5+02:00", b"1h30m", b"5m2.5s"]
SECRETS = [
    b"password: hunter2 token=abcdef0123456789abcdef0123456789 --api-key=x -p secret",
    b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijklmnop",
    b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nhttps://u:p@host/x?sig=y",
]
