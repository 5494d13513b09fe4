"""The formats in which programs print a line. Times are the program's own, in its own manner."""

from __future__ import annotations

import json
from datetime import UTC, datetime

_NS = 1_000_000_000


def _utc(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 1000 / 1_000_000, UTC)


def json_line(time_ns: int, level: str, message: str, **fields: object) -> str:
    """As zap, slog and most JSON loggers."""
    when = _utc(time_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": when, "level": level, "msg": message, **fields})


def pino_line(time_ns: int, level: int, message: str, **fields: object) -> str:
    """As Node's pino: the level is a number (30 info, 40 warn, 50 error), the time milliseconds."""
    return json.dumps(
        {"level": level, "time": time_ns // 1_000_000, **fields, "msg": message},
        separators=(",", ":"),
    )


def logfmt_line(time_ns: int, level: str, message: str, **fields: object) -> str:
    """As Go programs: key=value, quoted where a value has a space, an equals sign or a quote."""
    when = _utc(time_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    pairs = {"ts": when, "level": level, "msg": message, **fields}
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in pairs.items())


def _logfmt_value(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or any(c in text for c in ' ="') else text


def klog_line(time_ns: int, letter: str, source: str, message: str) -> str:
    """As Kubernetes' own components: I1120 10:11:12.123456       1 server.go:42] message."""
    return f"{letter}{_utc(time_ns):%m%d %H:%M:%S.%f}       1 {source}] {message}"


def access_line(time_ns: int, client: str, request: str, status: int, size: int, agent: str) -> str:
    """As nginx and Apache in the combined format."""
    when = _utc(time_ns).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{client} - - [{when}] "{request}" {status} {size} "-" "{agent}"'


def spring_line(time_ns: int, level: str, thread: str, logger: str, message: str) -> str:
    """As Spring Boot."""
    when = _utc(time_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{when} {level:>5} 1 --- [{thread:>15}] {logger:<40} : {message}"


def python_line(time_ns: int, level: str, logger: str, message: str) -> str:
    """As Python's logging with its usual format."""
    when = _utc(time_ns)
    return f"{when:%Y-%m-%d %H:%M:%S},{when.microsecond // 1000:03d} {level} {logger}: {message}"
