"""Secrets stay out of what is shown: output of commands, errors, logs."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET_PARAMETERS = re.compile(
    r"(?<=[?&])((?:password|passwd|token|secret|api_?key)=)[^&#\s]*", re.IGNORECASE
)
MASK = "***"


def mask_url(text: str) -> str:
    """The text with the credentials of each URL in it replaced by `***`; the host stays."""
    without_user = _CREDENTIALS.sub(f"{MASK}@", text)
    return _SECRET_PARAMETERS.sub(rf"\g<1>{MASK}", without_user)
