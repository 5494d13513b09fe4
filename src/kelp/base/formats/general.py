"""JSON and logfmt of no particular program: what the logging libraries of most languages write."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest

# What libraries call the same thing, the commonest first. `@timestamp` is `_timestamp` as a label.
_ALIASES = {
    "message": (
        "msg", "short_message", "textPayload", "_m", "RenderedMessage", "MessageTemplate", "_mt",
        "event", "log",
    ),
    "timestamp": (
        "ts", "time", "_timestamp", "_t", "t", "datetime", "asctime", "eventTime", "Timestamp",
        "instant_epochSecond",
    ),
    "logger": (
        "logger_name", "loggerName", "log_logger", "SourceContext", "Properties_SourceContext",
        "name",
    ),
    "caller": ("log_origin_file_name", "pathname", "source_file", "source"),
    "thread": ("thread_name", "threadName", "process_thread_name", "thread_id", "goroutine"),
    "error": ("err", "error_message", "err_message", "exception", "Exception", "exc_info", "_x"),
    "stack": ("stack_trace", "stacktrace", "error_stack_trace", "err_stack", "exc_text"),
}  # fmt: skip
_FIELDS = {
    "message": "what is said",
    "timestamp": "when, as the library writes it",
    "logger": "name of the logger",
    "caller": "the place in the source",
    "thread": "name or number of the thread",
    "error": "the error, in words",
    "stack": "the stack trace",
}

JSON = Format(
    name="json",
    title="One JSON object a line: zap, logr, slog, logback, pino, bunyan, python …",
    source="https://www.rfc-editor.org/rfc/rfc8259",
    rest=Rest.JSON,
    keys=((),),
    aliases=_ALIASES,
    event_time="timestamp",
    fields=_FIELDS,
    examples=(
        b'{"ts":"2026-11-20T00:00:00.003Z","level":"info","msg":"started","status":200}',
        b'{"level":30,"time":1795132800003,"pid":7,"hostname":"web-0","msg":"served"}',
        b'{"time":"2026-11-20T00:00:00.003Z","level":"INFO","msg":"started","source":{"line":7}}',
        b'{"@timestamp":"2026-11-20T00:00:00.003Z","message":"started","logger_name":"com.acme.Shop"'
        b',"thread_name":"main","level":"INFO"}',
    ),
)

LOGFMT = Format(
    name="logfmt",
    title="key=value pairs: Go's logrus, slog and kit; containerd, CRI-O, Grafana, Prometheus …",
    source="https://brandur.org/logfmt",
    rest=Rest.LOGFMT,
    keys=((),),
    aliases=_ALIASES,
    event_time="timestamp",
    fields=_FIELDS,
    examples=(
        b'ts=2026-11-20T00:00:00.003Z level=info msg="server started" port=3100',
        b'time="2026-11-20T00:00:00.003812345Z" level=warning msg="cleaning up" id=5f2a',
    ),
)

FORMATS = (JSON, LOGFMT)
