"""What goes over the wire: the request for a question, and the parts of an answer.

See `kelp.wire.asks`. Errors of the network are OSError and HTTPException; what a server answers
otherwise than expected is a RefusedError.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from kelp.agent.connection import Answer, Connection
from kelp.wire.asks import (
    AGENT_HEADER,
    ANSWERS_PATH,
    ASKS_PATH,
    PART_TYPE,
    Ask,
    Asked,
    Outcome,
    Presence,
)


class RefusedError(Exception):
    """The server does not do it; `status` is that of its answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}: {' '.join(answer.text.split())[:500]}")
        self.status = answer.status


class UnwantedError(Exception):
    """Whoever asked has left, or his time is over."""


class Channel:
    """For one thread, save `abort`."""

    def __init__(self, connection: Connection, agent_id: str) -> None:
        self._connection = connection
        self._headers: Mapping[str, str] = {AGENT_HEADER: agent_id}

    def next_ask(self, presence: Presence, wait_s: int) -> Ask | None:
        """The next question, None where none comes in time."""
        headers = {**self._headers, "Content-Type": "application/json"}
        path = f"{ASKS_PATH}?wait_s={wait_s}"
        answer = self._connection.post(path, msgspec.json.encode(presence), headers)
        if answer.status != 200:
            raise RefusedError(answer)
        try:
            return msgspec.json.decode(answer.text, type=Asked).ask
        except msgspec.DecodeError as e:
            raise RefusedError(Answer(answer.status, {}, f"no question: {e}")) from e

    def send(
        self, ask: Ask, part: int, data: bytes, *, last: bool, outcome: Outcome = "ok"
    ) -> None:
        """A part of the answer; raises UnwantedError where nobody waits for it any more."""
        query = {"ask": ask.id, "part": part, "last": str(last).lower(), "outcome": outcome}
        headers = {**self._headers, "Content-Type": PART_TYPE}
        answer = self._connection.post(f"{ANSWERS_PATH}?{urlencode(query)}", data, headers)
        if answer.status in (404, 410):
            raise UnwantedError
        if answer.status != 204:
            raise RefusedError(answer)

    def abort(self) -> None:
        """Make what another thread waits for fail now."""
        self._connection.abort()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
