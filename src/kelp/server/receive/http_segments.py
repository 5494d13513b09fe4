"""POST /kelp/v1/segments: where agents hand over what they have read.

The answer is worth a promise: 200 means durable. What is refused with 400 or 413 will be refused
again; every other answer means "send it again".
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from kelp.server.http.endpoint import Body, Call, Endpoint, Parameter
from kelp.server.http.refusal import RefusalError
from kelp.server.receive.inbox import Accepted, Inbox
from kelp.server.receive.reception import Reception
from kelp.wire.segment import CONTENT_TYPE, SegmentError

PATH = "/kelp/v1/segments"


class Segments:
    """The handler."""

    def __init__(self, inbox: Inbox, reception: Reception) -> None:
        self._inbox = inbox
        self._reception = reception

    async def post(self, call: Call) -> Response:
        """Take one segment."""
        accepted = await self._reception.take(
            call.request, lambda data: self._accept(call.tenant, data)
        )
        body = msgspec.json.encode({"duplicate": accepted.duplicate})
        return Response(body, media_type="application/json")

    def _accept(self, tenant: str, data: bytes) -> Accepted:
        try:
            return self._inbox.accept(tenant, data)
        except SegmentError as e:
            raise RefusalError(
                400,
                f"the body is no segment that can be stored: {e}",
                hint="sending the same bytes again is of no use",
            ) from e

    def endpoint(self) -> Endpoint:
        """Its declaration."""
        return Endpoint(
            PATH,
            ("POST",),
            "sendSegment",
            "Take a segment of an agent; answered when it is durable, stored once however often "
            "it is sent.",
            self.post,
            parameters=(
                Parameter(
                    "Kelp-Agent-Id",
                    "The agent, for those who look at the traffic; the segment says it, too.",
                    where="header",
                ),
                Parameter("Kelp-Segment-Seq", "The segment's number, likewise.", where="header"),
            ),
            body=Body("An Arrow IPC stream, see kelp.wire.segment.", (CONTENT_TYPE,)),
            statuses=(400, 413, 429),
        )
