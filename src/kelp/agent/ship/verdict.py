"""What the server's answer means for the segment that was sent.

Pure; the one place that decides between "delivered", "again" and "never".
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from kelp.agent.connection import Answer

# A server that asks for more than this is taken to have meant something else.
MAX_RETRY_AFTER_S = 3600.0

_DELIVERED = (200, 204)
_NEVER = (400, 413, 422)

_HINTS = {
    401: "the token is missing or wrong: see agent.ship.token_file",
    403: "the server does not let this agent write",
    404: "is agent.ship.url the address of a Kelp server?",
}


class Fate(Enum):
    """What becomes of a segment."""

    DELIVERED = "delivered"
    AGAIN = "again"
    NEVER = "never"


@dataclass(frozen=True)
class Verdict:
    """A fate, why, and for AGAIN the wait that the server asked for (None: it did not)."""

    fate: Fate
    reason: str = ""
    wait_s: float | None = None


def judge(answer: Answer, now_s: float) -> Verdict:
    """The verdict on an answer that came at `now_s` (seconds since the epoch)."""
    if answer.status in _DELIVERED:
        return Verdict(Fate.DELIVERED)
    reason = _reason(answer)
    if answer.status in _NEVER:
        return Verdict(Fate.NEVER, reason)
    wait_s = None
    if answer.status in (429, 503):
        wait_s = retry_after_s(answer.headers.get("retry-after", ""), now_s)
    return Verdict(Fate.AGAIN, reason, wait_s)


def retry_after_s(value: str, now_s: float) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or an HTTP date; None: it says nothing.

    Format: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Not int(): a thousand digits are a number too, and Python refuses to read it.
        seconds = float(value[:20])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now_s
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _reason(answer: Answer) -> str:
    said = " ".join(answer.text.split())[:500]
    if 300 <= answer.status < 400:
        hint = f"it redirects to {answer.headers.get('location')}: set agent.ship.url to that"
    else:
        hint = _HINTS.get(answer.status, "")
    return ": ".join(part for part in (f"HTTP {answer.status}", said, hint) if part)
