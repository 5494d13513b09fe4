"""JSON and logfmt of no particular program: what the logging libraries of most languages write."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

FORMATS = (
    Format(
        name="json",
        title="One JSON object a line: zap, logr, slog, logback, pino, bunyan, python",
        source="https://www.rfc-editor.org/rfc/rfc8259",
        rest=Rest.JSON,
        keys=((),),
        examples=(
            b'{"ts":"2026-11-20T00:00:00.003Z","level":"info","msg":"started","status":200}',
        ),
    ),
    Format(
        name="logfmt",
        title="key=value pairs: Go's logrus, slog and kit, Grafana's and Prometheus' programs",
        source="https://brandur.org/logfmt",
        rest=Rest.LOGFMT,
        keys=((),),
        examples=(b'ts=2026-11-20T00:00:00.003Z level=info msg="server started" port=3100',),
    ),
)
