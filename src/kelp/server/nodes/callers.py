"""The routes of those who ask: which nodes there are, and a report of one of them.

A node that the caller may not see is answered as one that is not there.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.responses import Response, StreamingResponse

from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import BOOLEAN, Kind, at_least, one_of
from kelp.server.http.refusal import RefusalError, shown
from kelp.server.nodes.exchange import Exchange, Part
from kelp.server.nodes.relay import Relay, no_such_node, rfc3339
from kelp.server.nodes.waiting import unless_gone

_log = logging.getLogger(__name__)

PATH = "/kelp/v1/nodes"
# What agents can answer (kelp.node.host.question knows what each is) and what comes back.
REPORTS = ("top", "ps", "iostat", "vmstat", "ss", "route", "pressure", "cgroups")
BUNDLE = "support-bundle"
_JSON, _GZIP = "application/json", "application/gzip"

TIMEOUT_S = 15
BUNDLE_TIMEOUT_S = 120
MAX_TIMEOUT_S = 600

# The agent fails; the server is well.
_BAD_GATEWAY = 502

MaySee = Callable[[Call, str], bool]


def _seconds(text: str) -> str:
    if not 0 <= float(text) <= MAX_TIMEOUT_S:
        raise ValueError("out of bounds")
    return text


_INTERVAL = Kind(f"seconds from 0 to {MAX_TIMEOUT_S}", _seconds, {"type": "number", "minimum": 0})

# What an agent understands: passed on as text where it is given.
_PASSED_ON = (
    Parameter("namespace", "Only of pods in this namespace."),
    Parameter("pod", "Only of this pod: name or uid, or a beginning with *."),
    Parameter("sort", "Order of the rows, by the report's own names."),
    Parameter("all", "iostat, route, cgroups: what is left out otherwise, too.", BOOLEAN),
    Parameter("tree", "ps: each process under its parent.", BOOLEAN),
    Parameter("zombies", "ps: only those that ended and were not waited for.", BOOLEAN),
    Parameter("node_only", "pressure: leave the pods out.", BOOLEAN),
    Parameter("listening", "ss: only what listens.", BOOLEAN),
    Parameter("protocols", "ss: of tcp,udp,unix; default: tcp,udp."),
    Parameter("families", "ss, route: of 4,6; default: both."),
    Parameter("states", "ss: all, or those in use and on offer.", one_of("usual", "all")),
    Parameter("interval_s", "Rates are of so many seconds (0 to 10); 0: one second (top, cgroups) "
              "or since boot (iostat, vmstat).", _INTERVAL),
)  # fmt: skip


class CallerRoutes:
    """The handlers. `may_see` says whether a caller may see a node: the one place that decides."""

    def __init__(self, relay: Relay, may_see: MaySee) -> None:
        self._relay = relay
        self._may_see = may_see

    async def listing(self, call: Call) -> Response:
        """GET PATH."""
        found = [
            {
                "node": node.presence.node,
                "agent_id": node.agent_id,
                "version": node.presence.version,
                "last_seen": rfc3339(node.seen_ns),
                "connected": connected,
                "reports": node.presence.reports,
            }
            for node, connected in self._relay.nodes(call.tenant)
            if self._may_see(call, node.presence.node)
        ]
        return Response(msgspec.json.encode({"nodes": found}), media_type=_JSON)

    async def report(self, call: Call) -> Response:
        """GET PATH/{node}/{report}."""
        node, report = call.arguments["node"], call.arguments["report"]
        if not self._may_see(call, node):
            raise no_such_node(node)
        if report == BUNDLE:
            _log.info("a support bundle is asked for", extra={"node": node, "tenant": call.tenant})
        default_s = BUNDLE_TIMEOUT_S if report == BUNDLE else TIMEOUT_S
        exchange = self._relay.ask(
            call.tenant, node, report, _passed_on(call), call.arguments["timeout_s"] or default_s
        )
        outcome = "left"
        try:
            first = await unless_gone(call, self._relay.part(exchange))
            outcome = {"ok": "answered"}.get(first.outcome, first.outcome)
            if first.outcome != "ok":
                raise _refusal(node, first)
        except RefusalError as e:
            outcome = "" if e.status == 504 else outcome
            self._relay.finish(exchange, outcome)
            raise
        except BaseException:
            self._relay.finish(exchange, outcome)
            raise
        media_type = _GZIP if report == BUNDLE else _JSON
        if first.last:
            self._relay.finish(exchange, outcome)
            return Response(first.data, media_type=media_type)
        return StreamingResponse(self._parts(exchange, first), media_type=media_type)

    async def _parts(self, exchange: Exchange, first: Part) -> AsyncIterator[bytes]:
        """The parts; where one does not come the answer breaks off, which its reader sees."""
        outcome, part = "left", first
        try:
            while True:
                yield part.data
                if part.last:
                    outcome = "answered"
                    return
                part = await self._relay.part(exchange)
                if part.outcome != "ok":
                    outcome = part.outcome
                    raise _refusal(exchange.node, part)
        except RefusalError as e:
            outcome = "" if e.status == 504 else outcome
            raise
        finally:
            self._relay.finish(exchange, outcome)

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        report = (
            Parameter("node", "The node's name, as its agent has it.", where="path", required=True),
            Parameter("report", "What of it.", one_of(*REPORTS, BUNDLE), where="path",
                      required=True),
            *_PASSED_ON,
            Parameter("timeout_s", f"Wait so long for the answer; default: {TIMEOUT_S}, "
                      f"{BUNDLE_TIMEOUT_S} for {BUNDLE}.", at_least(1, MAX_TIMEOUT_S)),
        )  # fmt: skip
        return [
            Endpoint(PATH, ("GET",), "nodes", "Nodes whose agents answer questions.",
                     self.listing, statuses=()),
            Endpoint(f"{PATH}/{{node}}/{{report}}", ("GET",), "nodeReport",
                     "What a node is doing, by its agent.",
                     self.report, report, content_types=(_JSON, _GZIP),
                     statuses=(400, 404, 429, 502, 503, 504)),
        ]  # fmt: skip


def _passed_on(call: Call) -> dict[str, str]:
    given = {p.name: call.arguments[p.name] for p in _PASSED_ON}
    return {n: _text(v) for n, v in given.items() if v is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(node: str, part: Part) -> RefusalError:
    """What the agent said, in its own words."""
    said = part.data.decode("utf-8", "replace").strip()[:2000]
    if part.outcome == "refused":
        return RefusalError(400, said)
    return RefusalError(_BAD_GATEWAY, f"the agent of the node {shown(node)} cannot do this: {said}")
