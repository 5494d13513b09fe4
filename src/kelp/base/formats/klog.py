"""klog: what Kubernetes' own components write, as text or JSON, and the API server's httplog."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

_SOURCE = "https://kubernetes.io/docs/concepts/cluster-administration/system-logs/"

_HEAD = (
    r"(?P<level>[IWEF])(?P<time>[01][0-9][0-3][0-9] [0-9:]{8}\.[0-9]{6}) +(?P<thread>[0-9]+) "
    r"(?P<file>[^ :\]]+):(?P<line>[0-9]+)\] "
)
# Before Kubernetes 1.19 the API server wrote its requests as a sentence.
_HTTP = (
    rf"{_HEAD}(?P<method>[A-Z]+) (?P<path>[^ ]+): \((?P<duration>[^)]+)\) (?P<status>[0-9]+) "
    r"\[(?P<user_agent>.*) (?P<remote_addr>[^ \]]+)\]"
)
_STRUCTURED = rf'{_HEAD}"(?P<message>(?:[^"\\]|\\.)*)"(?: (?P<rest>(?s:.*)))?'
_PLAIN = rf"{_HEAD}(?P<message>(?s:.*))"

_OF_HTTP = {
    "method": "method of the request that the API server answered",
    "path": "its path, with the query",
    "status": "the answer's status",
    "duration": "how long it took, as Go writes it (1.512ms)",
    "user_agent": "its User-Agent",
    "remote_addr": "address and port of the client",
}
_OF_ALL = {
    "message": "what is said, without what stands behind as key=value",
    "file": "file of the source",
    "line": "line in that file",
}

FORMATS = (
    Format(
        name="klog",
        title="klog text: the kubelet, the API server, the scheduler, most controllers",
        source=_SOURCE,
        patterns=(_HTTP, _STRUCTURED, _PLAIN),
        begins="IWEF",
        rest=Rest.KLOG,
        aliases={
            "method": ("verb",),
            "path": ("URI",),
            "status": ("resp",),
            "duration": ("latency",),
            "user_agent": ("userAgent",),
            "remote_addr": ("srcIP",),
        },
        event_time="time",
        fields=_OF_ALL
        | _OF_HTTP
        | {
            "level": "I, W, E or F",
            "time": "month, day and time, in the node's zone",
            "thread": "number of the thread, or of the process",
        },
        examples=(
            b'I1120 10:11:12.123456    1042 controller_utils.go:116] "Pod status updated" '
            b'pod="shop/web-0" status="ready"',
            b"W1120 10:11:12.123456       1 reflector.go:324] failed to list *v1.Node: forbidden",
            b"I1120 10:11:12.123456       1 httplog.go:79] GET /api/v1/pods?limit=5: (1.512ms) 200 "
            b"[kubectl/v1.36.0 (linux/amd64) kubernetes/1a2b3c4 10.0.0.9:51756]",
            b'I1120 10:11:12.123456       7 httplog.go:134] "HTTP" verb="LIST" URI="/api/v1/pods" '
            b'latency="1.512ms" userAgent="kubectl/v1.36.0" audit-ID="9b6a0f51" '
            b'srcIP="10.0.0.9:51756" resp=200',
        ),
    ),
    Format(
        name="klog-json",
        title="klog JSON (--logging-format=json)",
        source=_SOURCE,
        rest=Rest.JSON,
        keys=(("ts", "v", "msg"), ("ts", "err", "msg", "caller")),
        aliases={"message": ("msg",), "error": ("err",)},
        event_time="ts",
        fields={"message": _OF_ALL["message"], "error": "the error, in words"},
        examples=(
            b'{"ts":1795169472123.4567,"caller":"kubelet/kubelet.go:42","msg":"Pod status updated",'
            b'"v":4,"pod":{"name":"web-0","namespace":"shop"},"status":"ready"}',
        ),
    ),
)
