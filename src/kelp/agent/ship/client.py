"""Posts segments to a Kelp server, over one connection that is kept open.

Left out: any judgement of the answer (see verdict.py).
"""

from __future__ import annotations

from pathlib import Path

from kelp.agent.connection import Answer, Connection
from kelp.base.settings import Ship
from kelp.wire.segment import CONTENT_TYPE

PATH = "/kelp/v1/segments"


class Client:
    """Sends segments. For one thread, save `abort`."""

    def __init__(self, ship: Ship, token_file: Path, agent_id: str) -> None:
        """Raises ConfigError where the URL or the TLS files cannot be used."""
        self._connection = Connection(ship, token_file)
        self._agent_id = agent_id

    @property
    def url(self) -> str:
        """The address that segments go to."""
        return self._connection.url_of(PATH)

    def send(self, seq: int, data: memoryview) -> Answer:
        """Post a segment; raises OSError or HTTPException where no whole answer came.

        Should it be sent twice, no harm is done: a segment is known by its number.
        """
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Kelp-Agent-Id": self._agent_id,
            "Kelp-Segment-Seq": str(seq),
        }
        return self._connection.post(PATH, data, headers)

    def close(self) -> None:
        """Close the connection; the next `send` opens another."""
        self._connection.close()

    def abort(self) -> None:
        """Make a `send` of another thread fail now."""
        self._connection.abort()
