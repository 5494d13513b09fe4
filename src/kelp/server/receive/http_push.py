"""Loki's push: everybody's agents. 204 says that the entries are durable and can be searched."""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response

from kelp.base.clock import Clock
from kelp.server.http.body import decompress
from kelp.server.http.endpoint import Body, Call, Endpoint, content_type
from kelp.server.http.refusal import RefusalError, shown
from kelp.server.receive.inbox import Inbox
from kelp.server.receive.positions import Arrivals
from kelp.server.receive.reception import Reception
from kelp.wire import loki, loki_proto, otlp
from kelp.wire.pushed import Pushed, PushError, to_log_batch

_log = logging.getLogger(__name__)


class PushMetrics:
    """What came by other protocols than Kelp's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "kelp_server_pushed_records",
            "Records that were pushed and stored, by protocol.",
            ["protocol"],  # loki, otlp
            registry=registry,
        )
        self.rejected = Counter(
            "kelp_server_pushed_streams_rejected",
            "Streams of a push that were left out, for their labels are not allowed.",
            ["protocol"],
            registry=registry,
        )


# So long a push may wait until it can be searched; it is durable before that.
SEARCHABLE_WAIT_S = 10.0

_MAX_REASONS = 5

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"


class Pushes:
    """Takes what other protocols push.

    `severity_of_lines` is asked at every push, from the threads that receive: whether lines whose
    sender says nothing of their severity are looked at for it.
    """

    def __init__(
        self,
        inbox: Inbox,
        reception: Reception,
        clock: Clock,
        metrics: PushMetrics,
        severity_of_lines: Callable[[], bool],
    ) -> None:
        self._inbox = inbox
        self._reception = reception
        self._clock = clock
        self._metrics = metrics
        self._severity_of_lines = severity_of_lines
        self._arrivals = Arrivals(clock)

    async def post_loki(self, call: Call) -> Response:
        """Take one push of Loki's."""
        kind = _one_of(call.request, _JSON, _PROTOBUF)
        encoding = call.request.headers.get("content-encoding", "")
        limit = self._reception.max_bytes

        def work(data: bytes) -> list[str]:
            fingerprint = self._inbox.fingerprint(call.tenant, f"loki {kind} {encoding}", data)
            if self._inbox.is_repeat(fingerprint, wait_s=SEARCHABLE_WAIT_S):
                return []
            if kind == _PROTOBUF:
                # Snappy belongs to the format, whatever the header says.
                pushed = _read(lambda: loki_proto.decode_snappy(data, limit))
            else:
                plain = decompress(data, encoding, limit)
                pushed = _read(lambda: loki.decode_json(plain))
            return self._store("loki", call.tenant, pushed, fingerprint)

        if rejected := await self._reception.take(call.request, work):
            raise _partly(rejected)
        return Response(status_code=204)

    async def post_otlp(self, call: Call) -> Response:
        """Take one export of OTLP's logs."""
        kind = _one_of(call.request, _PROTOBUF, _JSON)
        encoding = call.request.headers.get("content-encoding", "")
        decode = otlp.decode_json if kind == _JSON else otlp.decode_proto

        def work(data: bytes) -> bytes:
            fingerprint = self._inbox.fingerprint(call.tenant, f"otlp {kind} {encoding}", data)
            if self._inbox.is_repeat(fingerprint, wait_s=SEARCHABLE_WAIT_S):
                return otlp.encode_answer(0, "", as_json=kind == _JSON)
            plain = decompress(data, encoding, self._reception.max_bytes)
            pushed = _read(lambda: decode(plain, self._clock.now_ns()))
            rejected = self._store("otlp", call.tenant, pushed, fingerprint)
            return otlp.encode_answer(len(rejected), _reasons(rejected), as_json=kind == _JSON)

        return Response(await self._reception.take(call.request, work), media_type=kind)

    def _store(self, protocol: str, tenant: str, pushed: Pushed, fingerprint: bytes) -> list[str]:
        """Store what can be; the reasons why the rest cannot.

        A push that is told of such reasons is not remembered: sent again, it is told them again.
        Nor is one that leaves times to its arrival: the next that is the same says another thing.
        """
        count = pushed.count
        if pushed.rejected or pushed.timed_here:
            fingerprint = b""
        if count:
            batch = to_log_batch(
                pushed.rows,
                self._clock.now_ns(),
                self._arrivals.take(count),
                severity_of_lines=self._severity_of_lines(),
            )
            if not self._inbox.accept_batch(
                tenant, batch, wait_s=SEARCHABLE_WAIT_S, fingerprint=fingerprint
            ):
                _log.warning("a push is durable and not in the store yet", extra={"records": count})
            self._metrics.records.labels(protocol).inc(count)
        self._metrics.rejected.labels(protocol).inc(len(pushed.rejected))
        return pushed.rejected

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        return [
            Endpoint(
                "/loki/api/v1/push",
                ("POST",),
                "push",
                "Store entries. Streams with labels that are not allowed are left out and told in "
                "a 400; the others are stored all the same.",
                self.post_loki,
                body=Body(
                    '{"streams": [{"stream": {…}, "values": [["<ns>", "<line>", {…}], …]}]}, or '
                    "Loki's PushRequest in protobuf with snappy.",
                    (_JSON, _PROTOBUF),
                ),
                content_types=(),
                statuses=(400, 413, 415, 429),
                success=204,
            ),
            Endpoint(
                "/otlp/v1/logs",
                ("POST",),
                "otlpLogs",
                "Store log records of OpenTelemetry's protocol.",
                self.post_otlp,
                body=Body("An ExportLogsServiceRequest.", (_PROTOBUF, _JSON)),
                content_types=(_PROTOBUF, _JSON),
                statuses=(400, 413, 415, 429),
            ),
        ]


def _one_of(request: Request, *kinds: str) -> str:
    kind = content_type(request)
    if kind not in kinds:
        raise RefusalError(
            415, "the header Content-Type", expected=" or ".join(kinds), got=shown(kind)
        )
    return kind


def _read(decode: Callable[[], Pushed]) -> Pushed:
    try:
        return decode()
    except PushError as e:
        raise RefusalError(400, f"the push cannot be read: {e}") from e


def _reasons(rejected: list[str]) -> str:
    return "; ".join(dict.fromkeys(rejected[:_MAX_REASONS]))


def _partly(rejected: list[str]) -> RefusalError:
    return RefusalError(
        400, f"{len(rejected)} streams were left out, all others are stored: {_reasons(rejected)}"
    )
