"""Asks: what a server wants to know of a node, and how the node's agent takes and answers it.

An agent has no port that the server could reach: it may be behind NAT, and should not be open to
the network. So the agent asks for asks. It posts its presence to ASKS_PATH and waits; the answer is
an ask as soon as there is one, or none after a while. What it found goes to ANSWERS_PATH in parts,
each a request of its own that is answered when the part is taken: whoever waits for the answer
reads at his own pace, and nobody holds more than a few parts.

    agent                                 server                         caller
      POST /kelp/v1/asks  ───────────────►  (waits)
                                            ◄──────  GET /kelp/v1/nodes/N/top
      ◄─────────────────── {"ask": {…}}
      POST /kelp/v1/answers?part=0 ──────►  ──────────────────────────────►
      POST /kelp/v1/answers?part=1&last=true ►  ──────────────────────────►

An ask is handed out once. An agent that dies with it leaves its caller with an error when the
ask's time is over; a report can be asked for again without harm.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

ASKS_PATH = "/kelp/v1/asks"
ANSWERS_PATH = "/kelp/v1/answers"
AGENT_HEADER = "Kelp-Agent-Id"
PART_TYPE = "application/octet-stream"

# A part is held some times over in memory; a smaller one costs more round trips.
PART_BYTES = 256 << 10

# What the caller wanted cannot be had (refused: he should ask otherwise; failed: the node cannot).
# The part's bytes are then the reason, as text.
Outcome: TypeAlias = Literal["ok", "refused", "failed"]


class Presence(Struct, frozen=True, kw_only=True):
    """Who asks for asks: the body of a request to ASKS_PATH. `reports` are those it can answer."""

    node: str
    version: str = ""
    reports: list[str] = []


class Ask(Struct, frozen=True, kw_only=True):
    """A question to one node. `parameters` are text, as in a URL; the agent understands them.

    `timeout_s`: who asks waits for so long yet, for the whole answer.
    """

    id: str
    report: str
    parameters: dict[str, str] = {}
    timeout_s: float


class Asked(Struct, frozen=True):
    """The answer to a request to ASKS_PATH."""

    ask: Ask | None = None
