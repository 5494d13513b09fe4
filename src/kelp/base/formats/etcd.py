"""etcd: zap's JSON, told from other programs' by the packages that its lines come from."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

_PACKAGES = (
    "api|auth|backend|embed|etcdmain|etcdserver|etcdutl|fileutil|flags|lease|lessor|membership|mvcc"
    "|osutil|picker|raft|rafthttp|schema|schedule|snap|snapshot|storage|traceutil|v3client"
    "|v3compactor|v3election|v3lock|v3rpc|verify|version|wal"
)
# What is put before a line by `kubectl logs --timestamps` or by syslog.
_BEFORE = (
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ |[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [^ ]+ etcd[^ ]*: )?"
)

FORMATS = (
    Format(
        name="etcd",
        title="etcd",
        source="https://etcd.io/docs/v3.6/op-guide/configuration/#logging",
        patterns=(
            rf'{_BEFORE}(?P<rest>\{{"level":"[a-z]+","ts":"[^"]+",(?:"logger":"[^"]*",)?'
            rf'"caller":"(?:{_PACKAGES}|(?:v3|bbolt)@v[0-9.]+)/.*\}})',
        ),
        begins="{0123456789JFMASOND",
        rest=Rest.JSON,
        aliases={"message": ("msg",), "duration": ("took",)},
        event_time="ts",
        fields={
            "message": "what is said",
            "duration": "how long a request took, as Go writes it (123.4ms)",
        },
        examples=(
            b'{"level":"warn","ts":"2026-11-20T10:11:12.510Z","caller":"etcdserver/util.go:166",'
            b'"msg":"apply request took too long","took":"123.279445ms",'
            b'"expected-duration":"100ms","prefix":"read-only range "}',
        ),
    ),
)
