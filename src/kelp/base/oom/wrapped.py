"""Kernel lines out of JSON objects and journal entries, where a log shipper has put them.

An object must say that what it carries is the kernel's, by its transport or identifier, or the
line inside must have the kernel's own prefix. Any application may log a sentence about a kill, and
an Event of the API server quotes one: neither is a kernel line.

Shapes: systemd's journal fields (`systemd.journal-fields(7)`, `journalctl -o json`), Docker's
json-file, Cloud Logging's LogEntry (`textPayload`, `jsonPayload`), and the flat objects of
fluent-bit, fluentd, vector and rsyslog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kelp.base.oom.calendar import Stamp
from kelp.base.oom.line import KernelLine, peel

_KERNEL_NAMES = frozenset({"kernel", "kern", "kmsg"})
_NAME_KEYS = ("SYSLOG_IDENTIFIER", "ident", "identifier", "appname", "app_name", "program", "tag")
_FACILITY_KEYS = ("facility", "syslog_facility", "facility_label")
_TEXT_KEYS = ("MESSAGE", "message", "msg", "log")
_TIME_KEYS = ("timestamp", "@timestamp", "time", "receiveTimestamp")
_HOST_KEYS = ("_HOSTNAME", "hostname", "host", "node_name")


def from_journal(fields: Mapping[str, Any]) -> list[KernelLine]:
    """The kernel's lines in one journal entry; none if it is another program's."""
    text = _text(fields.get("MESSAGE"))
    transport = _text(fields.get("_TRANSPORT"))
    kernel = transport == "kernel" or (
        transport in (None, "syslog") and fields.get("SYSLOG_IDENTIFIER") == "kernel"
    )
    if text is None or not kernel:
        return []
    micros = _digits(fields.get("_SOURCE_REALTIME_TIMESTAMP")) or _digits(
        fields.get("__REALTIME_TIMESTAMP")
    )
    # Of a kernel line this is the kernel's own stamp; __MONOTONIC_TIMESTAMP is when it was read.
    boot = _digits(fields.get("_SOURCE_MONOTONIC_TIMESTAMP"))
    outer = KernelLine(
        "",
        stamp=Stamp("epoch_us", micros) if micros else None,
        boot_us=int(boot) if boot else None,
        host=_text(fields.get("_HOSTNAME")),
        told=True,
    )
    return [_inside(piece, outer) for piece in text.split("\n")]


def from_object(found: object) -> list[KernelLine]:
    """The kernel's lines in a JSON object of any of the known shapes."""
    if not isinstance(found, dict):
        return []
    if "MESSAGE" in found and ("_TRANSPORT" in found or "__REALTIME_TIMESTAMP" in found):
        return from_journal(found)
    payload = found.get("jsonPayload")
    outer = KernelLine("", stamp=_stamp(found), host=_host(found), told=_named(found))
    if isinstance(payload, dict):
        if "_TRANSPORT" in payload:
            return [_over(line, outer) for line in from_journal(payload)]
        outer.told = outer.told or _named(payload)
        outer.host = _host(payload) or outer.host
        return _flat(payload, outer)
    if isinstance(found.get("textPayload"), str):
        return _lines(found["textPayload"], outer)
    return _flat(found, outer)


def _flat(found: Mapping[str, Any], outer: KernelLine) -> list[KernelLine]:
    if "involvedObject" in found or found.get("kind") == "Event":
        return []
    text = next((t for t in (_text(found.get(k)) for k in _TEXT_KEYS) if t), None)
    return _lines(text, outer) if text else []


def _lines(text: str, outer: KernelLine) -> list[KernelLine]:
    lines = (_inside(piece, outer) for piece in text.rstrip("\n").split("\n"))
    return [line for line in lines if line.told]


def _inside(text: str, outer: KernelLine) -> KernelLine:
    return _over(peel(text), outer)


def _over(line: KernelLine, outer: KernelLine) -> KernelLine:
    """What the line itself says goes before what its envelope says."""
    line.stamp = line.stamp or outer.stamp
    line.boot_us = outer.boot_us if line.boot_us is None else line.boot_us
    line.host = line.host or outer.host
    line.told = line.told or outer.told
    line.bare = False
    return line


def _named(found: Mapping[str, Any]) -> bool:
    names = (found.get(k) for k in (*_NAME_KEYS, *_FACILITY_KEYS))
    if any(isinstance(n, str) and n.lower() in _KERNEL_NAMES for n in names):
        return True
    log_name = found.get("logName")  # projects/P/logs/kernel
    return isinstance(log_name, str) and log_name.endswith(("/kernel", "%2Fkernel", "/kern.log"))


def _host(found: Mapping[str, Any]) -> str | None:
    direct = next((h for h in (_text(found.get(k)) for k in _HOST_KEYS) if h), None)
    labels = found.get("labels")
    resource = found.get("resource")
    if direct is None and isinstance(labels, dict):
        direct = _text(labels.get("compute.googleapis.com/resource_name"))
    if direct is None and isinstance(resource, dict) and isinstance(resource.get("labels"), dict):
        direct = _text(resource["labels"].get("node_name"))
    return direct


def _stamp(found: Mapping[str, Any]) -> Stamp | None:
    value = next((v for v in (found.get(k) for k in _TIME_KEYS) if v), None)
    return Stamp("iso", value) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    """A field's text; journalctl writes what is not printable as a list of bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(b, int) and 0 <= b < 256 for b in value):
        return bytes(value).decode("utf-8", "backslashreplace")
    return None


def _digits(value: object) -> str | None:
    text = str(value) if isinstance(value, int) else value
    return text if isinstance(text, str) and text.isascii() and text[:18].isdigit() else None
