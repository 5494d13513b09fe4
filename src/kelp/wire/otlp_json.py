"""Why a request in OTLP's JSON cannot be read: what was expected where, and what stands there.

protobuf's own reader of JSON names neither place nor type of what it cannot take. So where it
fails, the request is read once more against these types, which do nothing else.
Format: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

_Hex = Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{2})*$")]
_Digits = Annotated[str, msgspec.Meta(pattern="^-?[0-9]+$")]
_Integer: TypeAlias = int | _Digits | None
_Text: TypeAlias = str | None


class _Message(msgspec.Struct, rename="camel"):
    pass


class _Value(_Message):
    string_value: _Text = None
    bool_value: bool | None = None
    int_value: _Integer = None
    double_value: float | str | None = None
    bytes_value: _Text = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None


class _Array(_Message):
    values: list[_Value] | None = None


class _Pair(_Message):
    key: _Text = None
    value: _Value | None = None


class _Pairs(_Message):
    values: list[_Pair] | None = None


class _Attributed(_Message):
    attributes: list[_Pair] | None = None
    dropped_attributes_count: _Integer = None


class _Named(_Attributed):
    name: _Text = None
    version: _Text = None


class _Record(_Attributed):
    time_unix_nano: _Integer = None
    observed_time_unix_nano: _Integer = None
    severity_number: int | str | None = None
    severity_text: _Text = None
    body: _Value | None = None
    flags: _Integer = None
    trace_id: _Hex | None = None
    span_id: _Hex | None = None
    event_name: _Text = None


class _Scope(_Message):
    scope: _Named | None = None
    log_records: list[_Record] | None = None
    schema_url: _Text = None


class _Resource(_Message):
    resource: _Attributed | None = None
    scope_logs: list[_Scope] | None = None
    schema_url: _Text = None


class _Request(_Message):
    resource_logs: list[_Resource] | None = None


_decoder = msgspec.json.Decoder(_Request)


def what_is_wrong(data: bytes) -> str:
    """The first thing that is, with its place as in `$.resourceLogs[0]`."""
    try:
        _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as e:
        return str(e)
    except RecursionError:
        return "JSON that is nested too deeply"
    return "a number that is too large, or a value under the name of another field"
