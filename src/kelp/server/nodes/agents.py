"""The two routes of the agents: waiting for a question, and sending parts of the answer.

See `kelp.wire.asks` for what goes over them. An agent says itself which node it is on; whoever has
the token, or a certificate where those are asked for, is believed, as with the records that it
sends.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from kelp.server.http.body import read_body
from kelp.server.http.endpoint import Body, Call, Endpoint, Parameter
from kelp.server.http.kinds import BOOLEAN, at_least, one_of
from kelp.server.http.refusal import RefusalError
from kelp.server.nodes.exchange import Part
from kelp.server.nodes.relay import Relay
from kelp.server.nodes.waiting import unless_gone
from kelp.wire.asks import AGENT_HEADER, ANSWERS_PATH, ASKS_PATH, PART_TYPE, Asked, Presence

# Shorter than the minute after which many a proxy cuts an idle request.
MAX_WAIT_S = 50
_MAX_PRESENCE_BYTES = 64 << 10
_MAX_PART_BYTES = 1 << 20
_MAX_NAME = 253  # of a node in Kubernetes

_AGENT = Parameter(AGENT_HEADER, "The agent.", where="header", required=True)


class AgentRoutes:
    """The handlers."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def wait(self, call: Call) -> Response:
        """POST ASKS_PATH."""
        presence = _presence(await read_body(call.request, _MAX_PRESENCE_BYTES))
        a = call.arguments
        # No question goes to an agent that is gone.
        ask = await unless_gone(
            call, self._relay.next_ask(call.tenant, a[AGENT_HEADER], presence, a["wait_s"])
        )
        return Response(msgspec.json.encode(Asked(ask)), media_type="application/json")

    async def answer(self, call: Call) -> Response:
        """POST ANSWERS_PATH."""
        a = call.arguments
        data = await read_body(call.request, _MAX_PART_BYTES)
        part = Part(a["part"], data, a["last"], a["outcome"])
        await self._relay.take(call.tenant, a[AGENT_HEADER], a["ask"], part)
        return Response(status_code=204)

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        wait = (
            _AGENT,
            Parameter("wait_s", "Answer after so many seconds, question or none.",
                      at_least(0, MAX_WAIT_S), default=0),
        )  # fmt: skip
        answer = (
            _AGENT,
            Parameter("ask", "The question's id.", required=True),
            Parameter("part", "The part's number, from 0.", at_least(0), required=True),
            Parameter("last", "Whether it is the last one.", BOOLEAN, default=False),
            Parameter("outcome", "refused, failed: the body is the reason, and all of the answer.",
                      one_of("ok", "refused", "failed"), default="ok"),
        )  # fmt: skip
        presence = Body("A Presence of kelp.wire.asks.", ("application/json",), {"type": "object"})
        part = Body("A part of the answer.", (PART_TYPE,))
        return [
            Endpoint(ASKS_PATH, ("POST",), "nextAsk",
                     "Wait for a question to the agent's node; for agents.",
                     self.wait, wait, presence, statuses=(400, 413, 429)),
            Endpoint(ANSWERS_PATH, ("POST",), "answerAsk",
                     "Take a part of the answer to a question; for agents.",
                     self.answer, answer, part, content_types=(), statuses=(400, 404, 410, 413),
                     success=204),
        ]  # fmt: skip


def _presence(data: bytes) -> Presence:
    try:
        presence = msgspec.json.decode(data, type=Presence)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise RefusalError(
            400, "the body cannot be read", expected="JSON with node, version, reports", got=str(e)
        ) from None
    name = presence.node
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable() or "/" in name:
        raise RefusalError(
            400,
            "the node's name cannot be used",
            expected=f"up to {_MAX_NAME} printable characters without /",
            got=repr(name[:100]),
        )
    return presence
