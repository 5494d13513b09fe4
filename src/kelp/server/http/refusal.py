"""A request that is not done: the status, and what its sender can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.responses import Response

# A client shows one line; what it sent may be long.
_SHOWN = 200


@dataclass
class RefusalError(Exception):
    """Answered with `status`; the text says what was expected, what came, and what to do."""

    status: int
    message: str
    expected: str = ""
    got: str = ""
    hint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """All of it in one line, for clients that show text."""
        parts = [self.message]
        if self.expected:
            parts.append(f"expected {self.expected}")
        line = ": ".join(p for p in parts if p)
        if self.got:
            line += f"; got {self.got}"
        return line + (f"; {self.hint}" if self.hint else "")

    def as_object(self) -> dict[str, Any]:
        """As the body of Kelp's own routes has it under `error`."""
        named = {"expected": self.expected, "got": self.got, "hint": self.hint}
        return {"message": self.message or self.text()} | {k: v for k, v in named.items() if v}

    def as_response(self, *, as_json: bool) -> Response:
        """JSON for Kelp's own routes, plain text for Loki's clients, who show just that."""
        if as_json:
            body = msgspec.json.encode({"error": self.as_object()})
            return Response(body, self.status, self.headers, "application/json")
        return Response(self.text() + "\n", self.status, self.headers, "text/plain; charset=utf-8")


def shown(text: str) -> str:
    """What came, quoted and short enough for an error."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return '"' + cut.encode("utf-8", "replace").decode() + '"'


def too_large(limit: int, what: str = "request body") -> RefusalError:
    """413."""
    return RefusalError(
        413,
        f"the {what} is too large",
        expected=f"at most {limit} bytes (server.max_request_bytes)",
        hint="send less at once",
    )


def busy(message: str, retry_after_s: float) -> RefusalError:
    """429, with the time to wait in whole seconds, which is what the header can say."""
    seconds = max(1, int(-(-retry_after_s // 1)))
    return RefusalError(
        429,
        message,
        hint=f"repeat the request in {seconds} s",
        headers={"Retry-After": str(seconds)},
    )
